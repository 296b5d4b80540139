"""The plan of an automatic rollback: computed from the journal, written down before it is gone, and gone exactly so."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.cli.words import outlook
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.plan import Acknowledgements, Loss, SkippedStep, differences
from orchestrator.domain.promotion import State
from orchestrator.domain.rollback_plan import RollbackForecast, RollbackPlan
from orchestrator.domain.rollback_text import rollback_lines
from orchestrator.flow import promotion
from orchestrator.flow.run_context import RunContext
from orchestrator.planning import rollback_plan
from orchestrator.planning.make import make
from orchestrator.planning.plan_store import load_plan
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_promotion import Stage, release

STEPS: list[dict[str, Any]] = [
    {"name": "one", "playbook": "one.yml", "undo": "undo-one.yml", "rollout": {"batches": [1, "100%"]}},
    {"name": "two", "playbook": "two.yml", "hosts": "web", "undo": "nothing"},
    {"name": "three", "playbook": "three.yml", "rollout": {"batches": [2, "100%"]}},
]


def _until(stage: Stage, run: Run, kind: str) -> MemoryStore:
    """A journal that knows of *run* what was written before its first record of this *kind*."""
    store = MemoryStore()
    store.create(run.model_copy(update={"ended_at": None}))
    for record in stage.store.records(run.id):
        if record.kind == kind:
            break
        store.append(run.id, [Entry(kind=record.kind, step=record.step, host=record.host, data=record.data)])
    return store


def _recorded(stage: Stage, run: Run) -> RollbackPlan:
    (data,) = [record.data for record in stage.store.records(run.id) if record.kind == "rollback plan"]
    plan = RollbackPlan.from_json({key: value for key, value in data.items() if key != "digest"})
    assert plan.digest == data["digest"]
    return plan


@settings(max_examples=40, deadline=None)
@given(
    fault=st.sampled_from(["deploy", "verify"]),
    host=st.sampled_from(["p1", "p2", "p3"]),
    kind=st.sampled_from(["old", "new"]),
)
def test_the_way_back_is_what_was_planned(
    tmp_path_factory: pytest.TempPathFactory, fault: str, host: str, kind: str
) -> None:
    """Whatever fails, the rollback plays exactly its plan, on the touched hosts, and the restoring steps again once the stack gives them other variables; the journal gave the same plan before the first of it."""
    stage = Stage(tmp_path_factory.mktemp("stage"))
    stage.walk("1.0.0")
    steps: list[dict[str, Any]] = (
        [{**step, "undo": None} for step in STEPS] if fault == "deploy" else STEPS
    )  # an undo would fail there, too
    stage.promote("1.1.0", "staging", steps=steps)
    stage.world.faults.add((fault, host, "1.1.0"))
    if kind == "new":
        stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    before = len(stage.world.ledger)
    run = stage.promote("1.1.0", "production", steps=steps)
    assert run.state is State.ROLLED_BACK
    plan = _recorded(stage, run)

    assert set(plan.touched) | set(plan.untouched) == set(stage.world.stacks["production"])
    assert (plan.definition is not None) is (kind == "new")
    plays = [(item.play.playbook, "1.1.0", host) for item in plan.undo for host in item.play.limit]
    restored = [(play.playbook, "1.0.0", host) for play in plan.restore for host in play.limit]
    assert (plan.second_pass is not None) is (kind == "new")
    again = plan.second_pass.restore if plan.second_pass is not None else ()
    kept = [
        (play.playbook, "1.0.0", host) for play in again for host in play.limit if host in stage.world.up["production"]
    ]
    plays += [*restored, *kept]
    lines = [line.split() for line in stage.world.ledger[before:]]
    done = [
        (line[0], line[2], line[3].rpartition("/")[2]) for line in lines if len(line) == 4
    ]  # the stack's are shorter
    assert [item for item in done if item[1] == "1.0.0" or item[0].startswith("undo")] == plays
    assert {host for _, _, host in done} == set(plan.touched)

    services = stage.services()
    object.__setattr__(services, "store", _until(stage, run, "rollback plan"))
    assert rollback_plan.current_rollback_plan(services, services.store.run(run.id)) == plan


def test_steps_that_are_left_out_are_named(tmp_path: Path) -> None:
    """The plan of a promotion, that of its rollback and that of a rollback by hand name each step that is neither undone nor run again, with its declaration."""
    stage, seed = Stage(tmp_path), {**STEPS[1], "name": "seed", "undo": "impossible"}
    stage.walk("1.0.0", steps=[*STEPS, seed], named=Acknowledgements(no_return=("seed",)))
    at_once: list[dict[str, Any]] = [{**step, "rollout": {}} for step in STEPS]
    stage.promote("1.1.0", "staging", steps=at_once)
    stage.world.faults.add(("verify", "p3", "1.1.0"))
    run = stage.promote("1.1.0", "production", steps=at_once)
    skipped = [
        ("two", "1.1.0", "nothing"),
        ("one", "1.0.0", "undo-one.yml"), ("two", "1.0.0", "nothing"), ("seed", "1.0.0", "impossible"),
    ]  # fmt: skip
    assert run.plan is not None
    planned, back = load_plan(stage.services(), run.plan), _recorded(stage, run)
    assert [_skipped(item) for item in (planned.rollback_target.skipped, back.skipped)] == [skipped, skipped]
    lines = rollback_lines(back.document())
    assert "seed of shop 1.0.0: not run again (undo: impossible)" in lines
    assert "two of shop 1.1.0: not undone (undo: nothing)" in lines
    assert planned.rollback_target.release is not None
    wanted = PlanRequest(stage.packages.fetch(planned.rollback_target.release.digest), "staging", "rollback")
    by_hand = make(stage.services(), wanted, "p", lambda _entry: None)
    assert _skipped(by_hand.skipped) == skipped
    assert differences(by_hand, by_hand.model_copy(update={"skipped": ()})) == ["the steps that are left out"]


def _skipped(steps: tuple[SkippedStep, ...]) -> list[tuple[str, str, str]]:
    return [(item.step, item.release.version, item.undo) for item in steps]


def test_what_has_no_plan_has_no_way_back(tmp_path: Path) -> None:
    """Before it has a plan, a promotion has no way back to be shown (R137), and has touched nothing."""
    stage = Stage(tmp_path)
    run = stage.promote("1.0.0", "staging")
    services = stage.services()
    object.__setattr__(services, "store", _until(stage, run, "planned"))
    with pytest.raises(OrchestratorError) as caught:
        rollback_plan.current_rollback_plan(services, services.store.run(run.id).model_copy(update={"plan": None}))
    assert caught.value.code == "R137"


def test_a_closed_way_back_says_why(tmp_path: Path) -> None:
    """Where a rollback would ask for a person, so does the question for it: a first release has nothing to go back to (R132)."""
    stage = Stage(tmp_path)
    run = stage.promote("1.0.0", "staging")
    services = stage.services()
    object.__setattr__(services, "store", _until(stage, run, "ended"))
    with pytest.raises(OrchestratorError) as caught:
        rollback_plan.current_rollback_plan(services, services.store.run(run.id))
    assert caught.value.code == "R132"


def _dies(stage: Stage, step: str) -> Run:
    """A promotion of 1.1.0 into production, whose process has died before *step*."""
    stage.promote("1.1.0", "staging")
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "production")

    def crash(name: str, when: str) -> None:
        if (name, when) == (step, "before"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        promotion(RunContext(ctx.services, MemoryDurable({}, crash), ctx.run))
    return stage.store.run(ctx.run.id)


@pytest.mark.parametrize(("kept", "lost"), [("", ["p4"]), ("protect", ["p4"]), (None, [])])
def test_a_stack_that_would_stay_is_told_beforehand(tmp_path: Path, kept: str | None, lost: list[str]) -> None:
    """While the promotion is under way it is known whether going back would delete a stateful or protected resource, and the digest is that of the plan without it."""
    stage = Stage(tmp_path)
    stage.walk("1.0.0")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.stateful = [{"name": "p4"}] if kept == "" else []
    stage.world.wanted.update({"p4": kept} if kept else {})
    run = _dies(stage, "deploy.1")
    before = list(stage.world.ledger)
    plan = rollback_plan.current_rollback_plan(stage.services(), run)
    seen = rollback_plan.preview_rollback(stage.services(), run, plan, "look")
    assert seen is not None
    assert (seen.how, seen.why, seen.stays) == ("preview", "", bool(lost))
    assert [loss.name for loss in seen.losses] == lost
    assert seen.counts == {"delete": 1, "same": 3}
    assert stage.world.ledger == before
    assert rollback_plan.current_rollback_plan(stage.services(), run).digest == plan.digest


def test_what_is_known_while_the_stack_is_updated(tmp_path: Path) -> None:
    """While the stack is being updated Pulumi is not asked: the promotion's own plan, the other way round, says what would be lost."""
    stage = Stage(tmp_path)
    stage.walk("1.0.0")
    stage.world.stacks["production"] = ["p1", "p2", "p4"]  # p3 goes, p4 comes
    run = _dies(stage, "provision")
    stage.stateful = [{"name": "p3"}, {"name": "p4"}]
    plan = rollback_plan.current_rollback_plan(stage.services(), run)
    seen = rollback_plan.preview_rollback(stage.services(), run, plan, "look")
    assert seen is not None
    assert (seen.how, seen.why) == ("plan", "an update of the stack is running")
    assert [str(loss) for loss in seen.losses] == ["delete memory:host p4 (stateful by its name p4)"]


def test_a_stack_that_stays_is_not_asked_for(tmp_path: Path) -> None:
    """Where the promotion has not changed the stack there is nothing to foresee."""
    stage = Stage(tmp_path)
    stage.walk("1.0.0")
    run = _dies(stage, "deploy.1")
    assert (
        rollback_plan.preview_rollback(
            stage.services(), run, rollback_plan.current_rollback_plan(stage.services(), run), "look"
        )
        is None
    )


def test_what_is_foreseen_in_words() -> None:
    """A person reads whether the infrastructure would stay, by whose word, and that it is looked at again."""
    loss = Loss(op="delete", type="t", name="db", urn="urn:db", why="its declaration has protect")
    told = outlook(RollbackForecast(how="plan", why="an update of the stack is running", losses=(loss,)))
    assert told[0] == "Pulumi did not preview it: an update of the stack is running"
    assert "it would delete t db (its declaration has protect): the infrastructure would stay, and" in told[1]
    assert "nothing stateful would be replaced or deleted (1 delete, 2 same)" in "".join(
        outlook(RollbackForecast(how="preview", counts={"delete": 1, "same": 2}))
    )
    assert outlook(None) == []
