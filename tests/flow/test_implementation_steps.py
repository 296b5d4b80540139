"""Implementation plans as steps of a promotion: their order, their ends, and what a rollback does with them."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.promotion import State
from orchestrator.flow import promotion
from orchestrator.flow.halt import OwnershipLost
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.rollback_plan import current_rollback_plan
from tests.flow.test_promotion import Stage, release
from tests.flow.test_rollback_targets import back, planned

ONE = {"name": "one", "playbook": "one.yml", "undo": "undo-one.yml"}
SWITCH = {"name": "switch", "implementation": "switch.yaml", "undo": "switch-back.yaml"}
TWO = {"name": "two", "playbook": "two.yml", "undo": "undo-two.yml"}
STEPS: dict[str, Any] = {"steps": [ONE, SWITCH, TWO]}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Staging runs 1.0.0."""
    made = Stage(tmp_path)
    made.promote("1.0.0", "staging")
    made.world.ledger.clear()
    return made


def done(stage: Stage) -> list[str]:
    """What was done, without the release and the host of each play."""
    return [line.split(" shop ")[0] for line in stage.world.ledger]


def waiting(stage: Stage, version: str = "1.1.0") -> RunContext:
    """A promotion to staging whose plan has not ended."""
    stage.world.waiting.add("switch.yaml")
    ctx = stage.ctx(stage.packages.put(release(version, **STEPS)), "staging")
    with pytest.raises(OwnershipLost):
        promotion(ctx)
    return ctx


def again(stage: Stage, ctx: RunContext) -> Run:
    """What the next process of the run does, after the run was continued."""
    durable = ctx.durable
    assert isinstance(durable, MemoryDurable)
    return promotion(RunContext(stage.services(), durable, ctx.run))


def control(stage: Stage, run: str, verb: str) -> None:
    stage.store.append(run, [Entry(kind="control", data={"control": verb, "by": "ann"})])


def test_it_starts_at_its_place_and_the_next_step_follows_its_end(stage: Stage) -> None:
    """The plan starts once, after the step before it, and the step after it starts when it is completed."""
    assert stage.promote("1.1.0", "staging", **STEPS).state is State.SUCCEEDED
    assert done(stage) == ["one.yml", "start switch.yaml IP-1", "two.yml"]


def test_a_run_waits_without_a_process(stage: Stage) -> None:
    """While the plan has not ended the run is paused by it and keeps its environment; then it continues where it was."""
    ctx = waiting(stage)
    run = stage.store.run(ctx.run.id)
    assert (run.control, run.control_by, run.state) == ("pause", "IP-1", State.DEPLOYING)
    lease = stage.store.lease("staging")
    assert lease is not None
    assert lease.holder == run.id
    control(stage, run.id, "")
    with pytest.raises(OwnershipLost):
        again(stage, ctx)
    stage.world.waiting.clear()
    control(stage, run.id, "")
    assert again(stage, ctx).state is State.SUCCEEDED
    assert done(stage) == ["one.yml", "start switch.yaml IP-1", "two.yml"]


