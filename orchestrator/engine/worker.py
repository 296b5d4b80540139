"""A worker: takes requests from its queue, and executes each root in a process of its own.

The worker itself has one thread and no state: processes that it has started continue when it is killed, and waiting
requests are in the store. Where it is safe, the processes are forked from it, so that they start in milliseconds.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from orchestrator.domain.error_codes import HAS_PROCESS, STORE_NEWER
from orchestrator.domain.errors import Exit, OrchestratorError
from orchestrator.domain.journal import QueuedRequest, QueueEntry, request_parameters, run_id
from orchestrator.domain.waves import BACK
from orchestrator.domain.worker import WorkerConfig, WorkerEvent
from orchestrator.engine.call_processes import Begin, CallProcesses
from orchestrator.engine.durable import Engine
from orchestrator.ports import Store
from orchestrator.ports.lists import each_takeable, queue_of
from orchestrator.secret_values import process_secrets

TIDY = 30.0  # seconds between checks for what is past its time
DUTIES = 5.0  # seconds between two times at which what is due is done
LOOK = 0.5  # seconds between checks whether there is news in the store
LATEST = 5.0  # seconds after which the store is read without news: claims and locks expire without news
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a root whose process died is taken again
STOPPING = (signal.SIGTERM, signal.SIGINT)
INPUT = 0  # the number of the standard input


@dataclass
class _Failing:
    times: int = 0
    until: float = 0.0


class Executing(Protocol):
    """What a worker needs of durable execution."""

    def works_on(self, work: QueuedRequest) -> bool:
        """Whether a process executes the request *work*, or may be executing it."""


class Worker:
    """Takes roots, oldest first, until it is stopped.

    Args:
        engine: reserves roots; it knows which of them have no worker.
        store: where roots, leases and queues are read.
        start: starts a process for a reserved or free root, and returns its number. Raises S120.
        on_event: receives the events.
        rules: what is taken.
        tidy: requests periodically that expired stacks are destroyed.
        duties: does what is due, such as the start of an approved promotion, and yields what that was.
        calls: takes a call of a use case for a server: see `CallProcesses`.
    """

    def __init__(
        self,
        engine: Executing,
        store: Store,
        start: Callable[[str], int],
        on_event: Callable[[WorkerEvent], None],
        rules: WorkerConfig,
        tidy: Callable[[], None] = lambda: None,
        duties: Callable[[], Iterable[str]] = tuple,
        calls: Begin = lambda: None,
    ) -> None:
        self._calls = CallProcesses(calls, on_event)
        self._engine, self._store, self._start, self._on_event, self._rules = engine, store, start, on_event, rules
        self._tidy, self._tidied = tidy, float("-inf")
        self._duties, self._done_at = duties, float("-inf")
        self._children: dict[int, str] = {}
        self._signalled: set[int] = set()
        self._failing: dict[str, _Failing] = {}
        self._left_to_others: set[str] = set()
        self._read = float("-inf")
        self.stopping = False

    def run(self) -> None:
        """Work until SIGTERM, SIGINT or the end of the input, and then until every process has released its root."""
        self._on_event(WorkerEvent("ready", why=f"queue {self._rules.queue}, {self._rules.concurrency} at once"))
        with self._awake() as pause:
            while True:
                self._reap()
                self._calls.reap()
                if self.stopping:
                    self._stop()
                    self._calls.stop()
                taken = 0 if self.stopping else self._guarded()
                busy = self._children or self._calls
                if not busy and (self.stopping or (self._rules.once and not taken)):
                    break
                pause()
        self._on_event(WorkerEvent("ended"))

    def _guarded(self) -> int:
        """Take what can be taken; a store that does not respond may respond at the next attempt."""
        try:
            if time.monotonic() - self._tidied >= TIDY:
                self._tidied = time.monotonic()
                self._tidy()
            self._do_duties()
            return self._calls.take() + self._take()
        except OrchestratorError as error:
            if error.code == STORE_NEWER:
                raise
            self._on_event(WorkerEvent("waits", why=error.message))
            return 1

    def _do_duties(self) -> None:
        """Do what is due. What that has queued is read at once."""
        if time.monotonic() - self._done_at < DUTIES:
            return
        self._done_at = time.monotonic()
        for text in self._duties():
            self._on_event(WorkerEvent("scheduled", why=text))
            self._read = float("-inf")

    def _take(self) -> int:
        now = time.monotonic()
        news = self._store.news()
        if not (news or self._rules.once or now - self._read >= LATEST):
            return 0
        taken = 0
        view = _StoreView(self._store)
        free = self._rules.concurrency - self._busy(view)
        if free <= 0:
            return 0
        self._read = now
        mine = set(self._children.values())
        for work in each_takeable(self._store, self._rules.queue, self._put_aside):
            if free <= 0 or self.stopping:
                self._read = float("-inf")  # there may be more as soon as one has ended
                break
            if work.root in mine | self._left_to_others or self._pausing(work.root) or self._engine.works_on(work):
                continue
            if self._can_be_taken(view, work) and self._begin(work.root):
                view.take(work)
                taken, free = taken + 1, free - 1
        return taken

    def _can_be_taken(self, view: "_StoreView", work: QueuedRequest) -> bool:
        try:
            return view.takeable(work)
        except OrchestratorError as error:
            if error.code != STORE_NEWER:
                raise
            self._put_aside(work.root, error.message)
            return False

    def _put_aside(self, root: str, why: str) -> None:
        """Leave *root* to newer workers: this program cannot read it, or cannot do it."""
        if root not in self._left_to_others:
            self._left_to_others.add(root)
            self._on_event(WorkerEvent("left to others", root, why=why))

    def _busy(self, view: "_StoreView") -> int:
        """How many processes do something; one that only waits for its next environment takes no place."""
        mine = set(self._children.values())
        works = [self._store.work(root) for root in mine] if len(mine) >= self._rules.concurrency else []
        waiting = {work.root for work in works if work.epoch > 0 and view.waits(work)}
        return len(mine - waiting)

    def _begin(self, root: str) -> bool:
        try:
            process = self._start(root)
        except OrchestratorError as error:
            if error.code != HAS_PROCESS:
                raise
            return False
        self._children[process] = root
        self._on_event(WorkerEvent("took", root, process))
        return True

    def _pausing(self, root: str) -> bool:
        return root in self._failing and time.monotonic() < self._failing[root].until

    def _reap(self) -> None:
        for process, root in list(self._children.items()):
            try:
                found, status = os.waitpid(process, os.WNOHANG)
            except ChildProcessError:
                found, status = process, 0
            if found:
                self._read = self._done_at = float("-inf")  # another one can be taken, and its end may be due
                del self._children[process]
                self._ended(process, root, os.waitstatus_to_exitcode(status))

    def _ended(self, process: int, root: str, code: int) -> None:
        done = False
        with contextlib.suppress(OrchestratorError):
            done = self._store.work(root).done
        if done:
            self._failing.pop(root, None)
            self._on_event(WorkerEvent("done", root, process))
        elif code == int(Exit.USAGE):
            self._put_aside(root, "this program, or the project's files here, do not allow it: see its log")
        elif self.stopping:
            self._on_event(WorkerEvent("left", root, process, "it waits in the queue"))
        else:
            failing = self._failing.setdefault(root, _Failing())
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**failing.times)
            failing.times, failing.until = failing.times + 1, time.monotonic() + pause
            how = f"signal {-code}" if code < 0 else f"status {code}"
            self._on_event(WorkerEvent("let go", root, process, f"{how}, time {failing.times}; again in {pause:.0f} s"))

    def _stop(self) -> None:
        """Have every process park before its next step."""
        for process, root in self._children.items():
            if process not in self._signalled:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
                self._signalled.add(process)
                self._on_event(WorkerEvent("stopping", root, process))

    @contextlib.contextmanager
    def _awake(self) -> "Iterator[Callable[[], None]]":
        """Gives a way to wait until the next check is due, or a child has ended, or a signal has come."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)

        def stop(_number: int, _frame: object) -> None:
            self.stopping = True

        handlers = dict.fromkeys(STOPPING, stop) | {signal.SIGCHLD: lambda _number, _frame: None}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)

        watched = [ours.fileno(), *([INPUT] if self._rules.until_input_ends else [])]

        def pause() -> None:
            ready = select.select(watched, [], [], LOOK)[0]
            if ours.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    ours.recv(4096)
            if INPUT in ready and not os.read(INPUT, 4096):  # the process that held it open has ended, also by SIGKILL
                watched.remove(INPUT)
                self.stopping = True

        try:
            yield pause
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            ours.close()
            theirs.close()


