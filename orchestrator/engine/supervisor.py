"""The parent of one job: runs it at most once, and writes how it ended, once.

Started by :data:`COMMAND` without `site`, so that it needs nothing but the standard library and starts in
milliseconds. It outlives the orchestrator that started it. Files in the folder:

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
SECRETS = "ORCHESTRATOR_SECRETS"
"""Set to `stdin` when the secrets of the run come over standard input, which no other process can read."""
END = b"\n"
"""What follows the secrets."""
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


def _run(folder: str, job: dict[str, object], payload: bytes) -> tuple[str, "int | None", int]:
    """Run the job with its output and events masked by the secrets in *payload*; how it ended, and what was cut."""
    redactor = Redactor.from_payload(payload)
    output, events = Output(os.path.join(folder, "output.log"), redactor), Events(folder, redactor)
    try:
        child = _start(job, output.handle)
        how, code = _see_through(folder, job, child) if child is not None else ("exited", 127)
    finally:
        output.end()
        events.end()
        mask_files(folder, redactor)
    return how, code, output.cut


def _start(job: dict[str, object], log: int) -> "subprocess.Popen[bytes] | None":
    argv = [str(word) for word in job["argv"]]  # type: ignore[attr-defined]
    env = {name: value for name, value in os.environ.items() if name != SECRETS}
    try:
        return subprocess.Popen(
            argv, cwd=str(job["cwd"]), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    except OSError as error:
        os.write(log, f"cannot start {argv[0]}: {error}\n".encode())
        return None


def _see_through(folder: str, job: dict[str, object], child: "subprocess.Popen[bytes]") -> tuple[str, "int | None"]:
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

    76: it is too late to begin, or the secrets of the run are not known. Whoever started us was paused or killed,
    and another process may act in its place. A pause of that process does not stop this one, so its word is still worth
    something here.
    """
    payload = sys.stdin.buffer.read() if os.environ.get(SECRETS) == "stdin" else END
    if not payload.endswith(END):  # its sender died meanwhile, and nothing may be printed in clear
        return LATE
    with open(os.path.join(folder, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return BUSY
        outcome = os.path.join(folder, "outcome.json")
        if os.path.exists(outcome):
            return 0
        if not os.path.exists(os.path.join(folder, "started")) and time.time() > float(os.environ.get(BEFORE, "inf")):
            return LATE
        if not write_once(os.path.join(folder, "started"), str(os.getpid()).encode()):
            return 0
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            job = json.load(file)
        started = time.monotonic()
        how, code, cut = _run(folder, job, payload)
        data = {"how": how, "code": code, "seconds": round(time.monotonic() - started, 3), "cut": cut}
        write_once(outcome, json.dumps(data).encode())
    return 0
