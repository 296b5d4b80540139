"""The scheduler: one process at a time, fenced, and one failing duty keeps no other from being done."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from orchestrator.adapters.audit_head import HeadFile
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.register import DatabaseRegister
from orchestrator.adapters.memory.keys import MemoryKeys
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


LASTS = timedelta(seconds=1.2)
T = TypeVar("T")


@dataclass
class Slow(Note):
    """A duty that has begun once its file has a line, and that takes *seconds* before it writes its note."""

    seconds: float = 0.0
    file: Path = Path()

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Write an entry, late."""
        with self.file.open("a") as lines:
            lines.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        return super().do(acting, now)


def in_database(folder: Path, holder: str, seconds: float) -> Scheduler:
    """A scheduler of its own at a database that others have open, too, with a lease that lasts a moment."""
    clock, heads = SystemClock(), HeadFile(folder / "head")
    register = DatabaseRegister(f"sqlite:///{folder}/state.db", clock, "shop", MemoryKeys(), heads)
    duty = Slow("slow", seconds=seconds, file=folder / "begun")
    return Scheduler(Acting(register, SYSTEM_ACTOR, clock), holder, (duty,), LASTS)


def work_elsewhere(folder: Path, seconds: float) -> None:
    """A process with a scheduler, and a duty that takes some seconds."""
    reports = list(in_database(folder, "elsewhere", seconds).run())
    (folder / "reports").write_text(str(reports))


def until(finds: Callable[[], T], seconds: float = 30.0) -> T:
    """What is found, once it is anything."""
    end = time.monotonic() + seconds
    while not (found := finds()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("killed", [False, True], ids=["works", "kill -9"])
def test_a_duty_that_takes_longer_than_the_lease_is_done_by_one_process(tmp_path: Path, killed: bool) -> None:
    """No process takes the lease from one whose duty lasts three times as long; once it was killed, another one does all."""
    here, begun = in_database(tmp_path, "here", 0.0), tmp_path / "begun"
    seconds = 3 * LASTS.total_seconds() * (100 if killed else 1)
    process = multiprocessing.get_context("spawn").Process(target=work_elsewhere, args=(tmp_path, seconds))
    process.start()
    try:
        until(begun.exists)
        end = time.monotonic() + 2.5 * LASTS.total_seconds()
        while time.monotonic() < end:
            assert list(here.run()) == []
            time.sleep(0.1)
        if killed:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        reports = until(lambda: list(here.run()))
    finally:
        process.kill()
        here.acting.register.close()
    assert reports == [DutyReport("slow", "noted")]
    assert len(begun.read_text().split()) == 2
    assert (tmp_path / "reports").exists() is not killed
    if not killed:
        assert (tmp_path / "reports").read_text() == str(reports)


def test_a_process_that_wakes_up_too_late_does_not_keep_the_lease(clock: ManualClock) -> None:
    """A lease that ended meanwhile, and that another process had, is not extended: what is under way is refused, and the next one acts."""
    register, note = MemoryRegister(clock=clock), Note()
    other = replace(scheduler(register, clock, "b", note), lasts=LASTS)

    class Stopped(Note):
        """A duty whose process is stopped while another one acts and leaves."""

        def do(self, acting: Acting, now: Now) -> Iterable[str]:
            assert acting.fence == 1
            register.release_scheduler("a")
            assert list(other.run()) == [DutyReport("note", "noted")]
            other.release_lease()
            until(lambda: (lease := register.scheduler()) is not None and lease.holder == "a" and lease.fence == 3)
            until(lambda: not is_running(register.scheduler(), Now.at(clock.now())))
            return super().do(acting, now)

    found = list(replace(scheduler(register, clock, "a", Stopped("stopped")), lasts=LASTS).run())
    assert [(each.failed, each.text[:4]) for each in found] == [(True, "S103")]
    assert list(other.run()) == [DutyReport("note", "noted")]