class _StoreView:
    """What the store has of environments, read once for each check."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[str, list[QueueEntry]] = {}
        self._holders: dict[str, str] = {}
        self._places: dict[str, list[tuple[str, str]]] = {}

    def takeable(self, work: QueuedRequest) -> bool:
        """Whether a process could continue *work* at this time: no other has its environment, or waits before it.

        One that is to stop, or is superseded, has nothing to wait for. Of several side by side one is enough.
        """
        if _in_waves(work) and self._store.run(work.root).control == "pause":
            return False
        places = self._place(work)
        if not places:
            return True  # it is between two environments
        return any(self._free(environment, run) for environment, run in places)

    def _free(self, environment: str, run: str) -> bool:
        holder = self._holder(environment)
        first = next((wait.run for wait in self._queue(environment) if wait.superseded_by is None), run)
        verb = self._store.run(run).control
        superseded = any(wait.run == run and wait.superseded_by for wait in self._queue(environment))
        return ((holder or first) == run or superseded or verb in {"cancel", "abort"}) and verb != "pause"

    def take(self, work: QueuedRequest) -> None:
        """From here on *work* has its environment."""
        for environment, run in self._place(work):
            self._holders[environment] = self._holder(environment) or run

    def waits(self, work: QueuedRequest) -> bool:
        """Whether it waits in a queue for the holder of the environment; of several runs, whether all do.

        A promotion between two waves waits as well.
        """
        places = self._place(work)
        if not places and _in_waves(work):
            return True
        return bool(places) and all(self._behind(environment, run) for environment, run in places)

    def _behind(self, environment: str, run: str) -> bool:
        queued = any(wait.run == run for wait in self._queue(environment))
        return queued and self._holder(environment) not in {"", run}

    def _place(self, work: QueuedRequest) -> list[tuple[str, str]]:
        """The environment and the run of *work* that continues or is to start, or several; none between two."""
        if work.root not in self._places:
            self._places[work.root] = self._find(work)
        return self._places[work.root]

    def _find(self, work: QueuedRequest) -> list[tuple[str, str]]:
        targets, waves = work.request["targets"], _in_waves(work)
        if not work.epoch:
            return [] if waves else [(targets[0], run_id(work.root, targets[0]))]
        found = []
        for target in targets:
            for end in (BACK, "") if waves else ("",):
                with contextlib.suppress(OrchestratorError):
                    wanted = run_id(work.root, target) + end
                    run = self._store.run(wanted)
                    if run.id == wanted and run.environment == target and not run.ended:
                        found.append((target, run.id))
        return found if waves else found[:1]

    def _queue(self, environment: str) -> list[QueueEntry]:
        if environment not in self._queues:
            self._queues[environment] = queue_of(self._store, environment)
        return self._queues[environment]

    def _holder(self, environment: str) -> str:
        if environment not in self._holders:
            lease = self._store.lease(environment)
            self._holders[environment] = lease.holder if lease else ""
        return self._holders[environment]


def _in_waves(work: QueuedRequest) -> bool:
    return bool(request_parameters(work.request).get("waves"))


def can_fork() -> bool:
    """Whether this process may fork: it has one thread, and its system's libraries bear it (macOS's do not)."""
    return sys.platform != "darwin" and threading.active_count() == 1


def forked(engine: Engine, store: Store, root: str, log: Path, work: Callable[[], int]) -> int:
    """Reserve *root*, and execute *work* for it in a process that ends with its status. Returns the process number.

    The process inherits no connection to a database. Its output is written to *log*. Raises S120.
    """
    engine.reserve(root)
    store.close()
    process = fork_child(log, work)
    engine.transfer()
    return process


def fork_child(log: Path, work: Callable[[], int]) -> int:
    """Execute *work* in a process that ends with its status and writes to *log*. Returns the process number."""
    blocked = signal.pthread_sigmask(
        signal.SIG_BLOCK, STOPPING
    )  # one that arrives here is not for our handlers in the child
    try:
        process = os.fork()
        if process == 0:
            _child(log, work)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return process


def _child(log: Path, work: Callable[[], int]) -> NoReturn:
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        for number in (*STOPPING, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        os.setsid()
        out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for stream, handle in enumerate((nothing, out, out)):
            os.dup2(handle, stream)
        code = work()
    except OrchestratorError as error:
        code = int(error.exit)
        os.write(2, process_secrets().text(f"{error.code}: {error.message}\n").encode())
    except BaseException:  # noqa: BLE001 - nothing of the parent may run on in here
        os.write(2, process_secrets().text(traceback.format_exc()).encode())
    finally:
        os._exit(code)
