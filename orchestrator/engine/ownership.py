"""Ownership of a run by one process: renewed while the run continues, and given up at once when it is lost.

A process works on a root under a claim that expires. A thread renews it, and checks for requests to pause or abort
the run. A process that was paused for longer than its claim lasts, and wakes up after another one has taken over,
detects that before it acts or records anything, and parks.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from orchestrator.domain.error_codes import DISK_FULL
from orchestrator.domain.errors import OrchestratorError
from orchestrator.ports import Jobs, Store
from orchestrator.resources import full

TTL = 30.0  # seconds after which a silent worker may be taken for dead
LOOK = 0.3  # seconds between checks for control requests
MARGIN = 3.0  # seconds before the end of a claim at which its jobs are ended; a quarter of a short claim
UNBEGUN = 5.0  # seconds after which a started thread that does not run lacks memory
RETRY = 1.0  # seconds between attempts to reach a database that does not answer


def name() -> str:
    """A name for a process that no other ever has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


class StopSignal:
    """A request to stop: the flow parks before its next effect, so that it can be resumed at that place.

    If a workflow executes several runs in parallel, each in its own thread, the process has parked when all of them
    have. A reason that concerns the whole process (it was replaced, nothing can be written) parks it at once.
    """

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self.parked = threading.Event()
        self.lost = threading.Event()
        self.why = ""
        self._here = threading.local()
        self._busy = threading.Lock()
        self._expected: set[str] | None = None
        self._parked_runs: set[str] = set()

    def request_stop(self) -> None:
        """Park at the next step."""
        self._wanted.set()

    @property
    def is_requested(self) -> bool:
        """Whether a stop was requested."""
        return self._wanted.is_set()

    def fail(self, why: str) -> NoReturn:
        """Park because the journal cannot be written; *why* is the reason that is reported."""
        self.why = why
        self.request_stop()
        self.park_forever()

    def park_forever(self) -> NoReturn:
        """Until the process ends; what was recorded stays, and is resumed from."""
        self._note_parked()
        while True:
            threading.Event().wait()

    def park_while(self, wanted: Callable[[], bool]) -> None:
        """Park as long as it is *wanted*: until the process ends, unless it executes other runs in parallel."""
        if self.part is None:
            self.park_forever()
        self._note_parked()
        while wanted() and not self.parked.is_set():
            if self.is_requested:
                self.park_forever()
            threading.Event().wait(LOOK)
        if self.parked.is_set():
            self.park_forever()
        with self._busy:
            self._parked_runs.discard(str(self.part))

    @property
    def part(self) -> str | None:
        """The run that this thread executes in parallel with others; None when it executes the workflow itself."""
        return getattr(self._here, "part", None)

    @contextlib.contextmanager
    def beside(self, run: str) -> Iterator[None]:
        """This thread executes *run* in parallel with others of the same workflow."""
        self._here.part = run
        try:
            yield
        finally:
            self._here.part = None

    @contextlib.contextmanager
    def together(self, runs: Iterable[str]) -> Iterator[None]:
        """The workflow waits for these *runs*, which are executed in parallel."""
        with self._busy:
            self._expected = set(runs)
        try:
            yield
        finally:
            with self._busy:
                self._expected = None

    def park_if_all_parked(self, ended: Callable[[str], bool]) -> None:
        """Mark the process as parked if all runs that the workflow waits for are parked or have *ended*."""
        with self._busy:
            expected, parked_runs = self._expected, set(self._parked_runs)
        if expected and parked_runs and all(ended(run) for run in expected - parked_runs):
            self.parked.set()

    def _note_parked(self) -> None:
        if self.part is None or self.lost.is_set():
            self.parked.set()
            return
        with self._busy:
            self._parked_runs.add(self.part)


class StuckThreadDetector:
    """Threads that were started and cannot run: their starter waits indefinitely (python/cpython#140746)."""

    def __init__(self) -> None:
        self._since: dict[threading.Thread, float] = {}

    def is_stuck(self) -> bool:
        """Whether there is a thread that could not run for so long that it never will."""
        now = time.monotonic()
        starting = [thread for thread in threading.enumerate() if thread.ident is None]
        self._since = {thread: self._since.get(thread, now) for thread in starting}
        return any(now - since > UNBEGUN for since in self._since.values())


