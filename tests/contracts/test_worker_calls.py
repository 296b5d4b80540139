"""The contract of the `WorkerCalls` port, kept by every adapter of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.adapters.database.worker_calls import DatabaseWorkerCalls
from orchestrator.adapters.memory.worker_calls import MemoryWorkerCalls
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.worker_calls import CLAIM_LASTS, WorkerCall
from orchestrator.register_ports import WorkerCalls

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ANN = Actor(name="ann")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def calls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WorkerCalls]:
    made: WorkerCalls = MemoryWorkerCalls()
    if request.param == "sqlite":
        made = DatabaseWorkerCalls(f"sqlite:///{tmp_path}/state.db", "shop")
    if request.param == "postgres":
        made = DatabaseWorkerCalls(request.getfixturevalue("postgres").fresh(), "shop")
    yield made
    made.close()


def call(name: str, minute: int = 0) -> WorkerCall:
    at = NOON + timedelta(minutes=minute)
    return WorkerCall(id=name, case="plans.make", arguments={"environment": "staging"}, actor=ANN, at=at)


def test_the_oldest_call_is_taken_until_its_claim_ends(calls: WorkerCalls) -> None:
    """The oldest call that waits is taken by one worker, and by another one when the claim has ended."""
    calls.add(call("b", 1))
    calls.add(call("a"))
    first = calls.take("one", NOON)
    assert first is not None
    assert (first.id, first.holder, first.until) == ("a", "one", NOON + CLAIM_LASTS)
    second = calls.take("two", NOON)
    assert (second and second.id, calls.take("three", NOON)) == ("b", None)
    assert calls.change(first.model_copy(update={"until": NOON + 2 * CLAIM_LASTS}))
    later = calls.take("three", NOON + CLAIM_LASTS)
    assert later is not None
    assert (later.id, calls.get("a")) == ("b", first.model_copy(update={"until": NOON + 2 * CLAIM_LASTS}))
    assert second is not None
    assert not calls.change(second.model_copy(update={"ended_at": NOON}))


def test_a_call_that_has_ended_is_not_taken_again(calls: WorkerCalls) -> None:
    """A call with a result is read with it, does not change any more, and is removed when it is old."""
    calls.add(call("a"))
    taken = calls.take("one", NOON)
    assert taken is not None
    done = taken.model_copy(update={"ended_at": NOON, "result": {"digest": "sha256:1"}})
    assert (calls.change(done), calls.change(done), calls.get("a")) == (True, False, done)
    assert calls.take("two", NOON + timedelta(days=1)) is None
    calls.remove_before(NOON)
    assert calls.get("a") == done
    calls.remove_before(NOON + timedelta(seconds=1))
    assert calls.get("a") is None


def test_of_many_workers_one_has_a_call(calls: WorkerCalls) -> None:
    """Of eight workers at the same moment, exactly one takes the only call."""
    calls.add(call("a"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: calls.take(str(number), NOON), range(8)))
    assert len([each for each in found if each is not None]) == 1
