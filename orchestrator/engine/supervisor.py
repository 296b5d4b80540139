"""The parent of one job: runs it at most once, and writes how it ended, once.

Started by :data:`COMMAND` without `site`, so that it needs nothing but the standard library and starts in
milliseconds. It outlives the orchestrator that started it. It gets the secrets of the run and the secret files of the
job over its standard input, which no other process can read. It adopts every process that the job leaves behind, so
that none of them outlives the job. Files in the folder:

    lock           held (flock) as long as the job runs; a second supervisor leaves at once with status 75
    job.json       {"argv": […], "cwd": "…", "timeout": seconds or null, "isolator": {…}, "mounts": […], "secrets": […],
                   "writes": […], "unmasked": […]}
    started        there as soon as a supervisor holds the lock: such a job is never started again
    output.log     the job's standard output and error, masked; what is too much of it is cut out of its middle
    events.pipe    the named pipe to which the job reports a JSON object a line, as long as it runs
    events.jsonl   what it reported, masked
    secrets/       the secret files of a job that is not isolated, as long as it runs; otherwise they are in memory only
    served.sock    the socket of an isolated job that something outside of its view serves, as long as it runs
    outcome.json   {"how": "exited" | "timeout" | "stopped" | "lost", "code": …, "seconds": …, "cut": …,
                   "short": whether the disk was full}: written once
"""

import binascii
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from orchestrator.domain.redaction import Redactor
from orchestrator.engine.job_output import LARGEST, Events, Output
from orchestrator.engine.masked_files import mask_files, mask_written
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.isolation.mount import READ, Mount
from orchestrator.isolation.start import start_in_view
from orchestrator.processes import EVENTS, family, kill_tree
from orchestrator.resources import shortage
from orchestrator.trees import discard

__all__ = ["LARGEST"]

BUSY, LATE = 75, 76
BEFORE = "ORCHESTRATOR_BEFORE"
BOUND = "ORCHESTRATOR_BOUND"
END = b"\n"
"""What follows the line that the supervisor is given: a line without it has lost its end."""
LOOK = 1.0  # seconds between checks whether the claim lasts
MARK = "ORCHESTRATOR_JOB"
SECRETS = "secrets"  # the folder of the secret files, in that of the job
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from orchestrator.engine.supervisor import main; sys.exit(main(sys.argv[1]))"
)
COMMAND = (sys.executable, "-I", "-S", "-c", _START, _PACKAGES)


def write_once(path: str, data: bytes) -> bool:
    """Put *data* into *path* durably and as a whole, unless it exists already. Returns whether it was written."""
    temporary = f"{path}.{os.getpid()}"
    handle = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # a rename would replace; a link refuses
        return True
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)


class Given:
    """What the supervisor is given: what masks the *known* secrets, and the secret *files* of the job by name."""

    def __init__(self, known: Redactor, files: "Mapping[str, bytes] | None" = None) -> None:
        self.known, self.files = known, dict(files or {})

    def line(self) -> bytes:
        """The line for the standard input of the supervisor."""
        files = {name: binascii.b2a_base64(data, newline=False).decode() for name, data in self.files.items()}
        return json.dumps({"known": self.known.to_payload(), "files": files}).encode() + END

    @classmethod
    def of(cls, line: bytes) -> "Given":
        """The reverse of :meth:`line`."""
        found = json.loads(line)
        files = {name: binascii.a2b_base64(text) for name, text in found.get("files", {}).items()}
        return cls(Redactor.from_payload(found["known"]), files)


def _run(folder: str, job: dict[str, Any], given: "Given") -> tuple[str, "int | None", Output]:
    """Run the job with its output and events masked by the secrets that are known; how it ended, and its output."""
    place, serving = os.path.join(folder, SECRETS), _serving(folder, job)
    output, events = Output(os.path.join(folder, "output.log"), given.known), Events(folder, given.known)
    try:
        if not _isolator(job).isolates:
            _lay(place, given.files)
        secrets = {os.path.join(place, name): data for name, data in given.files.items()}
        how, code = _see_through(folder, job, secrets, output)
    finally:
        if serving is not None:
            serving.end()
        remove_secrets(folder)
        output.end()
        events.end()
        mask_files(folder, given.known)
        mask_written(folder, given.known)
    return how, code, output


def _isolator(job: dict[str, Any]) -> Isolator:
    """What isolates the job; nothing isolates one that an older version has prepared."""
    return Isolator(**job["isolator"]) if "isolator" in job else NONE


def _serving(folder: str, job: dict[str, Any]) -> Any:
    """The socket of the job, if something serves it."""
    if not job.get("server"):
        return None
    from orchestrator.engine.serving import Serving  # most jobs have none, and each of them would wait for it

    return Serving(folder, [str(word) for word in job["server"]])


