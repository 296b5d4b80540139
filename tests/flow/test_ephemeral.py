"""An environment that is made for each promotion: gone afterwards, however it ended, and never another one's."""

from pathlib import Path

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.domain.journal import Run
from orchestrator.domain.promotion import State
from orchestrator.flow import destruction, promotion, provisioning, reaping
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect import leftovers
from orchestrator.inspect.facts import facts_of
from orchestrator.planning import make
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_promotion import Crash, Stage, ref_of, release


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, ephemeral={"ttl": "1h"})


def code(stage: Stage, run: Run) -> object:
    return stage.failure(run)["failure"]["code"]


def reap(stage: Stage, of: Run) -> Run:
    """The run that a reaper asks for."""
    from orchestrator.domain.journal import Entry

    stage.count += 1
    run = Run(id=f"r{stage.count}-staging", root=f"r{stage.count}", kind="reap", environment="staging", by="worker")
    stage.store.create(run)
    stage.store.append(run.id, [Entry(kind="requested", data={"parameters": {"run": of.id}}, key="requested")])
    return reaping(RunContext(services=stage.services(), durable=MemoryDurable({}), run=run))


def left(stage: Stage) -> list[str]:
    return [item.run.id for item in leftovers.leftovers(stage.services())]


def test_it_is_gone_after_a_promotion_that_succeeded(stage: Stage) -> None:
    """The stack is destroyed and its hosts are told as gone, and what was verified there counts for what comes after it."""
    run = stage.promote("1.0.0", "staging")
    assert (run.state, stage.failure(run)["exit"]) == (State.SUCCEEDED, 0)
    assert "staging" not in stage.world.up
    assert stage.store.hosts("staging") == []
    assert stage.world.ledger[-1] == "destroy staging"
    assert left(stage) == []
    assert facts_of(stage.services(), "staging", lambda _root: False).hosts == ()
    assert stage.promote("1.0.0", "production").state is State.SUCCEEDED


def test_it_is_gone_after_a_promotion_that_failed(stage: Stage) -> None:
    """Nothing is rolled back in it: what was made for the release is destroyed, whatever was verified there before."""
    stage.promote("1.0.0", "staging")
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    run = stage.promote("1.1.0", "staging")
    assert (run.state, stage.failure(run)["exit"]) == (State.ROLLED_BACK, 4)
    assert "staging" not in stage.world.up
    assert [line for line in stage.world.ledger if "1.0.0" in line] == ["deploy.yml shop 1.0.0 staging/s1"]
    assert [mark.release.version for mark in stage.store.verified("staging")] == ["1.0.0"]
    assert left(stage) == []


def test_a_stack_that_stops_half_way_is_gone_too(stage: Stage) -> None:
    """An update that fails after it began is followed by the destruction of what it made."""
    stage.world.stacks["staging"] = ["s1", "s2"]
    spec = stage.services().provisioner.definition(stage.services().environment("staging")[0], stage.folder)
    stage.world.faults.add(("up", "staging", spec.definition))
    assert stage.promote("1.0.0", "staging").state is State.ROLLED_BACK
    assert stage.world.ledger == ["up staging half-way", "destroy staging"]


def test_it_is_kept_for_a_look_until_its_time_is_over(stage: Stage) -> None:
    """With `keep_on_failure` it stays and keeps others out, is due after its `ttl`, and a reaper destroys it."""
    stage.ephemeral = {"ttl": "1h", "keep_on_failure": True}
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    run = stage.promote("1.1.0", "staging")
    assert run.state is State.NEEDS_INTERVENTION
    assert "staging is kept for inspection until 2026-" in run.message
    assert stage.world.up["staging"] == ["s1"]
    [found] = leftovers.leftovers(stage.services())
    clock = stage.store.clock
    assert isinstance(clock, ManualClock)
    assert not found.due(clock.now())
    other = stage.promote("1.2.0", "staging")
    assert (other.state, code(stage, other)) == (State.FAILED, "R209")
    clock.sleep(3601)
    assert found.due(clock.now())
    assert reap(stage, run).state is State.SUCCEEDED
    assert "staging" not in stage.world.up
    assert left(stage) == []
    assert stage.promote("1.2.0", "staging").state is State.SUCCEEDED


def test_a_person_who_stops_it_does_not_want_to_look(stage: Stage) -> None:
    """A promotion that was cancelled leaves nothing behind, also with `keep_on_failure`."""
    from orchestrator.domain.journal import Entry

    stage.ephemeral = {"keep_on_failure": True}
    ctx = stage.ctx(stage.packages.put(release("1.0.0")), "staging")

    def stop(name: str, when: str) -> None:
        if (name, when) == ("deploy.1", "after"):
            stage.store.append(ctx.run.id, [Entry(kind="control", data={"control": "cancel", "by": "ann"})])

    ctx.durable = MemoryDurable({}, stop)
    assert promotion(ctx).state is State.ROLLED_BACK
    assert "staging" not in stage.world.up


