"""What runs on hosts is what they say; what cannot be asked is unknown, and blocks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.journal import Entry, Kind, Run
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.flow import WORKFLOWS, promotion
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.targets import runs_there
from tests.flow.test_promotion import Stage, ref_of, release

PLACE = "production"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def do(stage: Stage, kind: Kind, about: Mapping[str, Any] | None = None) -> Run:
    """Run an observation or a decision in production."""
    stage.count += 1
    run = Run(id=f"r{stage.count}-{PLACE}", root=f"r{stage.count}", kind=kind, environment=PLACE, by="ann")
    stage.store.create(run)
    stage.store.append(run.id, [Entry(kind="requested", data={"parameters": about or {}}, key="requested")])
    return WORKFLOWS[run.kind](RunContext(stage.services(), MemoryDurable({}), run))


def truths(stage: Stage) -> dict[str, tuple[str, str | None]]:
    return {state.host: (state.truth, state.digest) for state in stage.store.hosts(PLACE)}


def record(stage: Stage, state: HostState) -> None:
    """Write down what is known of a host, as if a run had found it out."""
    run = stage.store.runs(PLACE)[0]
    stage.store.append(run.id, [Entry(kind="host", host=state.host, data=state.to_json())])


def notices(stage: Stage, run: Run) -> list[str]:
    return [item.data["text"] for item in stage.store.records(run.id) if item.kind == "notice"]


def test_observing_writes_down_what_hosts_say(stage: Stage) -> None:
    """After `observe` each host is recorded with the digest that it named itself, also one whose package is not known here."""
    run = stage.walk("1.0.0")
    stage.world.running[PLACE, "p2"] = "sha256:" + "a" * 64
    ended = do(stage, "observe")
    assert ended.state is State.SUCCEEDED
    assert truths(stage)["p1"] == ("seen", ref_of(run).digest)
    assert truths(stage)["p2"] == ("seen", "sha256:" + "a" * 64)
    assert ref_of(next(state for state in stage.store.hosts(PLACE) if state.host == "p2")).name == "unknown"
    assert stage.store.lease(PLACE) is None


def test_a_service_of_another_version_does_not_count(stage: Stage) -> None:
    """A host whose running service tells another version than its release's is named, and the release is not taken for running everywhere."""
    stage.walk("1.0.0")
    ref = stage.store.verified(PLACE)[0].release
    assert runs_there(stage.services(), PLACE, ref)
    stage.world.serves = {"p1": "1.0.0", "p2": "0.9.9"}
    run = do(stage, "observe")
    assert [text for text in notices(stage, run) if "reports 0.9.9" in text]
    states = {state.host: (state.truth, state.differs) for state in stage.store.hosts(PLACE)}
    assert states == {"p1": ("seen", False), "p2": ("seen", True), "p3": ("seen", False)}
    assert not runs_there(stage.services(), PLACE, ref)
    stage.world.serves = {}
    do(stage, "observe")
    assert runs_there(stage.services(), PLACE, ref)


def test_a_host_that_does_not_answer_is_unknown(stage: Stage) -> None:
    """A host that cannot be reached becomes unknown, the observation says so, and the others are seen."""
    stage.walk("1.0.0")
    stage.world.gone.add("p2")
    ended = do(stage, "observe")
    failure = stage.failure(ended)
    assert (ended.state, failure["exit"], failure["failure"]["code"]) == (State.FAILED, 1, "R161")
    assert [truth for truth, _ in truths(stage).values()] == ["seen", "unknown", "seen"]
    stage.world.gone.clear()
    assert do(stage, "observe").state is State.SUCCEEDED
    assert truths(stage)["p2"][0] == "seen"


def test_unknown_blocks_until_it_is_decided(stage: Stage) -> None:
    """A promotion is refused before any effect while an unknown host is silent; a person's decision by name lifts that."""
    good = stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.gone.add("p2")
    do(stage, "observe")
    ledger = list(stage.world.ledger)
    run = stage.promote("1.1.0", PLACE)
    assert (stage.failure(run)["exit"], stage.failure(run)["failure"]["code"]) == (3, "R160")
    assert stage.world.ledger == ledger

    ended = do(stage, "override", {"host": "p2", "release": ref_of(good).to_json(), "why": "its disk is with me"})
    assert ended.state is State.SUCCEEDED
    assert truths(stage)["p2"] == ("assumed", ref_of(good).digest)
    step = next(
        item for item in stage.store.records(ended.id) if item.step == "accept" and item.kind == "step.finished"
    )
    assert step.data["message"] == "ann declared that p2 runs shop 1.0.0: its disk is with me"
    assert stage.failure(stage.promote("1.1.0", PLACE))["failure"]["code"] != "R160"


