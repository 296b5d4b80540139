"""An environment as it was at a time: which release and which infrastructure that was, and how it is put back."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.adapters.memory.store import ManualClock
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.plan import Plan
from orchestrator.domain.promotion import State
from orchestrator.flow import destruction, going_back, provisioning
from orchestrator.inspect import release_history
from orchestrator.planning import make, plan_store
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_promotion import Stage
from tests.flow.test_rollback_targets import UNDO, back


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def later(stage: Stage) -> str:
    """The time now, and then a minute later."""
    clock = stage.store.clock
    assert isinstance(clock, ManualClock)
    now = clock.now()
    clock.sleep(60)
    return now


def planned(stage: Stage, when: str, environment: str = "production") -> Plan:
    services = stage.services()
    then = release_history.as_of(services, environment, when)
    package = stage.packages.fetch(then.release.digest)
    wanted = PlanRequest(package, environment, "rollback", then=then)
    plan = make.make(services, wanted, "p", lambda _entry: None)
    plan_store.save(services, plan)
    return plan


def restored(stage: Stage, when: str, environment: str = "production") -> Run:
    plan = planned(stage, when, environment)
    package = stage.packages.fetch(plan.release.digest)
    return going_back(stage.ctx(package, environment, kind="rollback", approved=plan.digest))


def test_release_and_infrastructure_of_a_time(stage: Stage) -> None:
    """The release that was verified last by then comes back on the infrastructure of then, though the release was verified on another one later."""
    stage.walk("1.0.0")
    then = later(stage)
    stage.world.stacks["production"] = ["p1", "p2"]
    stage.promote("1.0.0", "production")
    later(stage)
    stage.walk("1.1.0")
    later(stage)
    plan = planned(stage, then)
    assert (plan.release.version, plan.at) == ("1.0.0", release_history.as_of(stage.services(), "production", then).at)
    assert restored(stage, then).state is State.ROLLED_BACK
    assert stage.world.up["production"] == ["p1", "p2", "p3"]
    assert stage.versions("production") == {"1.0.0"}


def test_infrastructure_that_was_updated_by_itself(stage: Stage) -> None:
    """An update of the environment without a release counts from when it ended."""
    stage.walk("1.0.0")
    before = later(stage)
    stage.world.stacks["production"] = ["p1", "p2"]
    ctx = stage.ctx(stage.packages.fetch(stage.packages.refs()[0].digest), "production", kind="provision")
    assert provisioning(ctx).state is State.SUCCEEDED
    after = later(stage)
    stage.world.stacks["production"] = ["p1"]
    stage.walk("1.1.0")
    later(stage)
    assert planned(stage, after).definition == release_history.as_of(stage.services(), "production", after).definition
    assert restored(stage, after).state is State.ROLLED_BACK
    assert stage.world.up["production"] == ["p1", "p2"]
    stack = planned(stage, before).stack
    assert stack is not None
    assert stack.counts == {"create": 1, "same": 2}


def test_a_run_stands_for_its_end(stage: Stage) -> None:
    """A run's id means the time at which it ended, also of one that failed; one of another environment is refused."""
    stage.walk("1.0.0")
    later(stage)
    stage.promote("1.1.0", "staging")
    stage.world.faults.add(("verify", "p1", "1.1.0"))
    failed = stage.promote("1.1.0", "production")
    assert failed.state is State.ROLLED_BACK
    later(stage)
    stage.world.faults.clear()
    stage.walk("1.2.0")
    assert release_history.as_of(stage.services(), "production", failed.id).release.version == "1.0.0"
    assert release_history.as_of(stage.services(), "production", failed.root).release.version == "1.0.0"
    with pytest.raises(OrchestratorError, match="is of production") as error:
        release_history.as_of(stage.services(), "staging", failed.id)
    assert error.value.code == "R204"


def test_what_every_release_since_has_done_is_undone(stage: Stage) -> None:
    """The undo playbooks of all releases that came since run, newest first, and only then the steps of the old one."""
    stage.promote("1.0.0", "staging")
    then = later(stage)
    for version in ("1.1.0", "1.2.0"):
        stage.promote(version, "staging", steps=UNDO)
        later(stage)
    stage.world.ledger.clear()
    plan = planned(stage, then, "staging")
    assert [(item.release.version, item.play.playbook) for item in plan.undo] == [
        ("1.2.0", "undo-two.yml"), ("1.2.0", "undo-one.yml"), ("1.1.0", "undo-two.yml"), ("1.1.0", "undo-one.yml"),
    ]  # fmt: skip
    assert restored(stage, then, "staging").state is State.ROLLED_BACK
    assert stage.world.ledger[-1].startswith("deploy.yml shop 1.0.0")


def test_nothing_is_known_of_a_time_before_the_first_release(stage: Stage) -> None:
    """A time before anything was verified, and one at which the environment was destroyed, are refused by name."""
    first = stage.store.clock.now()
    early = (datetime.fromisoformat(first) - timedelta(hours=1)).isoformat()
    stage.walk("1.0.0")
    later(stage)
    with pytest.raises(OrchestratorError, match="no release had been verified") as error:
        release_history.as_of(stage.services(), "production", early)
    assert error.value.code == "R204"
    package = stage.packages.fetch(stage.packages.refs()[0].digest)
    destruction(stage.ctx(package, "production", kind="destroy"))
    gone = later(stage)
    with pytest.raises(OrchestratorError, match="had been destroyed"):
        release_history.as_of(stage.services(), "production", gone)


def test_never_forward(stage: Stage) -> None:
    """A time at which a release ran that was gone back from since is refused: that one is promoted, if at all."""
    stage.walk("1.0.0")
    later(stage)
    stage.walk("1.1.0")
    then = later(stage)
    back(stage, "production")
    with pytest.raises(OrchestratorError, match=r"shop 1\.1\.0 was rolled back in") as error:
        release_history.as_of(stage.services(), "production", then)
    assert error.value.code == "R205"


def test_a_destroyed_environment_comes_back(stage: Stage) -> None:
    """What was destroyed since is made again by the definition of then, and the release is put on all of it."""
    stage.walk("1.0.0")
    then = later(stage)
    package = stage.packages.fetch(stage.packages.refs()[0].digest)
    assert destruction(stage.ctx(package, "production", kind="destroy")).state is State.SUCCEEDED
    later(stage)
    run = restored(stage, then)
    assert run.state is State.ROLLED_BACK
    assert stage.world.up["production"] == ["p1", "p2", "p3"]
    assert stage.versions("production") == {"1.0.0"}


def test_the_definition_of_then_must_be_kept(stage: Stage) -> None:
    """When nobody kept how the infrastructure was defined then, nothing is planned: half of what was is not what was."""
    stage.walk("1.0.0")
    then = later(stage)
    stage.world.stacks["production"] = ["p1"]
    stage.walk("1.1.0")
    del stage.world.kept[release_history.as_of(stage.services(), "production", then).definition]
    with pytest.raises(OrchestratorError) as error:
        planned(stage, then)
    assert error.value.code == "E105"
