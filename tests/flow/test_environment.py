"""An environment by itself, on the world in memory."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.journal import Entry, Kind, Run
from orchestrator.domain.plan import NOTHING, Acknowledgements
from orchestrator.domain.promotion import State
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.run_context import RunContext
from tests.flow.test_promotion import Stage

NAMED = Acknowledgements(replace=("p3",))


def test_resolving(tmp_path: Path) -> None:
    """A person's decision about interrupted creates is a run of its own: it holds the environment, reaches Pulumi, and gives the environment back."""
    stage = Stage(tmp_path)
    services = stage.services()
    run = Run(id="r-staging", root="r", kind="resolve", environment="staging")
    services.store.create(run)
    about = {"created": {"urn:a": "1"}, "absent": ["*"], "why": "looked"}
    services.store.append(run.id, [Entry(kind="requested", data={"parameters": about}, key="requested")])
    ended = WORKFLOWS["resolve"](RunContext(services, MemoryDurable({}), run))
    assert (ended.state, ended.message) == (State.SUCCEEDED, "staging is settled")
    assert stage.world.ledger == ["resolve staging: urn:a=1 *"]
    assert services.store.lease("staging") is None


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """1.0.0 runs on p1 to p3 of production, and p3 is stateful."""
    made = Stage(tmp_path)
    made.walk("1.0.0")
    made.stateful = [{"name": "p3"}]
    return made


def _ask(stage: Stage, kind: Kind, named: Acknowledgements = NOTHING, durable: MemoryDurable | None = None) -> Run:
    stage.count += 1
    run = Run(id=f"e{stage.count}-production", root=f"e{stage.count}", kind=kind, environment="production")
    stage.store.create(run)
    return WORKFLOWS[kind](RunContext(stage.services(), durable or MemoryDurable({}), run, acknowledgements=named))


@pytest.mark.parametrize(
    ("kind", "code", "option"), [("provision", "R230", "--replace"), ("destroy", "R231", "--delete")]
)
def test_what_is_stateful_is_only_lost_by_its_name(stage: Stage, kind: Kind, code: str, option: str) -> None:
    """To update or destroy an environment so that something stateful goes is refused with nothing changed, until exactly that is named."""
    stage.world.stacks["production"] = ["p1", "p2"]
    before = list(stage.world.ledger)
    for named in (NOTHING, Acknowledgements(replace=("p2",))):
        run = _ask(stage, kind, named)
        ended = stage.failure(run)
        assert (run.state, ended["exit"], ended["failure"]["code"]) == (State.FAILED, 3, code)
        assert f"delete memory:host p3 (stateful by its name p3) ({option} p3 agrees to that)" in run.message
    assert stage.world.ledger == before
    assert stage.store.lease("production") is None
    assert _ask(stage, kind, NAMED).state is State.SUCCEEDED
    assert stage.world.up.get("production", []) == (["p1", "p2"] if kind == "provision" else [])


@pytest.mark.parametrize("kind", ["provision", "destroy"])
def test_what_the_program_wants_kept_needs_no_rule(stage: Stage, kind: Kind) -> None:
    """A resource that its program protects or retains counts without a rule; what Pulumi protects it refuses to delete, named or not."""
    stage.stateful = []
    stage.world.wanted["p3"] = "retainOnDelete"
    stage.world.stacks["production"] = ["p1", "p2"]
    assert "its declaration has retainOnDelete" in _ask(stage, kind).message
    stage.world.wanted["p3"] = "protect"
    if kind == "provision":
        run = _ask(stage, kind, NAMED)
        assert (run.state, stage.failure(run)["failure"]["code"]) == (State.FAILED, "E140")


def test_an_update_that_loses_nothing_needs_no_word(stage: Stage) -> None:
    """An update that leaves what is stateful where it is goes through, with or without something stateful in the stack."""
    stage.world.stacks["production"] = ["p1", "p3", "p4"]
    assert _ask(stage, "provision").state is State.SUCCEEDED
    assert stage.world.up["production"] == ["p1", "p3", "p4"]
    stage.stateful = []
    stage.world.stacks["production"] = ["p1"]
    assert _ask(stage, "provision").state is State.SUCCEEDED


@pytest.mark.parametrize("kind", ["provision", "destroy"])
@pytest.mark.parametrize(
    ("name", "when"), [("look", "before"), ("look", "done"), ("look", "after"), ("provision", "done")]
)
def test_a_crash_changes_nothing_of_that(stage: Stage, kind: Kind, name: str, when: str) -> None:
    """Wherever the process dies, what was agreed to is done once, as it was recorded."""
    stage.world.stacks["production"] = ["p1", "p2"]
    answers: dict[str, Any] = {}
    run = Run(id="x-production", root="x", kind=kind, environment="production")
    stage.store.create(run)

    def crash(step: str, moment: str) -> None:
        if (step, moment) == (name, when):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WORKFLOWS[kind](RunContext(stage.services(), MemoryDurable(answers, crash), run, acknowledgements=NAMED))
    ended = WORKFLOWS[kind](RunContext(stage.services(), MemoryDurable(answers), run, acknowledgements=NAMED))
    assert ended.state is State.SUCCEEDED
