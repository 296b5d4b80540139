"""What was rolled back stays rolled back, until a newer release comes or somebody says why it may come again."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.journal import STOPPED, Entry, Run
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.flow import promotion
from orchestrator.planning import guard, make, plan_store
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_promotion import Stage, release
from tests.flow.test_rollback_targets import back


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """1.0.0 runs in production, and 1.1.0, which breaks there, has come back from it."""
    made = Stage(tmp_path)
    made.walk("1.0.0")
    made.promote("1.1.0", "staging")
    made.world.faults.add(("verify", "p2", "1.1.0"))
    assert made.promote("1.1.0", "production").state is State.ROLLED_BACK
    return made


def code(stage: Stage, run: Run) -> object:
    failure = stage.failure(run)["failure"]
    return failure["code"] if isinstance(failure, dict) else None


def again(stage: Stage, version: str, why: str) -> Run:
    package = stage.packages.put(release(version))
    return promotion(stage.ctx(package, "production", override_reason=why))


def test_the_same_release_is_refused(stage: Stage) -> None:
    """What was rolled back is refused before any effect (exit 3), whatever has become of the reason, and a newer release may go."""
    stage.world.faults.clear()
    before = list(stage.world.ledger)
    run = stage.promote("1.1.0", "production")
    assert (run.state, stage.failure(run)["exit"], code(stage, run)) == (State.FAILED, 3, "R203")
    assert "was rolled back in production by r4-production" in run.message
    assert stage.world.ledger == before
    assert stage.walk("1.2.0").state is State.SUCCEEDED


def test_a_reason_lets_it_go_again(stage: Stage) -> None:
    """With a reason it goes, the journal has the reason, and once it went well nothing is held against it."""
    stage.world.faults.clear()
    run = again(stage, "1.1.0", "the load balancer was to blame")
    assert run.state is State.SUCCEEDED
    told = [
        record.data
        for record in stage.store.records(run.id)
        if record.kind == "notice" and "override_reason" in record.data
    ]
    assert [(item["override_reason"], item["of"]) for item in told] == [
        ("the load balancer was to blame", "r4-production")
    ]
    assert stage.promote("1.1.0", "production").state is State.SUCCEEDED


def test_one_that_comes_back_a_second_time_is_held_again(stage: Stage) -> None:
    """A reason is good for one run only."""
    assert again(stage, "1.1.0", "try").state is State.ROLLED_BACK
    assert code(stage, stage.promote("1.1.0", "production")) == "R203"


def test_a_rollback_by_hand_counts_as_well(stage: Stage) -> None:
    """What somebody went back from, and what a run that needed a person had begun, is held like what came back by itself; what was restored is not."""
    stage.walk("1.2.0")
    stage.automatic = False
    stage.world.faults.add(("verify", "p1", "1.3.0"))
    stage.promote("1.3.0", "staging")
    assert stage.promote("1.3.0", "production").state is State.NEEDS_INTERVENTION
    assert back(stage, "production").state is State.ROLLED_BACK
    every = {run.release.digest for run in stage.store.runs("production") if run.release is not None}
    digests = guard.rolled_back_releases(stage.services(), "production", every)
    held = {stage.packages.fetch(digest).ref.version for digest in digests}
    assert held == {"1.1.0", "1.2.0", "1.3.0"} - {stage.store.verified("production")[0].release.version}
    assert code(stage, stage.promote("1.3.0", "production")) == "R203"


def test_a_person_who_stopped_it_need_not_say_why(stage: Stage) -> None:
    """A promotion that was cancelled says nothing about its release: it may be promoted again."""
    stage.promote("1.2.0", "staging")
    ctx = stage.ctx(stage.packages.put(release("1.2.0")), "production")

    def stop(name: str, when: str) -> None:
        if (name, when) == ("deploy.1", "after"):
            stage.store.append(ctx.run.id, [Entry(kind="control", data={"control": "cancel", "by": "ann"})])

    ctx.durable = MemoryDurable({}, stop)
    assert promotion(ctx).state is State.ROLLED_BACK
    assert stage.promote("1.2.0", "production").state is State.SUCCEEDED


def test_other_environments_are_not_concerned(stage: Stage) -> None:
    """What came back from production may still go to staging."""
    assert stage.promote("1.1.0", "staging").state is State.SUCCEEDED


def test_an_approved_plan_is_no_reason(stage: Stage) -> None:
    """A plan of such a release says so beforehand, and is refused without a reason although it still holds."""
    stage.world.faults.clear()
    package = stage.packages.put(release("1.1.0"))
    plan = make.make(stage.services(), PlanRequest(package, "production"), "p", lambda _entry: None)
    plan_store.save(stage.services(), plan)
    assert any("--allow-rolled-back -m WHY" in note for note in plan.notes)
    run = promotion(stage.ctx(package, "production", approved=plan.digest))
    assert code(stage, run) == "R203"
    run = promotion(stage.ctx(package, "production", approved=plan.digest, override_reason="it was the network"))
    assert (run.state, run.plan) == (State.SUCCEEDED, plan.digest)


def test_there_is_no_rollback_of_a_rollback(stage: Stage) -> None:
    """A rollback that fails, by itself or by hand, asks for a person: nothing else is begun by itself."""
    stage.walk("1.2.0")
    stage.world.faults |= {("verify", "p1", "1.3.0"), ("verify", "p1", "1.2.0")}
    stage.promote("1.3.0", "staging")
    assert stage.promote("1.3.0", "production").state is State.NEEDS_INTERVENTION
    count = len(stage.store.runs("production"))
    assert back(stage, "production").state is State.NEEDS_INTERVENTION
    assert len(stage.store.runs("production")) == count + 1


def test_where_staging_is_made_for_each_nothing_is_held(tmp_path: Path) -> None:
    """A release that failed in an ephemeral environment was gone back from to nothing, and may try again."""
    stage = Stage(tmp_path, ephemeral={"ttl": "1h"})
    stage.world.faults.add(("verify", "s1", "1.0.0"))
    assert stage.promote("1.0.0", "staging").state is State.ROLLED_BACK
    stage.world.faults.clear()
    assert stage.promote("1.0.0", "staging").state is State.SUCCEEDED


Event = tuple[str, int]
EVENTS = st.lists(
    st.tuples(st.sampled_from(["bad", "stopped", "good", "stuck", "restored", "failed"]), st.integers(0, 3))
)


def write(stage: Stage, events: list[Event]) -> list[Run]:
    """A run for each of *events*, as a promotion or a rollback would leave it."""
    ends = {
        "bad": ("promotion", State.ROLLED_BACK, None),
        "stopped": ("promotion", State.ROLLED_BACK, {"code": STOPPED}),
        "good": ("promotion", State.SUCCEEDED, None),
        "stuck": ("promotion", State.NEEDS_INTERVENTION, None),
        "restored": ("rollback", State.ROLLED_BACK, None),
        "failed": ("promotion", State.FAILED, None),
    }
    for number, (what, which) in enumerate(events):
        kind, state, failure = ends[what]
        ref = PackageRef(name="shop", version=f"{which}.0.0", digest=f"sha256:{which:064d}")
        run = Run.from_json({"id": f"{number}", "root": f"{number}", "kind": kind, "environment": "production"})
        stage.store.create(run.model_copy(update={"release": ref}))
        data = {"state": state.value, "exit": 0, "failure": failure}
        stage.store.append(run.id, [Entry(kind="ended", data=data, key="ended")])
    return stage.store.runs("production")[::-1]


def folded(events: list[Event], runs: list[Run]) -> dict[str, Run]:
    """The releases that were gone back from, by every run from the first one on."""
    found: dict[str, Run] = {}
    present, stuck = "", set[str]()
    for (what, which), run in zip(events, runs, strict=True):
        digest = f"sha256:{which:064d}"
        if what == "bad":
            found[digest] = run
        elif what == "stuck":
            stuck.add(digest)
        elif what in {"good", "restored"}:
            if what == "restored":
                found |= dict.fromkeys({*stuck, *([present] if present else [])} - {digest}, run)
            present, stuck = digest, set()
            found.pop(digest, None)
    return found


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS)
def test_the_newest_runs_decide_as_all_of_them_would(tmp_path: Path, events: list[Event]) -> None:
    """What is read from the newest run on says of each release what a fold over every run says of it."""
    stage = Stage(tmp_path)
    wanted = folded(events, write(stage, events))
    every = [f"sha256:{which:064d}" for which in range(4)]
    assert guard.rolled_back_releases(stage.services(), "production", every) == wanted
    for digest in every:
        alone = guard.rolled_back_releases(stage.services(), "production", (digest,))
        assert alone == {key: run for key, run in wanted.items() if key == digest}
        assert guard.rolled_back_by(stage.services(), "production", digest) == wanted.get(digest)
