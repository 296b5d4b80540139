"""The plan of an automatic rollback: computed from the journal, written down before it is gone, and gone exactly so."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.promotion import State
from orchestrator.domain.way_back import RollbackPlan
from orchestrator.flow import way_back
from tests.flow.test_promotion import Stage

STEPS = [
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
    (data,) = [record.data for record in stage.store.records(run.id) if record.kind == "way back"]
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
    """Whatever fails, the rollback plays exactly its plan, on the touched hosts, and the journal gave the same plan before the first of it."""
    stage = Stage(tmp_path_factory.mktemp("stage"))
    stage.walk("1.0.0")
    steps = [{**step, "undo": None} for step in STEPS] if fault == "deploy" else STEPS  # an undo would fail there, too
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
    plays += [(play.playbook, "1.0.0", host) for play in plan.restore for host in play.limit]
    lines = [line.split() for line in stage.world.ledger[before:]]
    done = [
        (line[0], line[2], line[3].rpartition("/")[2]) for line in lines if len(line) == 4
    ]  # the stack's are shorter
    assert [item for item in done if item[1] == "1.0.0" or item[0].startswith("undo")] == plays
    assert {host for _, _, host in done} == set(plan.touched)

    setting = stage.setting()
    object.__setattr__(setting, "store", _until(stage, run, "way back"))
    assert way_back.under_way(setting, setting.store.run(run.id)) == plan


def test_what_has_no_plan_has_no_way_back(tmp_path: Path) -> None:
    """Before it has a plan, a promotion has no way back to be shown (R137), and has touched nothing."""
    stage = Stage(tmp_path)
    run = stage.promote("1.0.0", "staging")
    setting = stage.setting()
    object.__setattr__(setting, "store", _until(stage, run, "planned"))
    with pytest.raises(OrchestratorError) as caught:
        way_back.under_way(setting, setting.store.run(run.id).model_copy(update={"plan": None}))
    assert caught.value.code == "R137"


def test_a_closed_way_back_says_why(tmp_path: Path) -> None:
    """Where a rollback would ask for a person, so does the question for it: a first release has nothing to go back to (R132)."""
    stage = Stage(tmp_path)
    run = stage.promote("1.0.0", "staging")
    setting = stage.setting()
    object.__setattr__(setting, "store", _until(stage, run, "ended"))
    with pytest.raises(OrchestratorError) as caught:
        way_back.under_way(setting, setting.store.run(run.id))
    assert caught.value.code == "R132"