class ClaimKeeper:
    """The `RunOwnership` of this process over one root.

    Args:
        store: where the claim is kept.
        jobs: what an abort stops.
        root: what is worked on.
        worker: this process's name.
        ttl: seconds that a claim lasts.
        stop_signal: how the flow is made to park.
        bound: the file with the end of the claim, for the supervisors of jobs; None if jobs outlive it.
    """

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        root: str,
        worker: str,
        ttl: float,
        stop_signal: StopSignal,
        bound: Path | None = None,
    ) -> None:
        self.worker = worker
        self._store, self._jobs, self._root, self._ttl, self._stop_signal = store, jobs, root, ttl, stop_signal
        self._acting: dict[int, tuple[str, str]] = {}
        self._until = 0.0
        self._bound, self._writing = bound, threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="ownership", daemon=True)

    def begin(self) -> None:
        """Renew from now on; what this process has claimed is its own for as long as a claim lasts."""
        self._last_until(time.time() + self._ttl)
        self._jobs.hold(lambda: self._until, self._bound)
        self._thread.start()

    def _renew(self) -> bool:
        """Renew the claim for its whole duration, counted from before the request. False when it is lost."""
        until = time.time() + self._ttl
        if self._root not in self._store.renew(self.worker, self._ttl):
            return False
        self._last_until(until)
        return True

    def _last_until(self, until: float) -> None:
        """Record that the claim lasts until *until* (wall-clock seconds), also for the supervisors of its jobs.

        Raises S112 and S113 when they cannot read it: jobs are ended under the claim that they know of.
        """
        with self._writing:
            self._until = max(until, self._until)
            if self._bound is None or self._ended.is_set():
                return
            new = self._bound.with_suffix(f".until.{os.getpid()}")
            try:
                new.write_text(str(self._until - min(MARGIN, self._ttl / 4)), encoding="ascii")
                new.replace(self._bound)
            except OSError as error:
                new.unlink(missing_ok=True)
                raise OrchestratorError(
                    "S113" if full(error) else "S112", f"{self._bound}: {error.strerror}"
                ) from error

    def end(self, *, done: bool = False) -> None:
        """Renew no more; when it is *done*, nothing is left of it."""
        with self._writing:
            self._ended.set()
            if done and self._bound is not None:
                self._bound.unlink(missing_ok=True)

    def check(self) -> None:
        """Return when this process may act. The database decides, since a clock may have stopped.

        While the database does not answer, this waits; when it has no space, this process parks. A result is recorded
        after a request to stop as well: the next piece of work does not start.
        """
        while not self._ended.is_set():
            try:
                if self._renew():
                    return
                self.taken_over()
            except OrchestratorError as error:
                if error.code == DISK_FULL:
                    self._stop_signal.fail(f"{error.message} (S113)")
            if self._stop_signal.is_requested:
                self._stop_signal.park_forever()
            self._ended.wait(RETRY)

    def acting(self, run: str | None, known: str = "") -> None:
        """Work for *run* starts or ends."""
        if run is None:
            self._acting.pop(threading.get_ident(), None)
        else:
            self._acting[threading.get_ident()] = run, known

    def park(self) -> None:
        """Park until the process ends; in parallel with other runs, only as long as an operator has paused this one."""
        run = self._stop_signal.part
        self._stop_signal.park_while(lambda: run is None or self._paused(run))

    def _paused(self, run: str) -> bool:
        try:
            return self._store.run(run).control == "pause"
        except OrchestratorError:  # it may answer again
            return True

    def taken_over(self) -> NoReturn:
        """Park, because another process acts for the run."""
        self._stop_signal.lost.set()
        self._stop_signal.park_forever()

    def _keep(self) -> None:
        waited, unbegun = 0.0, StuckThreadDetector()
        while not self._ended.wait(LOOK):
            waited += LOOK
            if unbegun.is_stuck():
                self._stop_signal.fail("this machine has no more memory (S116)")
            with contextlib.suppress(OrchestratorError, MemoryError):  # both may pass
                self._apply_control_requests()
                self._stop_signal.park_if_all_parked(lambda run: self._store.run(run).ended)
                if waited >= self._ttl / 3:
                    waited = 0.0
                    if not self._renew():
                        self._stop_signal.request_stop()

    def _apply_control_requests(self) -> None:
        acting = list(self._acting.values())
        for run, known in acting:
            found = self._store.run(run)
            if found.control == "abort" and found.control_at != known:
                for key in self._jobs.active():
                    if len(acting) == 1 or key.startswith(f"{run}."):
                        self._jobs.stop(key)
