"""The contract of `Deployer.snapshot`, kept by every adapter of it: what is on hosts, told and not touched."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.adapters.memory.world import World
from orchestrator.domain.context import Context
from orchestrator.domain.environment import SnapshotRule
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import PlaySpec
from orchestrator.domain.snapshot import Snapshot, compare_snapshots, tampered
from orchestrator.hosts import loopback
from orchestrator.ports import Deployer
from tests.adapters.ansible.conftest import staged
from tests.flow.test_promotion import release
from tests.shared_hosts import hosts_in, state_in

HOSTS = ("web1", "web2")


@dataclass
class Place:
    """Two hosts with a release on them, and ways to put a file there and to take a host away."""

    deployer: Deployer
    inventory: Inventory
    digest: str
    put: Callable[[str, str, str], None]
    remove: Callable[[str], None]
    count: int = 0

    def look(self, **rule: tuple[str, ...]) -> Snapshot:
        self.count += 1
        entries: list[Entry] = []
        context = Context(run="r1", environment="test")
        job = f"r1.look.{self.count}"
        return self.deployer.snapshot(SnapshotRule(**rule), self.inventory, context, job, entries.append)


@pytest.fixture(params=["memory", "ansible"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The same two hosts in each adapter."""
    if request.param == "memory":
        yield in_memory()
        return
    with hosts_in(tmp_path, "test", *HOSTS) as hosts, staged(hosts, tmp_path / "project") as stage:
        assert [host.outcome for host in stage.deploy("deploy.yml", "r1", 1).hosts] == ["succeeded"] * 2

        def put(host: str, name: str, text: str) -> None:
            path = Path(next(one.root for one in hosts if one.name == host)) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def remove(host: str) -> None:
            with state_in(tmp_path):
                loopback.end_processes(next(one for one in hosts if one.name == host))

        yield Place(stage.deployer, stage.inventory, stage.package.digest, put, remove)


def in_memory() -> Place:
    world = World(up={"test": list(HOSTS)})
    package = MemoryPackages().put(release("1.0.0"))
    deployer = MemoryDeployer(world)
    inventory = Inventory(hosts={host: {} for host in HOSTS}, groups={"web": Group(hosts=HOSTS)})
    play = PlaySpec(step="deploy", playbook="deploy.yml", hosts="web", limit=HOSTS)
    deployer.deploy(play, package, inventory, Context(run="r1", environment="test"), "r1.deploy.1", lambda _: None)

    def put(host: str, name: str, text: str) -> None:
        world.files.setdefault(("test", host), {})[name] = text

    return Place(deployer, inventory, package.digest, put, world.gone.add)


def test_the_same_is_no_difference(place: Place) -> None:
    """Two looks at hosts that nobody touches are equal, tell the release on each, and find its files as they were put there."""
    first, second = place.look(), place.look()
    assert first == second
    assert first.gaps == ()
    assert {host: found.release for host, found in first.hosts.items()} == dict.fromkeys(HOSTS, place.digest)
    for host, found in first.hosts.items():
        assert found.installed
        assert tampered(host, found) == ()


def test_a_file_is_named(place: Place) -> None:
    """A file that comes, and one that changes, are named on their host, and nothing else is."""
    place.put("web2", "etc/told", "one")
    before = place.look()
    place.put("web2", "etc/told", "two")
    place.put("web1", "left behind", "text")
    found = [(item.host, item.name, item.change) for item in compare_snapshots(before, place.look())]
    assert found == [("web1", "left behind", "added"), ("web2", "etc/told", "changed")]


def test_a_file_of_the_release_is_named(place: Place) -> None:
    """A file of the release that was edited, and one that was put beside it, are named against what was installed."""
    host = place.look().hosts["web1"]
    edited = next(iter(host.installed))
    place.put("web1", f"releases/{host.current}/{edited}", "edited")
    place.put("web1", f"releases/{host.current}/more", "more")
    there = place.look().hosts
    found = {(item.name, item.change) for item in tampered("web1", there["web1"])}
    assert found == {(edited, "changed"), ("more", "added")}
    assert tampered("web2", there["web2"]) == ()


def test_what_is_ignored_is_left_out(place: Place) -> None:
    """What the rule ignores, by a name or by a path, is in no snapshot."""
    for name in ("etc/told", "etc/kept", "logs/a/b", "some.tmp"):
        place.put("web1", name, "text")
    names = set(place.look(ignore=("*.tmp", "logs", "etc/told")).hosts["web1"].files)
    assert {name for name in names if name.endswith(("told", "kept", "tmp", "b"))} == {"etc/kept"}


def test_a_host_that_is_away_is_unknown(place: Place) -> None:
    """A host that does not answer is unknown with a reason; the other one is told of, and nothing is taken for a difference."""
    before = place.look()
    place.remove("web2")
    after = place.look()
    assert list(after.hosts) == ["web1"]
    assert list(after.unknown) == ["web2"]
    assert after.unknown["web2"]
    assert compare_snapshots(before, after) == ()
    assert after.gaps[0].startswith("web2: ")
