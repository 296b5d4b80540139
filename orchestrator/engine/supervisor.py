"""The parent of one job: runs it at most once, and writes how it ended, once.

Started as a file (`python -I -S supervisor.py FOLDER`), so that it needs nothing but the standard library and
starts in milliseconds. It outlives the orchestrator that started it. Files in the folder:

    lock           held (flock) as long as the job runs; a second supervisor leaves at once with status 75
    job.json       {"argv": […], "cwd": "…", "timeout": seconds or null}
    started        there as soon as a supervisor holds the lock: such a job is never started again
    output.log     the job's standard output and error
    events.jsonl   what the job reports, a JSON object a line
    outcome.json   {"how": "exited" | "timeout" | "stopped" | "lost", "code": …, "seconds": …}: written once
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

BUSY = 75
MARK = "ORCHESTRATOR_JOB"


def write_once(path: str, data: bytes) -> bool:
    """Put *data* into *path* durably and as a whole, unless it is there already. Returns whether it was written."""
    temporary = f"{path}.{os.getpid()}"
    handle = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # a rename would replace; a link refuses
        return True
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)


def marked(folder: str) -> list[int]:
    """The processes, other than this one, that carry the job's mark: all that ever descended from it.

    A process group or session is not enough: ansible-playbook and each of its workers are sessions of their
    own. On systems without /proc, `ps` shows the environment of the user's own processes.
    """
    mark = f"{MARK}={folder}"
    if os.path.isdir("/proc/self"):
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                    if mark.encode() in file.read().split(b"\0"):
                        found.append(int(name))
        return found
    listing = subprocess.run(["ps", "-axEww", "-o", "pid=,command="], capture_output=True, text=True, check=False)
    rows = [line.split() for line in listing.stdout.splitlines()]
    return [int(row[0]) for row in rows if row and mark in row[1:] and int(row[0]) != os.getpid()]


def sweep(folder: str, patience: float = 30.0) -> bool:
    """Kill every marked process until none is left; False when some outlast *patience* seconds."""
    deadline = time.monotonic() + patience
    while left := marked(folder):
        if time.monotonic() > deadline:
            return False
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
    return True


def _run(folder: str, job: dict[str, object]) -> tuple[str, "int | None"]:
    argv = [str(word) for word in job["argv"]]  # type: ignore[attr-defined]
    with open(os.path.join(folder, "output.log"), "ab") as log:
        try:
            child = subprocess.Popen(
                argv, cwd=str(job["cwd"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            log.write(f"cannot start {argv[0]}: {error}\n".encode())
            return "exited", 127
    timeout = job.get("timeout")
    try:
        return "exited", child.wait(timeout if isinstance(timeout, (int, float)) else None)
    except subprocess.TimeoutExpired:
        sweep(folder)
        child.wait()
        return "timeout", None


def main(folder: str) -> int:
    """Run the job in *folder*; 0 when it has an outcome afterwards, 75 when another supervisor runs it."""
    with open(os.path.join(folder, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return BUSY
        outcome = os.path.join(folder, "outcome.json")
        if os.path.exists(outcome) or not write_once(os.path.join(folder, "started"), str(os.getpid()).encode()):
            return 0
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            job = json.load(file)
        started = time.monotonic()
        how, code = _run(folder, job)
        data = {"how": how, "code": code, "seconds": round(time.monotonic() - started, 3)}
        write_once(outcome, json.dumps(data).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