def test_a_plan_that_ends_while_the_pause_is_recorded_pauses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that ends between the two reads continues the run itself: nothing else would."""
    stage.world.waiting.add("switch.yaml")
    ctx = stage.ctx(stage.packages.put(release("1.1.0", **STEPS)), "staging")
    append = type(stage.store).append

    def ending(store: Any, run: str, entries: Any, *more: Any) -> None:
        append(store, run, entries, *more)
        if any(entry.kind == "control" for entry in entries):
            stage.world.waiting.clear()

    monkeypatch.setattr(type(stage.store), "append", ending)
    assert promotion(ctx).state is State.SUCCEEDED
    assert stage.store.run(ctx.run.id).control == ""


def test_an_aborted_plan_is_rolled_back(stage: Stage) -> None:
    """A plan that is aborted fails its step: what came before is undone, newest first, and its own undo is started."""
    stage.world.faults.add(("implement", "switch.yaml", "1.1.0"))
    run = stage.promote("1.1.0", "staging", **STEPS)
    assert run.state is State.ROLLED_BACK
    assert stage.failure(run)["failure"]["code"] == "G409"
    assert done(stage)[:4] == ["one.yml", "start switch.yaml IP-1", "start switch-back.yaml IP-2", "undo-one.yml"]


def test_a_rollback_undoes_plans_in_the_order_of_steps(stage: Stage) -> None:
    """A later failure undoes the steps after the plan first, then the plan by its own, then those before it."""
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    assert stage.promote("1.1.0", "staging", **STEPS).state is State.ROLLED_BACK
    assert done(stage)[3:6] == ["undo-two.yml", "start switch-back.yaml IP-2", "undo-one.yml"]


def test_a_rollback_whose_plan_is_aborted_needs_intervention(stage: Stage) -> None:
    """If the plan that undoes another one is aborted, nothing more is undone, and a user has to act."""
    stage.world.faults |= {("verify", "s1", "1.1.0"), ("implement", "switch-back.yaml", "1.1.0")}
    run = stage.promote("1.1.0", "staging", **STEPS)
    assert run.state is State.NEEDS_INTERVENTION
    assert done(stage)[-1] == "start switch-back.yaml IP-2"


@pytest.mark.parametrize(("undo", "state"), [("nothing", State.ROLLED_BACK), ("impossible", State.NEEDS_INTERVENTION)])
def test_what_nothing_undoes(stage: Stage, undo: str, state: State) -> None:
    """`nothing` is left as it is, with a note in the plan; after `impossible` there is no automatic rollback."""
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    steps = [ONE, {**SWITCH, "undo": undo}, TWO]
    ctx = stage.ctx(stage.packages.put(release("1.1.0", steps=steps)), "staging")
    ctx.acknowledgements = ctx.acknowledgements.model_copy(update={"no_return": ("switch",)})
    run = promotion(ctx)
    assert run.state is state
    assert len([line for line in done(stage) if line.startswith("start")]) == 1
    plan = ctx.pinned_plan()
    assert plan.points_of_no_return == (("switch",) if undo == "impossible" else ())
    skipped = [(item.step, item.undo) for item in plan.rollback_target.skipped]
    assert (("switch", "nothing") in skipped) == (undo == "nothing")


@pytest.mark.parametrize("verb", ["cancel", "abort"])
def test_a_stopped_run_aborts_its_plan(stage: Stage, verb: str) -> None:
    """A run that is stopped while it waits aborts the plan and is rolled back."""
    ctx = waiting(stage)
    control(stage, ctx.run.id, verb)
    assert again(stage, ctx).state is State.ROLLED_BACK
    assert done(stage)[2:4] == ["abort IP-1", "start switch-back.yaml IP-2"]


def test_a_crash_at_any_point_starts_one_plan(stage: Stage) -> None:
    """A process that dies at any point of the step, or of what undoes it, leaves a run that starts each plan once."""
    for name in ("implement.switch", "undo.implementation.1.switch"):
        for point in ("before", "done", "after"):
            stage.world.ledger.clear()
            stage.world.plans.clear()
            stage.world.faults.add(("verify", "s1", "1.1.0"))
            ctx = stage.ctx(stage.packages.put(release("1.1.0", **STEPS)), "staging", override_reason="again")

            def crash(step: str, when: str, name: str = name, point: str = point) -> None:
                if (step, when) == (name, point):
                    raise KeyboardInterrupt

            ctx.durable = MemoryDurable({}, crash)
            with pytest.raises(KeyboardInterrupt):
                promotion(ctx)
            ctx.durable._crash = lambda _name, _when: None
            assert again(stage, ctx).state is State.ROLLED_BACK
            assert [line for line in done(stage) if line.startswith("start")] == [
                "start switch.yaml IP-1",
                "start switch-back.yaml IP-2",
            ], (name, point)


def test_the_rollback_plan_names_them(stage: Stage) -> None:
    """The rollback plan of a run that waits has what would undo the plan, and none before it was started."""
    ctx = waiting(stage)
    plan = current_rollback_plan(stage.services(), stage.store.run(ctx.run.id))
    assert [(item.step, item.template, item.position) for item in plan.reversals] == [("switch", "switch-back.yaml", 0)]
    assert [item.play.step for item in plan.undo] == ["one"]


def test_a_requested_rollback_undoes_them(stage: Stage) -> None:
    """A rollback that an operator requests starts the plan that undoes the one of the release, at its place."""
    stage.promote("1.1.0", "staging", **STEPS)
    stage.world.ledger.clear()
    plan = planned(stage)
    assert [(item.step, item.position) for item in plan.reversals] == [("switch", 1)]
    assert back(stage).state is State.ROLLED_BACK
    assert done(stage)[:3] == ["undo-two.yml", "start switch-back.yaml IP-2", "undo-one.yml"]


def test_a_requested_rollback_undoes_what_a_run_left(stage: Stage) -> None:
    """After a run that needed intervention, a rollback undoes the plan that it has started, and only once."""
    stage.automatic = False
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    assert stage.promote("1.1.0", "staging", **STEPS).state is State.NEEDS_INTERVENTION
    assert [item.step for item in planned(stage).reversals] == ["switch"]
    stage.world.faults.add(("implement", "switch-back.yaml", "1.1.0"))
    assert back(stage).state is State.NEEDS_INTERVENTION
    assert [item.step for item in planned(stage).reversals] == ["switch"]
    stage.world.faults.clear()
    assert back(stage).state is State.ROLLED_BACK


def test_a_rehearsal_does_not_repeat_them(stage: Stage) -> None:
    """A rehearsal rolls back and repeats the playbooks; the plan is started once, and is not undone in it."""
    run = stage.promote("1.1.0", "staging", rehearse=True, **STEPS)
    assert run.state is State.SUCCEEDED
    assert [line for line in done(stage) if line.startswith("start")] == ["start switch.yaml IP-1"]
    assert done(stage).count("two.yml") == 2


def test_a_release_has_a_step_with_a_playbook(stage: Stage) -> None:
    """A release whose steps are implementation plans alone is refused."""
    with pytest.raises(ValueError, match="have no playbook"):
        release("1.1.0", steps=[SWITCH])
