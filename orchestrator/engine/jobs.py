"""Child processes that outlive us and are found again.

A job is a folder under a key. `supervisor.py` runs it there, holding a lock and writing its outcome once; we only
start the supervisor, follow `events.jsonl`, and wait for the outcome. So a `kill -9` of the orchestrator does not
interrupt a deployment in flight, and a process that takes over follows the same job to its end.
"""

import contextlib
import json
import math
import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator import tracing
from orchestrator.domain.authentication import KEY_FILE
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.job_event import parsed
from orchestrator.engine import supervisor
from orchestrator.engine.job_output import LONGEST_EVENT
from orchestrator.engine.masked_files import TEXTS, mask_below, mask_files, mask_written
from orchestrator.engine.points import failpoint
from orchestrator.file_system import is_locked, write_whole
from orchestrator.isolation.find import UNSET, find_isolator
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.isolation.mounts import mounts
from orchestrator.ports import Job, JobOutcome
from orchestrator.processes import EVENTS, EVENTS_PIPE, command_line, kill_tree
from orchestrator.secret_values import SecretValues

OnEvent = Callable[[int, dict[str, Any]], None]
POLL = 0.02
OUTPUT, WRITTEN = "output.log", "files"
"""What a job has printed, and the folder of what it wrote on the controller."""
CHUNK = 1 << 20  # bytes of events that are read at once: a job that has ended may have reported any number


