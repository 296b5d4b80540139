"""How staging and production differ on the world in memory, and the gate that asks for it."""

from pathlib import Path

import pytest

from orchestrator.domain.promotion import State
from orchestrator.inspect import parity
from tests.flow.test_promotion import Stage

ALLOWED: dict[str, object] = {"parity": {"with": "staging", "allow": ["file", "hosts"]}}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.walk("1.0.0")
    return made


def look(stage: Stage) -> list[str]:
    found = parity.find_differences(stage.services(), "staging", "production", "parity-1", lambda _entry: None)
    return list(found.reasons)


def test_the_allow_list_of_either_is_honoured(stage: Stage) -> None:
    """What either file allows for the other environment is no difference; what it allows for a third one is."""
    files = [f"file {name} is only in {where}" for name, where in
             (("p1", "production"), ("p2", "production"), ("p3", "production"), ("s1", "staging"))]  # fmt: skip
    hosts = [f"hosts {name}: 1 in staging, 3 in production" for name in ("all", "web")]
    assert look(stage) == [*files, *hosts]
    stage.rules["production"] = {"parity": {"with": "staging", "allow": ["file"]}}
    assert look(stage) == hosts
    stage.rules["staging"] = {"parity": {"with": "production", "allow": ["hosts"]}}
    assert look(stage) == []
    stage.rules["staging"] = {"parity": {"with": "elsewhere", "allow": ["hosts"]}}
    assert look(stage) == hosts


def test_releases_are_compared(stage: Stage) -> None:
    """The releases that were verified last are named where they differ."""
    stage.rules["production"] = ALLOWED
    stage.promote("1.1.0", "staging")
    assert look(stage) == ["release verified: shop 1.1.0 in staging, shop 1.0.0 in production"]


def test_a_host_that_is_away_is_unknown(stage: Stage) -> None:
    """A host that cannot be asked is named with its environment."""
    stage.rules["production"] = ALLOWED
    stage.world.gone.add("p2")
    assert look(stage) == ["unknown: production: p2: unreachable"]


def test_the_gate(stage: Stage) -> None:
    """With the gate a promotion is refused before any effect while something differs that may not, by name; that releases differ keeps nobody out."""
    stage.promote("1.1.0", "staging")
    stage.rules["production"] = {"require": {"parity": True}}
    ledger = list(stage.world.ledger)
    run = stage.promote("1.1.0", "production")
    ended = stage.failure(run)
    assert (ended["exit"], ended["failure"]["code"]) == (3, "R182")
    assert "file p1 is only in production" in str(ended["message"])
    assert stage.world.ledger == ledger
    stage.rules["production"] = {"require": {"parity": True}, **ALLOWED}
    assert stage.promote("1.1.0", "production").state is State.SUCCEEDED


def test_a_gate_with_nothing_to_compare_is_shut(stage: Stage) -> None:
    """An environment that comes after none and names none cannot be compared, and the gate says so."""
    stage.rules["staging"] = {"require": {"parity": True}}
    run = stage.promote("1.1.0", "staging")
    assert stage.failure(run)["failure"]["code"] == "R182"
    assert "write parity.with" in str(stage.failure(run)["message"])
