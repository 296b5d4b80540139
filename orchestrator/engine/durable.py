"""Durable execution of a flow on DBOS, behind the one small port that the flow sees.

Each submitted request (a *root*) is one workflow, and one executor of DBOS: DBOS recovers the work
of an executor when a process launches it under the same id, so two processes must never launch the same one. Two things
ensure that before the launch. On one machine a file lock per root also shows that the previous process has ended. For
processes on several machines there is a claim in the database, which expires.

The library is imported when an engine is opened, not before: it takes half a second.
"""

import contextlib
import fcntl
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STORE_FAILURES, QueuedRequest
from orchestrator.domain.moments import moment_text
from orchestrator.domain.stored_words import read_recorded_answer
from orchestrator.engine.ownership import TTL, ClaimKeeper, StopSignal, name
from orchestrator.engine.points import failpoint
from orchestrator.engine.records import complete_requests, remove_request
from orchestrator.file_system import is_locked
from orchestrator.ports import Jobs, Parallel, RunOwnership, Store
from orchestrator.ports.lists import each_request
from orchestrator.resources import as_error, full, is_exhausted, shortage
from orchestrator.secret_values import SecretValues

if TYPE_CHECKING:
    from dbos import DBOSConfig

RunFlow = Callable[[Parallel, RunOwnership, dict[str, Any]], dict[str, Any]]

WORKFLOW_VERSION = "2"  # raised by hand, only for a change of the flow that old recorded runs could not follow
T = TypeVar("T")
CONNECTIONS = 4  # to the database of DBOS at once: one workflow is one thread, and a few that watch
GLANCE = 0.2  # seconds between checks whether a wait is over


class Steps:
    """The `Durable` and `Parallel` ports on DBOS: replay, or run and record.

    No step starts without space in *folder*. *part* starts a part of the workflow, and returns a way to wait for it.
    """

    def __init__(self, dbos: Any, stop_signal: StopSignal, folder: Path, secrets: SecretValues | None = None) -> None:
        self._dbos, self._stop_signal, self._folder = dbos, stop_signal, folder
        self._secrets = secrets or SecretValues()
        self.part: Callable[[str, Any], Callable[[], Any]] = _no_part

    def step(self, name: str, work: Callable[[], T]) -> T:
        """The recorded answer of *name*, or that of *work*."""

        def held() -> Any:
            if self._stop_signal.is_requested:
                self._stop_signal.park_forever()
            if missing := shortage(self._folder):
                self._stop_signal.fail(f"{missing} (S113)")
            failpoint(f"{name}:before")
            answer = record_or_park(self._stop_signal, self._folder, work)
            failpoint(f"{name}:done")
            return self._secrets.data(answer)  # a replay gets the recorded answer, which is masked

        answer: T = self._recorded(name, held)
        failpoint(f"{name}:recorded")
        return answer

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """Wait until a time that is written down first; what has passed before a restart counts."""
        until = float(self._recorded(name, lambda: time.time() + seconds))
        end = time.monotonic() + min(seconds, until - time.time())  # a clock set back does not lengthen the wait
        while time.monotonic() < end and not awake():
            if self._stop_signal.is_requested:
                self._stop_signal.park_forever()
            time.sleep(min(GLANCE, max(0.0, end - time.monotonic())))

    def together(self, parts: Mapping[str, object]) -> dict[str, dict[str, object]]:
        """Each part as a workflow of its own, which DBOS recovers automatically with that of the request."""
        with self._stop_signal.together(parts):
            waiting = {name: self.part(name, data) for name, data in parts.items()}
            answers: dict[str, dict[str, object]] = {}
            failures: list[Exception] = []
            for name, wait in waiting.items():
                try:
                    answers[name] = wait()
                except Exception as error:  # noqa: BLE001 - raised below, once the others have come to their ends
                    failures.append(error)
        for failure in failures:
            raise failure
        return answers

    def _recorded(self, name: str, work: Callable[[], Any]) -> Any:
        """The answer of DBOS for *name*; when it cannot record what was done, this process parks."""

        def recorded() -> Any:
            with translate_engine_errors():
                return read_recorded_answer(self._dbos.run_step({"name": name}, work))

        return record_or_park(self._stop_signal, self._folder, recorded)


def _no_part(name: str, data: Any) -> Callable[[], Any]:
    del data
    raise RuntimeError(f"{name} cannot be started: the engine is missing")


