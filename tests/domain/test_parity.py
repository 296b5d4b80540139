"""How two environments differ: each thing is named, what is allowed apart from what is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orchestrator.domain.environment import Environment
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.parity import KINDS, Definition, EnvironmentProfile, compare_profiles, profile_of
from orchestrator.domain.snapshot import HostSnapshot, Snapshot

THINGS = some.dictionaries(
    some.sampled_from(KINDS),
    some.dictionaries(some.sampled_from("abc"), some.sampled_from("12"), max_size=3),
    max_size=4,
)


def environment(name: str, **fields: Any) -> Environment:
    return Environment.from_json({"apiVersion": "orchestrator/v1", "kind": "Environment", "name": name, **fields})


@given(THINGS)
def test_nothing_differs_from_itself(things: dict[str, dict[str, str]]) -> None:
    """Two environments with the same portrait differ in nothing."""
    found = compare_profiles(
        EnvironmentProfile(environment="a", things=things), EnvironmentProfile(environment="b", things=things)
    )
    assert (found.is_empty, found.differences, found.allowed) == (True, (), ())


@given(THINGS, THINGS, some.sampled_from(KINDS))
def test_what_is_allowed_is_told_apart(one: dict[str, Any], two: dict[str, Any], kind: str) -> None:
    """An allowed kind moves its differences from the one list to the other, and changes nothing else."""
    left, right = EnvironmentProfile(environment="a", things=one), EnvironmentProfile(environment="b", things=two)
    strict, allowing = compare_profiles(left, right), compare_profiles(left, right, [kind])
    assert {item.kind for item in allowing.allowed} <= {kind}
    assert kind not in {item.kind for item in allowing.differences}
    assert sorted(map(str, strict.differences)) == sorted(map(str, (*allowing.differences, *allowing.allowed)))
    assert (kind in allowing.unused) == (not allowing.allowed)


@pytest.fixture
def sides() -> tuple[EnvironmentProfile, EnvironmentProfile]:
    """Staging and production, which differ in one thing of each kind."""

    def made(name: str, *, more: bool) -> EnvironmentProfile:
        hosts = {"w1": {"app_port": 1}, **({"w2": {"app_port": 2, "tax": 1}} if more else {})}
        inventory = Inventory(
            hosts=hosts, groups={"web": Group(hosts=tuple(hosts)), **({"db": Group()} if more else {})}
        )
        facts = {"distribution": "debian 13" if more else "debian 12", "system": "Linux", "user:ann": "1"}
        packages = {"bash": "5", **({"nginx": "1"} if more else {})}
        seen = Snapshot(hosts={host: HostSnapshot(facts=facts, packages=packages) for host in hosts})
        definition = Definition(files={"main.py": name}, config=("size", *(("zone",) if more else ())))
        about = environment(name, vars={"team": 1, **({"pager": 1} if more else {})})
        return profile_of(about, definition, inventory, seen, f"shop {1 + more}")

    return made("staging", more=False), made("production", more=True)


def test_each_kind_is_named(sides: tuple[EnvironmentProfile, EnvironmentProfile]) -> None:
    """Program, configuration, variables, groups, hosts, facts, packages and releases are compared, and said in words."""
    found = compare_profiles(*sides)
    assert found.reasons == (
        "file main.py differs",
        "config zone is only in production",
        "variable pager is only in production",
        "variable web.tax is only in production",
        "group db is only in production",
        "hosts all: 1 in staging, 2 in production",
        "hosts web: 1 in staging, 2 in production",
        "fact distribution: debian 12 in staging, debian 13 in production",
        "package nginx is only in production",
        "release verified: shop 1 in staging, shop 2 in production",
    )
    allow = ("file", "config:z*", "variable", "group:db", "hosts:*", "fact:distribution", "package:nginx", "release")
    assert compare_profiles(*sides, (*allow, "file:gone.py")).is_empty
    assert compare_profiles(*sides, (*allow, "fact:cpus")).unused == ("fact:cpus",)
    assert len(compare_profiles(*sides, allow[1:]).differences) == 1


def test_unknown_is_not_alike(sides: tuple[EnvironmentProfile, EnvironmentProfile]) -> None:
    """What could not be asked is named with its environment, and keeps anybody from saying that nothing differs."""
    seen = Snapshot(unknown={"w1": "unreachable"})
    silent = profile_of(environment("staging"), None, None, seen, "none", ["its hosts: no stack"])
    found = compare_profiles(silent, silent)
    assert (found.is_empty, found.unknown) == (False, ("staging: its hosts: no stack", "staging: w1: unreachable"))


def test_what_snapshots_leave_out_is_left_out() -> None:
    """Facts and packages that the environment's file ignores are not compared."""
    about = environment("staging", snapshot={"ignore": ["fact:user:*", "package:linux-*"]})
    host = HostSnapshot(facts={"user:ann": "1", "system": "Linux"}, packages={"linux-image": "1"})
    found = profile_of(about, None, Inventory(hosts={"w1": {}}), Snapshot(hosts={"w1": host}), "none")
    assert (found.things["fact"], found.things["package"]) == ({"system": "Linux"}, {})
