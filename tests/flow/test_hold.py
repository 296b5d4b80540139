"""A freeze that begins during a run: what it holds, what it never stops, and what is checked again."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.promotion import State
from orchestrator.flow import going_back, promotion
from orchestrator.flow.run_context import RunContext
from orchestrator.ports.lists import queue_of
from orchestrator.services import Services
from tests.flow.test_promotion import Stage, release


@dataclass
class Freeze:
    """An `Entrance` that closes when a step begins, and opens after so many polls; *asked* at each of them."""

    stage: Stage
    at: str
    polls: int = 3
    seen: list[str] = field(default_factory=list)
    leases: list[bool] = field(default_factory=list)
    closes: bool = False

    def admit(self, services: Services, run: Run, *, plan: str | None, overrun: bool) -> None:
        """It is open at first."""

    def passed(self, run: Run) -> tuple[str, ...]:
        """What was passed of another freeze."""
        del run
        return ("passed by ann: payments are down",)

    def closed(self, run: Run) -> str:
        """Closed until enough polls have been seen."""
        if not self.closes or self.polls == 0:
            return ""
        self.polls -= 1
        self.leases.append(self.stage.store.lease(run.environment) is not None)
        return "hard freeze 'year end' by cid"

    def reached(self, name: str, when: str) -> None:
        """It closes when the step begins."""
        self.seen.append(name)
        self.closes = self.closes or (name == self.at and when == "before")


def promote(stage: Stage, at: str, meanwhile: object = None) -> tuple[Run, Freeze]:
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    freeze = Freeze(stage, at)
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "production")
    ctx.services = replace(ctx.services, entrance=freeze)
    ctx.durable = MemoryDurable({}, freeze.reached)
    return promotion(ctx), freeze


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("at", ["plan", "build", "deploy.1"])
def test_a_run_without_an_effect_is_held_and_continues(stage: Stage, at: str) -> None:
    """It lets the environment go, waits until it opens, and then does what it was to do."""
    run, freeze = promote(stage, at)
    assert run.state is State.SUCCEEDED
    assert freeze.leases == [True, False, False]
    texts = [record.data.get("text", "") for record in stage.store.records(run.id) if record.kind == "notice"]
    assert f"held before {at}: production is closed: hard freeze 'year end' by cid" in texts
    assert any(text.startswith("production is open: held for") for text in texts)
    assert texts.count("passed by ann: payments are down") == 1


def test_a_run_with_an_effect_is_not_held(stage: Stage) -> None:
    """After the first change it completes, whatever closes."""
    run, freeze = promote(stage, "deploy.2")
    assert (run.state, freeze.leases) == (State.SUCCEEDED, [])


def test_what_has_changed_meanwhile_stops_a_held_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that got another release while the run was held ends it before any change, with what has changed."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    freeze = Freeze(stage, "deploy.1")
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "production")

    def changing(run: Run) -> str:
        if freeze.closes and freeze.polls == 1:
            stage.world.running["production", "p2"] = "sha256:" + "9" * 64
        return Freeze.closed(freeze, run)

    monkeypatch.setattr(freeze, "closed", changing)
    ctx.services = replace(ctx.services, entrance=freeze)
    ctx.durable = MemoryDurable({}, freeze.reached)
    before = list(stage.world.ledger)
    run = promotion(ctx)
    assert run.state is State.FAILED, run.message
    assert stage.world.ledger == before
    assert stage.store.lease("production") is None


@pytest.mark.parametrize(("wish", "state"), [("cancel", State.FAILED)])
def test_a_held_run_is_cancelled_without_an_effect(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, wish: str, state: State
) -> None:
    """An operator ends what is held: nothing was changed, and nothing is left in the queue."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    freeze = Freeze(stage, "deploy.1", polls=1000)
    ctx: RunContext = stage.ctx(stage.packages.put(release("1.1.0")), "production")

    def wished(run: Run) -> str:
        if freeze.closes and freeze.polls == 990:
            stage.store.append(run.id, [Entry(kind="control", data={"control": wish, "by": "ann"})])
        return Freeze.closed(freeze, run)

    monkeypatch.setattr(freeze, "closed", wished)
    ctx.services = replace(ctx.services, entrance=freeze)
    ctx.durable = MemoryDurable({}, freeze.reached)
    run = promotion(ctx)
    assert (run.state, queue_of(stage.store, "production"), stage.store.lease("production")) == (state, [], None)


def test_a_rollback_is_never_held(stage: Stage) -> None:
    """Neither one that an operator requested, nor that of a promotion that fails while the environment is closed."""
    stage.walk("1.0.0")
    stage.walk("1.1.0")
    freeze = Freeze(stage, "lease", closes=True)
    ctx = stage.ctx(stage.packages.put(release("1.0.0")), "production", "rollback")
    ctx.services = replace(ctx.services, entrance=freeze)
    assert going_back(ctx).state is State.ROLLED_BACK
    stage.world.faults.add(("deploy", "p2", "1.2.0"))
    stage.promote("1.2.0", "staging")
    ctx = stage.ctx(stage.packages.put(release("1.2.0")), "production")
    failing = Freeze(stage, "deploy.2", polls=1000)
    ctx.services = replace(ctx.services, entrance=failing)
    ctx.durable = MemoryDurable({}, failing.reached)
    assert (promotion(ctx).state, failing.leases) == (State.ROLLED_BACK, [])