def record_or_park(stop_signal: StopSignal, folder: Path, work: Callable[[], T]) -> T:
    """What *work* returns. When the store, or a file in *folder*, cannot be written, this process parks.

    DBOS would record the error as the end of the workflow, which could not be resumed.
    """
    try:
        return work()
    except OrchestratorError as error:
        if error.code not in STORE_FAILURES:
            raise
        stop_signal.fail(f"{error.message} ({error.code})")
    except (OSError, MemoryError, RuntimeError) as error:
        if not is_exhausted(error):
            raise
        code, message = as_error(error)
        stop_signal.fail("; ".join(filter(None, (message, shortage(folder)))) + f" ({code})")


@contextlib.contextmanager
def translate_engine_errors() -> Iterator[None]:
    """Turn the errors of DBOS's database into S-codes."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        code = "S113" if full(error.orig) else "S112"
        raise OrchestratorError(code, f"the engine's records cannot be written: {error.orig}") from error


@dataclass(frozen=True)
class EngineConfig:
    """Where an engine works: *url* is where DBOS keeps its tables, *folder* where the locks are.

    *bound* means that another machine may take over the work of this one, so that jobs must not outlive a claim.
    """

    url: str
    folder: Path
    ttl: float = TTL
    bound: bool = False


class Engine:
    """Starts and resumes workflows, one process at a time per root.

    Args:
        place: the database and the folder for locks.
        store: where claims are kept.
        jobs: what an abort stops.
        flow: a function of the `Durable` and `RunOwnership` ports and its arguments (JSON data). It
            returns JSON data.
        secrets: are masked in what is recorded of a step.
    """

    _launched: ClassVar["Engine | None"] = None  # DBOS has one database, executor and version for a whole process

    def __init__(
        self, place: EngineConfig, store: Store, jobs: Jobs, flow: RunFlow, secrets: SecretValues | None = None
    ) -> None:
        self._place, self._store, self._jobs, self._flow = place, store, jobs, flow
        self._secrets = secrets or SecretValues()
        self._lock: IO[str] | None = None
        self._dbos: Any = None
        self.ended = False
        self._holder: ClaimKeeper | None = None
        self._root = ""
        self._worker = ""
        self.stop_signal = StopSignal()

    def begin(self, root: str, arguments: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """Start or resume the workflow *root* in threads of this process. Returns a way to wait for its answer.

        Raises S120 when another process is, or may be, working on it, and RuntimeError when this process is working on
        another workflow.
        """
        self._only_engine()
        holder = self._claim(root)
        self._make_private()
        from dbos import DBOS, SetWorkflowID

        Engine._launched, self._dbos, self.ended = self, DBOS, False
        DBOS(config=self._configuration(root))
        steps, flow = Steps(DBOS, self.stop_signal, self._place.folder.parent, self._secrets), self._flow

        @DBOS.workflow(name="walk", max_recovery_attempts=None)  # the default gives up after 100 restarts
        def workflow(data: dict[str, Any]) -> dict[str, Any]:
            return record_or_park(self.stop_signal, self._place.folder.parent, lambda: flow(steps, holder, data))

        @DBOS.workflow(name="part", max_recovery_attempts=None)
        def beside(name: str, data: dict[str, Any]) -> dict[str, Any]:
            with self.stop_signal.beside(name):
                about = {**arguments, "part": data}
                return record_or_park(self.stop_signal, self._place.folder.parent, lambda: flow(steps, holder, about))

        def part(name: str, data: dict[str, Any]) -> Callable[[], Any]:
            with translate_engine_errors(), SetWorkflowID(name):
                begun = DBOS.start_workflow(beside, name, data)

            def ended() -> Any:
                with translate_engine_errors():
                    return read_recorded_answer(begun.get_result(polling_interval_sec=GLANCE))

            return ended

        steps.part = part
        with translate_engine_errors(), SetWorkflowID(root):
            DBOS.launch()
            handle = DBOS.start_workflow(workflow, arguments)

        def wait() -> dict[str, Any]:
            with translate_engine_errors():
                answer: dict[str, Any] = read_recorded_answer(handle.get_result())
            self.ended = True
            holder.end(done=True)
            self._store.release_claim(root, holder.worker, done=True)
            return answer

        return wait

    def _configuration(self, root: str) -> "DBOSConfig":
        """The configuration of DBOS for the workflow *root*."""
        from dbos import DBOSPortableJSONSerializer

        return {
            "name": "orchestrator",
            "system_database_url": self._place.url,
            "serializer": DBOSPortableJSONSerializer(),
            "application_version": f"{WORKFLOW_VERSION}.{root}",  # recovery's queue is shared by a version
            "executor_id": root,
            "log_level": "CRITICAL",
            "notification_listener_polling_interval_sec": 0.2,
            "sys_db_pool_size": CONNECTIONS,
        }

    def working(self, root: str) -> bool:
        """Whether any process is, or may be, working on *root* at this time."""
        return is_locked(self._folder_lock(root)) or self.works_on(self._store.work(root))

    def works_on(self, work: QueuedRequest) -> bool:
        """The same, for *work* as it was just read."""
        if is_locked(self._folder_lock(work.root)):
            return True
        return work.is_claimed(_now()) and work.host != self.here  # here, the lock has already shown that it ended

    def reserve(self, root: str) -> None:
        """Take *root* for a process that is about to be forked, which starts it; the lock passes to that process.

        Raises S120 when another process is, or may be, working on it.
        """
        self._take(root)
        worker, here = name(), self.here
        try:
            dead = self._store.work(root).host in {"", here}
            self._store.claim(root, worker, here, self._place.ttl, dead=dead)
        except BaseException:
            self.close()
            raise
        self._root, self._worker = root, worker

    def transfer(self) -> None:
        """The process that was forked has what was reserved, and this one has it no longer."""
        if self._lock is not None:
            self._lock.close()  # the lock itself stays until the other process has closed it as well
        self._lock, self._root, self._worker = None, "", ""

    def leftover(self) -> list[QueuedRequest]:
        """The requests that are not done and have no worker; oldest first."""
        return [work for work in each_request(self._store) if not self.works_on(work)]

    def complete_requests(self, by: str) -> set[str]:
        """The requests whose records of durable execution were complete *by* a time (ISO 8601)."""
        return complete_requests(self._place.url, by)

    @contextlib.contextmanager
    def alone(self, root: str) -> Iterator[bool]:
        """Whether no process works on *root*; its lock is held meanwhile, and its files are removed afterwards."""
        if self.working(root):
            yield False
            return
        path = self._folder_lock(root)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True
            path.with_suffix(".until").unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def forget(self, root: str) -> None:
        """Remove the records of durable execution of *root*, which is complete."""
        remove_request(self._place.url, root)

    def release(self) -> None:
        """Release the claim: another process may resume the request as soon as this process has ended."""
        if self._holder is not None:
            self._holder.end()
            with contextlib.suppress(OrchestratorError):
                self._store.release_claim(self._root, self._holder.worker, done=False)
            self._holder = None
        self._root = self._worker = ""

    def close(self) -> None:
        """Release the database and the root."""
        self.release()
        self._shut_down()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _only_engine(self) -> None:
        """Close the engine whose workflow has ended in this process; raise RuntimeError while it has not ended.

        DBOS ignores the configuration of a second engine: its steps would be recorded in the database of the first
        one, under its executor, and the next process would execute them again.
        """
        if (other := Engine._launched) is None:
            return
        if not other.ended:
            raise RuntimeError("this process is working on another request already")
        if other is self:
            self._shut_down()  # what is reserved stays
        else:
            other.close()

    def _shut_down(self) -> None:
        if self._dbos is not None:
            self._dbos.destroy()
            self._dbos = None
        if Engine._launched is self:
            Engine._launched = None

    def _claim(self, root: str) -> ClaimKeeper:
        if self._root != root:
            self.reserve(root)
        bound = self._place.folder / f"{root}.until" if self._place.bound else None
        self._holder = ClaimKeeper(
            self._store, self._jobs, root, self._worker, self._place.ttl, self.stop_signal, bound
        )
        self._holder.begin()
        return self._holder

    def _make_private(self) -> None:
        """Make the file of an SQLite database before DBOS does, which would let others read it."""
        if self._place.url.startswith("sqlite:///"):
            path = self._place.url.removeprefix("sqlite:///")
            with contextlib.suppress(FileExistsError):  # to close an existing one would end SQLite's locks on it
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

    def _take(self, root: str) -> None:
        self._place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.fdopen(os.open(self._folder_lock(root), os.O_CREAT | os.O_RDWR, 0o600), "r+")
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

    @property
    def here(self) -> str:
        """The place where the locks are valid: this folder, by a unique name. Two machines may have one host name."""
        file = self._place.folder / "place"
        with contextlib.suppress(FileNotFoundError):
            return file.read_text(encoding="utf-8")
        self._place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        mine = file.with_name(f"place.{os.getpid()}")
        mine.touch(0o600)
        mine.write_text(f"{socket.gethostname()}/{secrets.token_hex(4)}", encoding="utf-8")
        with contextlib.suppress(FileExistsError):
            os.link(mine, file)
        mine.unlink()
        return file.read_text(encoding="utf-8")

    def _folder_lock(self, root: str) -> Path:
        return self._place.folder / f"{root}.lock"


def _now() -> str:
    return moment_text(datetime.now(UTC))
