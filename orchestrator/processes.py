"""Processes that carry a mark in their environment: found and ended with all that ever descended from them.

A process group or session is not enough: ansible-playbook and each of its workers are sessions of their own. Standard
library only, since the supervisor of every job begins here.
"""

import contextlib
import os
import signal
import subprocess
import time


def marked(mark: str) -> list[int]:
    """The processes, other than this one, whose environment holds *mark* (`NAME=value`).

    On systems without /proc, `ps` shows the environment of the user's own processes.
    """
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


def sweep(mark: str, patience: float = 30.0) -> bool:
    """Kill every marked process until none is left; False when some outlast *patience* seconds."""
    deadline = time.monotonic() + patience
    while left := marked(mark):
        if time.monotonic() > deadline:
            return False
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)
    return True