def test_what_is_stateful_is_never_destroyed(stage: Stage) -> None:
    """A stack with a stateful resource is left as it is, and a person is asked; the release counts as verified all the same."""
    stage.stateful = [{"name": "s1"}]
    run = stage.promote("1.0.0", "staging")
    assert (run.state, code(stage, run)) == (State.NEEDS_INTERVENTION, "R208")
    assert stage.world.up["staging"] == ["s1"]
    assert stage.promote("1.0.0", "production").state is State.SUCCEEDED
    again = reap(stage, run)
    assert (again.state, code(stage, again)) == (State.FAILED, "R208")


def test_a_stack_that_no_promotion_made_is_none_of_its_business(stage: Stage) -> None:
    """Where somebody else has made something, a promotion is refused before any effect, and nothing is ever destroyed."""
    package = stage.packages.put(release("1.0.0"))
    assert provisioning(stage.ctx(package, "staging", kind="provision")).state is State.SUCCEEDED
    before = list(stage.world.ledger)
    run = stage.promote("1.0.0", "staging")
    assert (run.state, code(stage, run)) == (State.FAILED, "E141")
    assert stage.world.ledger == before


@pytest.mark.parametrize("taken", ["destroyed", "brought up to date"])
def test_what_a_person_has_taken_over_is_not_reaped(stage: Stage, taken: str) -> None:
    """A stack that a person has destroyed, or made his own, since a promotion made it is no promotion's any more."""
    stage.ephemeral = {"keep_on_failure": True}
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    run = stage.promote("1.1.0", "staging")
    package = stage.packages.put(release("1.1.0"))
    if taken == "destroyed":
        by_operator = destruction(stage.ctx(package, "staging", kind="destroy"))
    else:
        by_operator = provisioning(stage.ctx(package, "staging", kind="provision"))
    assert by_operator.state is State.SUCCEEDED
    assert left(stage) == []
    before = list(stage.world.ledger)
    assert reap(stage, run).state is State.SUCCEEDED
    assert stage.world.ledger == before


def test_a_destruction_that_fails_is_tried_again_by_a_reaper(stage: Stage) -> None:
    """When the environment cannot be destroyed the release stays verified, a person is told, and a reaper may try later."""
    stage.world.faults.add(("destroy", "staging", ""))
    run = stage.promote("1.0.0", "staging")
    assert run.state is State.NEEDS_INTERVENTION
    assert left(stage) == [run.id]
    stage.world.faults.clear()
    assert reap(stage, run).state is State.SUCCEEDED
    assert left(stage) == []


def test_each_release_has_a_stack_of_its_own(stage: Stage) -> None:
    """With `per: release` the stack is named after the release, and has the configuration of the environment's own."""
    stage.ephemeral = {"per": "release"}
    package = stage.packages.put(release("1.0.0+build.7"))
    services = leftovers.with_ephemeral_stack(stage.services(), "staging", package.ref)
    from orchestrator.inspect.stacks import stack_of

    spec = stack_of(services, "staging")
    assert spec is not None
    assert (spec.stack, spec.configured) == (f"staging-1.0.0-build.7-{package.digest[7:15]}", "staging")
    production = stack_of(services, "production")
    assert production is not None
    assert production.stack == "production"


def test_the_plan_says_so(stage: Stage) -> None:
    """A plan says that the environment is made for it, for how long at the longest, and covers that by its digest."""
    package = stage.packages.put(release("1.0.0"))
    plan = make.make(stage.services(), PlanRequest(package, "staging"), "p", lambda _entry: None)
    assert plan.ephemeral is not None
    assert "staging is made for this promotion and destroyed after it, within 1h" in plan.notes
    assert not any("nothing to roll back to" in note for note in plan.notes)


def test_nothing_is_rolled_back_there(stage: Stage) -> None:
    """A rollback of such an environment is refused: there is nothing to go back to."""
    from orchestrator.domain.errors import OrchestratorError

    run = stage.promote("1.0.0", "staging")
    package = stage.packages.fetch(ref_of(run).digest)
    with pytest.raises(OrchestratorError) as error:
        make.make(stage.services(), PlanRequest(package, "staging", "rollback"), "p", lambda _entry: None)
    assert error.value.code == "R134"


@pytest.mark.parametrize("fails", [False, True])
def test_a_crash_at_any_step_leaves_nothing_behind(stage: Stage, tmp_path: Path, fails: bool) -> None:
    """Whatever recorded step the process dies after, the recovered run destroys what was made, once."""
    number = 0
    while True:
        number += 1
        trial = Stage(tmp_path, ephemeral={"ttl": "1h"})
        if fails:
            trial.world.faults.add(("verify", "s1", "1.0.0"))
        seen = [0]

        def crash(_name: str, when: str, seen: list[int] = seen, at: int = number) -> None:
            seen[0] += when == "after"
            if when == "after" and seen[0] == at:
                raise Crash

        ctx = trial.ctx(trial.packages.put(release("1.0.0")), "staging")
        answers: dict[str, object] = {}
        ctx.durable = MemoryDurable(answers, crash)
        try:
            promotion(ctx)
            died = False
        except Crash:
            died = True
            again = RunContext(services=trial.services(), durable=MemoryDurable(answers), run=ctx.run)
            assert promotion(again).state is (State.ROLLED_BACK if fails else State.SUCCEEDED)
        assert "staging" not in trial.world.up
        assert trial.world.ledger.count("destroy staging") == 1
        assert left(trial) == []
        if not died:
            break
    assert number > 6
