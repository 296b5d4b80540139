"""Processes that carry a mark in their environment: found and ended with all that ever descended from them.

A process group or session is not enough: ansible-playbook and each of its workers are sessions of their own. Standard
library only, since the supervisor of every job imports it.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

EVENTS, EVENTS_PIPE = "events.jsonl", "events.pipe"
"""The file with the events of a job, and the named pipe that leads to it through the filter of secrets."""
SERVED, LISTENING = "ORCHESTRATOR_SERVED", "ORCHESTRATOR_LISTENING"
"""The variables that name the socket of an isolated job, and the number of that socket to what serves it."""
STARTS = 3  # how often a command that only reads is started when a signal ends it each time


def events_of(folder: str) -> str:
    """Where a job whose folder is *folder* reports its events: the pipe of its supervisor, or the file itself."""
    pipe = os.path.join(folder, EVENTS_PIPE)
    return pipe if os.path.exists(pipe) else os.path.join(folder, EVENTS)


def tagged(mark: str) -> list[int]:
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


def family(roots: list[int]) -> list[int]:
    """*roots*, as far as they run, and every process that descends from one of them; parents first."""
    children: dict[int, list[int]] = {}
    for process, parent in _parents().items():
        children.setdefault(parent, []).append(process)
    found = [process for process in roots if is_alive(process)]
    for process in found:  # it grows while we go through it
        found.extend(child for child in children.get(process, []) if child not in found)
    return found


def command_line(process: int) -> str:
    """The words that the process shows as its own, joined by blanks; empty when it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/cmdline", "rb") as file:
        return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    if os.path.isdir("/proc/self"):
        return ""
    words = ["ps", "-ww", "-o", "command=", "-p", str(process)]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def kill_tree(
    mark: str, patience: float = 30.0, roots: Callable[[], list[int]] = list, spare: Sequence[int] = ()
) -> bool:
    """Kill every marked process but those to *spare* until none is left; False when some outlast *patience* seconds.

    What *roots* gives goes with all its descendants, marked or not. They are held still before they are counted, so
    that none of them starts another one meanwhile.
    """
    deadline, known = time.monotonic() + patience, set[int]()
    while True:
        for process in roots():
            _send(process, signal.SIGSTOP)
            known |= set(family([process]))
        known = {process for process in known if is_alive(process)}
        left = (known | set(tagged(mark))) - set(spare)
        if not left:
            return True
        if time.monotonic() > deadline:
            return False
        for number in (signal.SIGSTOP, signal.SIGKILL):  # none of them may act on the death of another one
            for process in left:
                _send(process, number)
        time.sleep(0.01)


def _send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        os.kill(process, number)


def is_alive(process: int) -> bool:
    """Whether the process exists, and does not only wait to be reaped."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (OSError, IndexError):
        pass
    if os.path.isdir("/proc/self"):
        return False
    state = subprocess.run(["ps", "-o", "state=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def _parents() -> dict[int, int]:
    """Every process of this machine with its parent."""
    if not os.path.isdir("/proc/self"):
        listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        return {int(row.split()[0]): int(row.split()[1]) for row in listing.splitlines() if row.strip()}
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            path = f"/proc/{name}/stat"
            with contextlib.suppress(OSError, IndexError, ValueError), open(path, errors="replace") as file:
                found[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    return found


def run_query(argv: Sequence[str], starts: int = STARTS, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command that only reads; one that a signal has ended gave no answer, and is started again."""
    for _ in range(starts):
        done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **options)
        if done.returncode >= 0:
            break
    return done


@contextlib.contextmanager
def progress_heartbeat(echo: Callable[[str], None], what: str, every: float = 15.0) -> Iterator[None]:
    """Report every *every* seconds for how long the block has been running, and at its end how long it took."""
    from orchestrator.background import repeated  # the supervisor of a job needs no thread

    began = time.monotonic()

    def report() -> bool:
        echo(f"{what}: {time.monotonic() - began:.0f} s so far")
        return True

    with repeated(report, every):
        yield
    echo(f"{what}: took {time.monotonic() - began:.0f} s")
