"""The scheduler: one process at a time, fenced, and one failing duty keeps no other from being done."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.app.acting import Acting, change
from orchestrator.app.scheduler import LEASE_LASTS, DutyReport, Scheduler, do_each, is_running
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from tests.app.desk import NOON


@dataclass
class Note:
    """A duty that records a note each time it is due."""

    name: str = "note"
    done: list[str] = field(default_factory=list)
    fails: bool = False

    def due(self, now: Now) -> bool:
        """Always."""
        return now.is_certain

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Write an entry."""
        if self.fails:
            raise OrchestratorError("S112", "the database is away")
        change(acting, Action.OBSERVE, lambda task: task.record("note:1", detail={"at": str(now.earliest)}))
        self.done.append("noted")
        return ("noted",)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def scheduler(register: MemoryRegister, clock: ManualClock, holder: str, *duties: Note) -> Scheduler:
    return Scheduler(Acting(register, SYSTEM_ACTOR, clock), holder, duties)


def test_one_process_at_a_time_does_what_is_due(clock: ManualClock) -> None:
    """While one process has the lease another one does nothing; after its end, or when it leaves, the other does."""
    register, note = MemoryRegister(clock=clock), Note()
    one, other = (scheduler(register, clock, name, note) for name in ("a", "b"))
    assert list(one.run()) == [DutyReport("note", "noted")]
    assert list(other.run()) == []
    clock.sleep(LEASE_LASTS.total_seconds() + 1)
    assert list(other.run()) == [DutyReport("note", "noted")]
    assert list(one.run()) == []
    other.release_lease()
    assert not is_running(register.scheduler(), Now.at(clock.now()))
    assert list(one.run()) == [DutyReport("note", "noted")]
    assert is_running(register.scheduler(), Now.at(clock.now()))


def test_a_process_that_was_replaced_changes_nothing(clock: ManualClock) -> None:
    """A change with the fence of an earlier holder is refused with S103, and nothing is recorded."""
    register = MemoryRegister(clock=clock)
    late = register.take_scheduler("a", NOON + timedelta(seconds=1))
    clock.sleep(2)
    assert register.take_scheduler("b", NOON + timedelta(hours=1)) is not None
    acting = Acting(register, SYSTEM_ACTOR, clock, fence=late.fence if late else None)
    with pytest.raises(OrchestratorError, match="fence 1 is older than 2"):
        list(Note().do(acting, Now.at(NOON)))
    assert register.reading(lambda records: records.head().index) == 0


def test_a_duty_that_fails_is_reported(clock: ManualClock) -> None:
    """The others are done, and the failure has its code."""
    register = MemoryRegister(clock=clock)
    found = list(scheduler(register, clock, "a", Note("first", fails=True), Note("second")).run())
    assert found == [
        DutyReport("first", "S112: the database is away", failed=True),
        DutyReport("second", "noted"),
    ]


def test_an_object_that_fails_keeps_no_other_from_being_done() -> None:
    """A duty does the others, and fails at the end with the names of all that failed; a database that is away ends it at once."""
    done: list[str] = []

    def work(name: str) -> Iterable[str]:
        done.append(name)
        if name.startswith("bad"):
            raise OrchestratorError("G203" if name == "bad 1" else "R101", f"why of {name}")
        if name == "away":
            raise OrchestratorError("S112", "the database is away")
        yield f"{name} is done"

    found = do_each(["a", "bad 1", "b", "bad 2", "c"], work, lambda name: name.upper())
    with pytest.raises(OrchestratorError) as error:
        list(found)
    assert done == ["a", "bad 1", "b", "bad 2", "c"]
    assert (error.value.code, error.value.message) == ("G203", "BAD 1: why of bad 1; BAD 2: why of bad 2 (R101)")
    done.clear()
    with pytest.raises(OrchestratorError, match="the database is away"):
        list(do_each(["bad 1", "away", "a"], work))
    assert done == ["bad 1", "away"]
