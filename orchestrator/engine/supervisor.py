"""The parent of one job: runs it at most once, and writes how it ended, once.

Started by :data:`COMMAND` without `site`, so that it needs nothing but the standard library and starts in
milliseconds. It outlives the orchestrator that started it, and gets the secrets of the run over its standard input,
which no other process can read. Files in the folder:

    lock           held (flock) as long as the job runs; a second supervisor leaves at once with status 75
    job.json       {"argv": […], "cwd": "…", "timeout": seconds or null}
    started        there as soon as a supervisor holds the lock: such a job is never started again
    output.log     the job's standard output and error, masked; what is too much of it is cut out of its middle
    events.pipe    the named pipe to which the job reports a JSON object a line, as long as it runs
    events.jsonl   what it reported, masked
    outcome.json   {"how": "exited" | "timeout" | "stopped" | "lost", "code": …, "seconds": …, "cut": …}: written once
"""

import fcntl
import json
import os
import subprocess
import sys
import time

from orchestrator.domain.redaction import Redactor
from orchestrator.engine.job_output import LARGEST, Events, Output, mask_files
from orchestrator.processes import sweep

__all__ = ["LARGEST"]

BUSY, LATE = 75, 76
BEFORE = "ORCHESTRATOR_BEFORE"
BOUND = "ORCHESTRATOR_BOUND"
END = b"\n"
"""What follows the line that the supervisor is given: a line without it has lost its end."""
LOOK = 1.0  # seconds between looks whether the claim lasts
MARK = "ORCHESTRATOR_JOB"
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from orchestrator.engine.supervisor import main; sys.exit(main(sys.argv[1]))"
)
COMMAND = (sys.executable, "-I", "-S", "-c", _START, _PACKAGES)


def write_once(path: str, data: bytes) -> bool:
    """Put *data* into *path* durably and as a whole, unless it is there already. Returns whether it was written."""
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
    """What the supervisor is given: what masks the *known* secrets."""

    def __init__(self, known: Redactor) -> None:
        self.known = known

    def line(self) -> bytes:
        """The line for the standard input of the supervisor."""
        return json.dumps({"known": self.known.to_payload()}).encode() + END

    @classmethod
    def of(cls, line: bytes) -> "Given":
        """The reverse of :meth:`line`."""
        return cls(Redactor.from_payload(json.loads(line)["known"]))


def _run(folder: str, job: dict[str, object], given: Given) -> tuple[str, "int | None", int]:
    """Run the job with its output and events masked by the secrets that are known; how it ended, and what was cut."""
    output, events = Output(os.path.join(folder, "output.log"), given.known), Events(folder, given.known)
    try:
        how, code = _see_through(folder, job, output.handle)
    finally:
        output.end()
        events.end()
        mask_files(folder, given.known)
    return how, code, output.cut


def _see_through(folder: str, job: dict[str, object], log: int) -> tuple[str, "int | None"]:
    argv = [str(word) for word in job["argv"]]  # type: ignore[attr-defined]
    try:
        child = subprocess.Popen(
            argv, cwd=str(job["cwd"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    except OSError as error:
        os.write(log, f"cannot start {argv[0]}: {error}\n".encode())
        return "exited", 127
    timeout = job.get("timeout")
    how, code = _wait(child, time.monotonic() + timeout if isinstance(timeout, (int, float)) else None)
    if how != "exited":
        sweep(f"{MARK}={folder}")
        child.wait()
    return how, code


def _wait(child: "subprocess.Popen[bytes]", end: "float | None") -> tuple[str, "int | None"]:
    """How *child* ended, or why it must be ended: its time is over, or the claim under which it acts.

    Another machine may act in our place once a claim has run out, and cannot see this process: it must not go on.
    """
    bound = os.environ.get(BOUND)
    claimed = float("inf")
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        try:
            return "exited", child.wait(min(LOOK, LOOK if left is None else left) if bound else left)
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

    76: it is too late to begin, or not all was given. Whoever started us was paused or killed, and another process may
    act in its place. A pause of that process does not stop this one, so its word is still worth something here.
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
        if write_once(os.path.join(folder, "started"), str(os.getpid()).encode()):
            _finish(folder, job, given)
    return 0


def _finish(folder: str, job: dict[str, object], given: Given) -> None:
    """Run the job to its end, and write how it ended."""
    started = time.monotonic()
    how, code, cut = _run(folder, job, given)
    data = {"how": how, "code": code, "seconds": round(time.monotonic() - started, 3), "cut": cut}
    write_once(os.path.join(folder, "outcome.json"), json.dumps(data).encode())