def test_a_host_that_is_seen_blocks_nothing(stage: Stage) -> None:
    """A host that is recorded as unknown and answers when the plan is made is no reason to refuse."""
    stage.walk("1.0.0")
    record(stage, HostState(host="p2", truth="unknown"))
    assert stage.walk("1.1.0").state is State.SUCCEEDED


def test_what_a_host_said_is_not_overruled(stage: Stage) -> None:
    """A decision about a host that is not unknown is refused, and nothing is written."""
    stage.walk("1.0.0")
    before = truths(stage)
    ended = do(stage, "override", {"host": "p2", "release": None, "why": "I say so"})
    assert (stage.failure(ended)["exit"], stage.failure(ended)["failure"]["code"]) == (3, "R162")
    assert truths(stage) == before


def test_hosts_are_asked_after_a_doubt(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a deployment ends so that nobody can say what it did, the hosts are asked before the run ends."""
    good = stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), PLACE)
    deployer = ctx.services.deployer

    def dies(*words: Any, **more: Any) -> Any:
        raise ValueError("the machinery broke")

    monkeypatch.setattr(deployer, "deploy", dies)
    run = promotion(ctx)
    assert run.state is State.NEEDS_INTERVENTION
    assert [step for step in stage.kinds(run, "step.started") if step.startswith("observe")] == [
        "observe.1",
        "observe.2",
    ]
    assert set(truths(stage).values()) == {("seen", ref_of(good).digest)}


def test_a_promotion_notices_that_the_store_is_older(stage: Stage) -> None:
    """Where hosts have seen a newer fence than the store knows, their word is written down, the fence is raised, and the promotion goes on to a good end."""
    first = stage.walk("1.0.0")
    second = stage.walk("1.1.0")
    stage.store._fences[PLACE] = 1
    for host in ("p1", "p2", "p3"):
        record(stage, HostState(host=host, truth="seen", release=first.release))
    run = stage.walk("1.2.0")
    assert run.state is State.SUCCEEDED
    assert stage.world.releases(PLACE) == [ref_of(run).digest] * 3
    (text,) = [text for text in notices(stage, run) if "older than the hosts" in text]
    assert "p1 1.1.0" in text
    told = [item.data["release"]["digest"] for item in stage.store.records(run.id) if item.kind == "host"]
    assert told[:3] == [ref_of(second).digest] * 3


@pytest.mark.parametrize("where", ["plan:before", "plan:done", "plan:after"])
def test_reconciling_survives_a_crash(stage: Stage, where: str) -> None:
    """A process that dies around the step that reconciles leaves one notice, and the next one goes on."""
    stage.walk("1.0.0")
    stage.store._fences[PLACE] = 0
    stage.promote("1.1.0", "staging")
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), PLACE)
    answers: dict[str, Any] = {}

    def crash(name: str, when: str) -> None:
        if f"{name}:{when}" == where:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        promotion(RunContext(ctx.services, MemoryDurable(answers, crash), ctx.run))
    run = promotion(RunContext(ctx.services, MemoryDurable(answers), ctx.run))
    assert run.state is State.SUCCEEDED
    assert len([text for text in notices(stage, run) if "older than the hosts" in text]) == 1


def test_observing_reconciles_as_well(stage: Stage) -> None:
    """`observe` on a store that is older than the hosts raises its fence, so that what comes next is not refused."""
    stage.walk("1.0.0")
    stage.world.fences.update({(PLACE, host): 40 for host in ("p1", "p2", "p3")})
    assert do(stage, "observe").state is State.SUCCEEDED
    assert stage.store._fences[PLACE] > 40
    assert stage.walk("1.1.0").state is State.SUCCEEDED
    assert PackageRef.from_json(stage.store.verified(PLACE)[0].release.to_json()).version == "1.1.0"
