"""Durable execution of a flow on DBOS, behind the one small port that the flow sees.

Each thing that was asked for in one go (a *root*) is one workflow, and one executor of DBOS: DBOS recovers the work
of an executor when a process launches it under the same id, so two processes must never launch the same one. A file
lock per root sees to that, and also tells whether anybody is working on it now.

The library is imported when an engine is opened, not before: it takes half a second.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from orchestrator.domain.errors import OrchestratorError
from orchestrator.ports import Durable

Walk = Callable[[Durable, dict[str, Any]], dict[str, Any]]

WORKFLOWS = "1"  # raised by hand, only for a change of the flow that old recorded runs could not follow


class Brake:
    """A person's wish to stop: the flow parks before its next effect, so that it can be resumed from there."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self.parked = threading.Event()

    def pull(self) -> None:
        """Park at the next step."""
        self._wanted.set()

    def hold(self) -> None:
        """Called before each effect: returns at once, or never, when the brake was pulled."""
        if self._wanted.is_set():
            self.parked.set()
            threading.Event().wait()  # until the process ends; what was recorded stays, and is resumed from


class Steps:
    """The `Durable` port on DBOS: replay, else run, then record."""

    def __init__(self, dbos: Any, brake: Brake) -> None:
        self._dbos, self._brake = dbos, brake

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """The recorded answer of *name*, or that of *work*."""

        def held() -> Any:
            self._brake.hold()
            return work()

        return self._dbos.run_step({"name": name}, held)

    def sleep(self, name: str, seconds: float) -> None:  # noqa: ARG002 - the name is for engines that want one
        """Wait; the time that has passed before a restart counts."""
        self._brake.hold()
        if seconds > 0:
            self._dbos.sleep(seconds)


class Engine:
    """Starts and resumes walks, one process at a time per root.

    Args:
        url: where DBOS keeps its tables.
        folder: where the locks are.
        walk: the flow, as a function of the `Durable` port and its arguments (JSON data), which returns JSON data.
    """

    def __init__(self, url: str, folder: Path, walk: Walk) -> None:
        self._url, self._folder, self._walk = url, folder, walk
        self._lock: IO[str] | None = None
        self._dbos: Any = None
        self.brake = Brake()

    def begin(self, root: str, arguments: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """Start the walk *root*, or go on with it, in threads of this process. Returns a way to wait for its answer.

        Raises S120 when another process is working on it.
        """
        self._take(root)
        self._make_private()
        from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID

        DBOS(
            config={
                "name": "orchestrator",
                "system_database_url": self._url,
                "serializer": DBOSPortableJSONSerializer(),
                "application_version": WORKFLOWS,
                "executor_id": root,
                "log_level": "CRITICAL",
                "notification_listener_polling_interval_sec": 0.2,
            }
        )
        steps, walk = Steps(DBOS, self.brake), self._walk

        @DBOS.workflow(name="walk", max_recovery_attempts=None)  # the default gives up after 100 restarts
        def workflow(data: dict[str, Any]) -> dict[str, Any]:
            return walk(steps, data)

        DBOS.launch()
        self._dbos = DBOS
        with SetWorkflowID(root):
            handle = DBOS.start_workflow(workflow, arguments)
        return handle.get_result

    def working(self, root: str) -> bool:
        """Whether any process is working on *root* now."""
        with contextlib.suppress(FileNotFoundError), (self._folder / f"{root}.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    def close(self) -> None:
        """Let go of the database and of the root."""
        if self._dbos is not None:
            self._dbos.destroy()
            self._dbos = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _make_private(self) -> None:
        """Make the file of an SQLite database before DBOS does, which would let others read it."""
        if self._url.startswith("sqlite:///"):
            path = self._url.removeprefix("sqlite:///")
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))

    def _take(self, root: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.fdopen(os.open(self._folder / f"{root}.lock", os.O_CREAT | os.O_RDWR, 0o600), "r+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise OrchestratorError("S120", f"the process {holder} is working on {root} already") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