class LocalJobs:
    """Jobs as processes of this machine, in folders below *root* (created 0700).

    Each is isolated by *isolator*, unless it runs our own code only. What a job prints and reports is masked by
    the *secrets* that are known when it starts.
    """

    def __init__(
        self,
        root: Path,
        sleep: Callable[[float], None] = time.sleep,
        isolator: Callable[[], Isolator] = lambda: find_isolator(UNSET, os.environ),
        secrets: SecretValues | None = None,
    ) -> None:
        self._root = root
        self._secrets = secrets or SecretValues()
        self._sleep = sleep
        self._isolator = isolator
        self._active: dict[str, None] = {}
        self._until: Callable[[], float] = lambda: math.inf
        self._bound: Path | None = None

    def hold(self, until: Callable[[], float], bound: Path | None = None) -> None:
        """Start no job after the time that *until* returns, and stop jobs at the time in the file *bound*."""
        self._until, self._bound = until, bound

    def active(self) -> list[str]:
        """The keys of the jobs that this process currently waits for."""
        return list(self._active)

    def folder(self, key: str) -> Path:
        """The folder of the job *key*."""
        return self._root / key

    def run(self, job: Job, on_event: OnEvent | None = None) -> JobOutcome:
        """Start *job*, or attach to it, and follow it to its end."""
        folder, step = self.folder(job.key), job.key.partition(".")[2]
        events = _Events(folder / EVENTS, on_event, step)
        if not (folder / "outcome.json").exists() or _running(folder):  # while it runs it may have written one itself
            self._active[job.key] = None
            try:
                with tracing.record_span(f"job {step}", job=job.key) as traced:
                    self._prepare(folder, job)
                    self._follow(folder, job, events)
                    self._end_lost(folder, job)
                    outcome = _outcome(folder)
                    traced.note({"orchestrator.outcome": outcome.how}, failed=outcome.code != 0)
            finally:
                self._active.pop(job.key, None)
            failpoint(f"job {step}:ended")
        elif _outcome(folder).how in {
            "stopped",
            "lost",
        }:  # the process that wrote that may have been killed before all was ended
            self._end(folder, _outcome(folder).how)
        events.drain()
        return _outcome(folder)

    def stop(self, key: str) -> None:
        """Write the tombstone, then kill every process that carries the job's mark until none is left."""
        folder = self.folder(key)
        if folder.exists():
            self._end(folder, "stopped")

    def mask(self, key: str) -> None:
        """Mask the files of the ended job *key* by the secrets that are known at this time."""
        folder, redactor = str(self.folder(key)), self._secrets.redactor
        mask_files(folder, redactor, (OUTPUT, EVENTS, *TEXTS))
        mask_below(f"{folder}/{WRITTEN}", redactor)
        mask_written(folder, redactor)

    def _prepare(self, folder: Path, job: Job) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (folder / "job.json").exists():  # written last: the folder is ready, or running, or has run
            return
        for name, data in job.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_private(target, data)
        description = {
            "argv": list(job.argv),
            "cwd": str(job.cwd),
            "timeout": job.timeout,
            "outlived": job.outlived,
            "secrets": sorted(job.secrets),
            "writes": list(job.writes),
            "unmasked": list(job.unmasked),
            **self._isolation(folder, job),
        }
        write_whole(folder / "job.json", json.dumps(description))

    def _isolation(self, folder: Path, job: Job) -> dict[str, Any]:
        """How *job* is isolated, and the mounts that it gets: its own folder is one of them."""
        isolator = self._isolator() if job.view is not None else NONE
        if job.view is None or not isolator.isolates:
            return {"isolator": isolator.to_json(), "mounts": []}
        made = [list(mount) for mount in mounts(job.view.more(write=(str(folder),)))]
        return {"isolator": isolator.to_json(), "mounts": made, "server": list(job.server)}

    def _follow(self, folder: Path, job: Job, events: "_Events") -> None:
        step = job.key.partition(".")[2]
        failpoint(f"job {step}:laid")
        process = self._spawn(folder, job)
        failpoint(f"job {step}:spawned")
        while process.poll() is None:
            events.drain()
            self._sleep(POLL)
        if process.returncode == supervisor.LATE:
            raise OrchestratorError("S103", f"{job.key} was not started: this process was suspended for too long")
        while process.returncode == supervisor.BUSY and _running(folder):  # attached to a job started earlier
            events.drain()
            self._sleep(POLL)

    def _end_lost(self, folder: Path, job: Job) -> None:
        """Give a job whose supervisor died without a word its outcome: nothing of it runs on, and it is *lost*."""
        if not (folder / "outcome.json").exists():
            if job.halt is not None:
                job.halt()
            self._end(folder, "lost")

    def _end(self, folder: Path, how: str) -> None:
        supervisor.remove_secrets(str(folder))  # first: if this process is killed too, this is not reached again
        outcome = json.dumps({"how": how, "code": None, "seconds": 0}).encode()
        supervisor.write_once(str(folder / "outcome.json"), outcome)
        ended = kill_tree(f"{supervisor.MARK}={folder}", roots=lambda: _supervisors(folder))
        supervisor.remove_secrets(str(folder))
        supervisor.clear_leavings(str(folder))
        if not ended:
            raise TimeoutError(f"processes of {folder} cannot be killed")
        (folder / EVENTS_PIPE).unlink(missing_ok=True)
        self.mask(folder.name)

    def _spawn(self, folder: Path, job: Job) -> "subprocess.Popen[bytes]":
        bound = {supervisor.BOUND: str(self._bound)} if self._bound is not None else {}
        env = {name: value for name, value in job.env.items() if name != KEY_FILE}
        process = subprocess.Popen(
            [*supervisor.COMMAND, str(folder)],
            env={
                **env,
                **tracing.variables(),
                **bound,
                supervisor.MARK: str(folder),
                supervisor.BEFORE: str(self._until()),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        given = supervisor.Given(self._secrets.redactor, job.secrets)
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # type: ignore[union-attr]
            pipe.write(given.line())  # the pipe is broken if the supervisor was killed
        return process


class _Events:
    """The `events.jsonl` of the job of *step*, read as it grows: whole lines only, each handed on once."""

    def __init__(self, path: Path, on_event: OnEvent | None, step: str) -> None:
        self._path, self._on_event, self._step = path, on_event, step
        self._offset = self._line = 0
        self._rest: list[bytes] = []

    def drain(self) -> None:
        """Pass on what has been written since."""
        file = _regular(self._path) if self._on_event is not None else None
        if file is None or self._on_event is None:
            return
        with file:
            file.seek(self._offset)
            while data := file.read(CHUNK):
                self._offset += len(data)
                for line in self._lines(data):
                    self._hand_on(line, self._on_event)

    def _lines(self, data: bytes) -> list[bytes]:
        """The lines that are whole with *data*; a longer one than the supervisor writes is left out."""
        if b"\n" not in data:
            lines, rest = list[bytes](), data
        else:
            *lines, rest = b"".join([*self._rest, data]).split(b"\n")
            self._rest = []
        self._rest = [*self._rest, rest] if sum(map(len, self._rest)) <= LONGEST_EVENT else []
        return lines

    def _hand_on(self, line: bytes, on_event: OnEvent) -> None:
        event = parsed(line)  # a line that was torn by a crash is not an event
        if isinstance(event, dict):
            on_event(self._line, event)
        self._line += 1
        failpoint(f"job {self._step}:event {self._line}")


def _regular(path: Path) -> BinaryIO | None:
    """The open file at *path*; None if there is none, or if the job has put a link or device in its place."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    return os.fdopen(handle, "rb")


def _write_private(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _supervisors(folder: Path) -> list[int]:
    """The supervisor of the job in *folder*, of which its processes descend; none if those may outlive it."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if not json.loads((folder / "job.json").read_text())["outlived"]:
            process = int((folder / "started").read_text())
            return [process] if command_line(process).endswith(f" {folder}") else []
    return []


def _running(folder: Path) -> bool:
    return is_locked(folder / "lock")


def _outcome(folder: Path) -> JobOutcome:
    """How the job in *folder* ended. One that failed while the disk was full is lost: the failure is not its own."""
    data = json.loads((folder / "outcome.json").read_text())
    short = data.get("short") and data["how"] == "exited" and data["code"] != 0
    return JobOutcome("lost" if short else data["how"], data["code"], folder, float(data["seconds"]))
