"""Room for what is done: how it is looked at, what says that there is none, and what is done then."""

import errno
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from orchestrator import resources
from orchestrator.domain.errors import OrchestratorError
from orchestrator.engine import ownership
from orchestrator.engine.durable import record_or_park
from orchestrator.engine.ownership import StopSignal


def test_what_is_lacking_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with room lacks nothing; where there is too little, it is said how much there is and how much is needed."""
    assert resources.shortage(tmp_path) == ""
    monkeypatch.setattr(resources, "NEEDED", 2**60)
    assert resources.shortage(tmp_path).startswith(f"{tmp_path} has ")
    assert resources.shortage(tmp_path).endswith(f"at least {2**40} MiB are needed")


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "jobs/1/job.json"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (sqlite3.OperationalError("database or disk is full"), True),
        (sqlite3.OperationalError("database is locked"), False),
        (None, False),
    ],
)
def test_what_says_that_there_is_none(error: BaseException | None, full: bool) -> None:
    """A full disk, a used-up quota and a database without space are told from every other error."""
    assert resources.full(error) is full


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "processes"),
        (OSError(errno.EMFILE, "Too many open files"), "files"),
        (RuntimeError("can't start new thread"), "threads"),
        (RuntimeError("something else"), ""),
        (OSError(errno.ENOENT, "No such file or directory"), ""),
    ],
)
def test_what_a_machine_has_no_more_of(error: BaseException, what: str) -> None:
    """A machine without memory, processes, files or threads is told from every other error."""
    assert resources.exhausted(error) == what


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.EAGAIN, "again"),
        OSError(errno.ENOSPC, "no space"),
        OrchestratorError("S112", "the store cannot be used"),
        OrchestratorError("S115", "the store has the schema 9999"),
    ],
)
def test_without_room_a_walk_stands_still(error: BaseException, tmp_path: Path) -> None:
    """Work that finds no room, or a store in which nothing can be written, is not judged by it: its process stands still before anything is recorded, and says why."""
    brake, after = StopSignal(), list[str]()

    def work() -> None:
        raise error

    def walk() -> None:
        record_or_park(brake, tmp_path, work)
        after.append("went on")

    threading.Thread(target=walk, daemon=True).start()
    assert brake.parked.wait(10)
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    code = error.code if isinstance(error, OrchestratorError) else "S113" if full else "S116"
    assert brake.why.endswith(f"({code})")
    assert after == []


def test_a_thread_that_cannot_begin_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that could not begin for want of memory is noticed after a while, and one that runs never is."""
    monkeypatch.setattr(ownership, "UNBEGUN", 0.2)
    watch, started = ownership.StuckThreadDetector(), threading.Event()

    class Broken(threading.Thread):
        def _bootstrap(self) -> None:
            started.wait(20)
            super()._bootstrap()  # type: ignore[misc]  # private: the types of the library do not have it

    assert not watch.is_stuck()
    threading.Thread(target=Broken().start, daemon=True).start()
    began = time.monotonic()
    while not watch.is_stuck():
        assert time.monotonic() - began < 10
        time.sleep(0.02)
    assert time.monotonic() - began > 0.15
    started.set()
    while watch.is_stuck():
        assert time.monotonic() - began < 10
        time.sleep(0.02)