def _lay(place: str, secrets: dict[str, bytes]) -> None:
    if secrets:
        os.makedirs(place, 0o700, exist_ok=True)
    for name, data in secrets.items():
        handle = os.open(os.path.join(place, name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)


def remove_secrets(folder: str) -> None:
    """Remove the secret files of the job in *folder*, and whatever the job has put beside them."""
    discard(os.path.join(folder, SECRETS))


def _see_through(
    folder: str, job: dict[str, Any], secrets: dict[str, bytes], output: Output
) -> tuple[str, "int | None"]:
    argv, isolator = [str(word) for word in job["argv"]], _isolator(job)
    made, kept = _mounts(folder, job), secrets if isolator.isolates else {}
    first, writing = os.pipe()
    with os.fdopen(first, "rb") as child_info:
        try:
            child = start_in_view(
                isolator, made, argv, cwd=str(job["cwd"]), secrets=kept, tied=not job.get("outlived"), first=writing,
                stdin=subprocess.DEVNULL, stdout=output.handle, stderr=output.handle, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            os.write(output.handle, f"cannot start {argv[0]}: {error}\n".encode())
            return "exited", 127
        finally:
            os.close(writing)
        how, code = _waited(folder, job, child, output)
        _end_first(child_info.read())
    if not job.get("outlived"):
        _end_adopted()
    return how, code if code is None else isolator.code(code)


def _waited(
    folder: str, job: dict[str, Any], child: "subprocess.Popen[bytes]", output: Output
) -> tuple[str, "int | None"]:
    """Wait for the end of *child*, the command of the job, and end it when its time is over."""
    timeout = job.get("timeout")
    end = time.monotonic() + timeout if isinstance(timeout, (int, float)) else None
    how, code = _wait(child.wait, end)
    if code is not None and code < 0 and job.get("outlived"):
        # Something killed the command alone. What it has started, such as an engine in the middle of an update, would
        # die of an output that no process reads, before it has recorded its effects.
        how, code = _wait(partial(_closed, output, code), end)
    if how != "exited":
        kill_tree(f"{MARK}={folder}")
        child.wait()
    return how, code


def _mounts(folder: str, job: dict[str, Any]) -> list[Mount]:
    """The mounts of the job; it cannot change what describes it, nor write past the filter of secrets."""
    ours = [os.path.join(folder, name) for name in ("job.json", "started", "output.log", EVENTS)]
    made = [Mount(*row) for row in job.get("mounts", ())]
    return [*made, *(Mount(READ, path, path) for path in ours)] if made else []


def clear_leavings(folder: str) -> None:
    """Remove what an ended job may have left in its *folder* to mislead its readers: links, devices, an outcome.

    Only the outcome of a job that was ended can be from another process. Several processes may settle the same job at
    once: what is gone already is not an error.
    """
    for entry in list(os.scandir(folder)):
        if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry.path)
    outcome = os.path.join(folder, "outcome.json")
    try:
        with open(outcome, encoding="utf-8") as file:
            how = json.load(file)["how"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        how = None
    if how not in {"stopped", "lost"}:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(outcome)


def _adopt(isolator: Isolator) -> None:
    """Become the parent of every process of the job whose own parent ends, where the system can do that.

    Namespaces have ended with all their processes when their command has; bubblewrap does not wait for that.
    """
    if sys.platform.startswith("linux") and isolator.kind != "namespaces":
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _end_first(child_info: bytes) -> None:
    """End the first process of the namespace, which bubblewrap has *child_info*, and with it all others.

    It waits for the daemons of a command that has ended. It is a child of ours since bubblewrap itself has ended.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        process = int(json.loads(child_info)["child-pid"])
        if os.waitpid(process, os.WNOHANG) == (0, 0):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _end_adopted() -> None:
    """End every process that the job has left behind, and wait until it has ended."""
    while _has_children():
        for process in family([os.getpid()])[1:]:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.002)


def _has_children() -> bool:
    """Whether a process of the job is left, after those that have ended are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _closed(output: Output, code: int, seconds: "float | None") -> int:
    """The exit *code*, when no process can print to *output* any more. Raises TimeoutExpired after *seconds*."""
    if not output.is_closed(seconds):
        raise subprocess.TimeoutExpired("output", seconds or 0.0)
    return code


def _wait(waiting: "Callable[[float | None], int]", end: "float | None") -> tuple[str, "int | None"]:
    """How a job ended, or why it must be ended: its time is over, or the claim under which it acts.

    *waiting* returns its exit code, or raises TimeoutExpired after so many seconds.

    Another machine may act in our place once a claim has run out, and cannot see this process: it must not continue.
    """
    bound = os.environ.get(BOUND)
    claimed = float("inf")
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        try:
            return "exited", waiting(min(LOOK, LOOK if left is None else left) if bound else left)
        except subprocess.TimeoutExpired:
            if end is not None and time.monotonic() >= end:
                return "timeout", None
        claimed = _claimed(bound, claimed) if bound else claimed
        if time.time() > claimed:
            return "lost", None


def _claimed(bound: str, before: float) -> float:
    """Until when the claim lasts; what was read *before* when nothing can be read."""
    try:
        with open(bound, encoding="ascii") as file:
            return float(file.read())
    except (OSError, ValueError):
        return before


def main(folder: str) -> int:
    """Run the job in *folder*; 0 when it has an outcome afterwards, 75 when another supervisor runs it.

    76: it is too late to start, or the input is incomplete. The process that started this one was paused or killed, and
    another process may act in its place. A pause of that process does not stop this one, so the deadline is checked
    here.
    """
    line = sys.stdin.buffer.readline()  # before the lock: a process that is paused holds up no other one
    if not line.endswith(END):
        return LATE
    with open(os.path.join(folder, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return BUSY
        if any(os.path.exists(os.path.join(folder, name)) for name in ("outcome.json", "started")):
            return 0
        if time.time() > float(os.environ.get(BEFORE, "inf")):
            return LATE
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            job = json.load(file)
        given = Given.of(line)
        if not set(job.get("secrets") or ()) <= set(given.files):
            return LATE
        if write_once(os.path.join(folder, "started"), str(os.getpid()).encode()):
            _adopt(_isolator(job))
            _finish(folder, job, given)
    return 0


def _finish(folder: str, job: dict[str, Any], given: Given) -> None:
    """Run the job to its end, and write how it ended."""
    started = time.monotonic()
    how, code, output = _run(folder, job, given)
    short = output.is_short or bool(shortage(folder))
    clear_leavings(folder)
    seconds = round(time.monotonic() - started, 3)
    data = {"how": how, "code": code, "seconds": seconds, "cut": output.cut, "short": short}
    write_once(os.path.join(folder, "outcome.json"), json.dumps(data).encode())
