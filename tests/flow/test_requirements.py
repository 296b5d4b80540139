"""Requirements of hosts: they block a promotion before any change, and what was measured does not change a plan."""

from pathlib import Path

import pytest

from orchestrator.domain.journal import Run
from orchestrator.domain.promotion import State
from orchestrator.planning import make
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_promotion import Stage, release

WANTED = [{"hosts": "web", "cpu": 2}]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.world.measured = dict.fromkeys(("s1", "p1", "p2", "p3"), "@cpu 2")
    return made


def promoted(stage: Stage) -> Run:
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging", requirements=WANTED)
    return stage.promote("1.1.0", "production", requirements=WANTED)


def test_a_promotion_whose_requirements_are_met_succeeds(stage: Stage) -> None:
    """With enough on every host, the release is promoted."""
    assert promoted(stage).state is State.SUCCEEDED


@pytest.mark.parametrize("measured", ["@cpu 1", "@cpu none", ""])
def test_one_host_blocks_before_any_change(stage: Stage, measured: str) -> None:
    """One host that lacks a requirement, or does not report it, ends the promotion with D106, and no host is changed."""
    stage.world.measured["p2"] = measured
    run = promoted(stage)
    assert run.state is State.FAILED
    assert stage.failure(run)["failure"]["code"] == "D106"
    assert "p2: cpu" in stage.failure(run)["message"]
    assert not [entry for entry in stage.world.ledger if "1.1.0 production" in entry]
    assert stage.versions("production") == {"1.0.0"}


def test_what_was_measured_does_not_change_the_plan(stage: Stage) -> None:
    """A plan has each host's measured value, and the same digest after another measurement that meets the requirement."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging", requirements=WANTED)
    package = stage.packages.put(release("1.1.0", requirements=WANTED))
    wanted = PlanRequest(package, "production")
    first = make.make(stage.services(), wanted, "first", lambda _entry: None)
    stage.world.measured["p1"] = "@cpu 64"
    second = make.make(stage.services(), wanted, "second", lambda _entry: None)
    assert [check.measured for host in second.checked for check in host.checks] == ["64", "2", "2"]
    assert (first.digest, first.checked != second.checked) == (second.digest, True)
    assert second.document()["checked"]
