"""The trace of an operation on a stack. It exists from before the first effect until the end.

A later operation that finds one knows that the former died, which processes were its engines, and so whether a lock on
the stack was theirs. Lines of JSON, appended; a line that was torn by a crash is ignored:

    {"verb": "up", "job": …, "at": 1767225600.1, "host": …, "user": …, "machine": …, "boot": …, "namespace": …,
     "inside": …}
    {"pid": 4711, "birth": "4711 (sh) S …"}     an engine of it, written by that very process before it becomes one
    {"uncertain": ["urn:pulumi:…"]}             it has ended, and whether these were created is not known

An isolated operation has a process namespace of its own (`inside`), whose numbers mean nothing elsewhere. Processes
outside see into it, by the namespace, the number in it and the birth of a process. The next isolated operation does
not: it gets the list of engines that have ended. While it has the copy alone, every other isolated one has ended.

Standard library only: this is part of the child process.
"""

import contextlib
import getpass
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.file_system import write_whole
from orchestrator.processes import is_alive

NAMESPACE = "ORCHESTRATOR_NAMESPACE"
"""The variable by which an isolated job knows the process namespace of the orchestrator."""

# The process that will be the engine writes its number and its birth before it becomes the engine: there is no moment
# at which an engine runs that no trace names.
_BECOME = (
    "if [ -r /proc/$$/stat ]; then read -r birth < /proc/$$/stat; else birth=$(ps -o lstart= -p $$); fi; "
    'printf \'\\n{"pid": %d, "birth": "%s"}\\n\' "$$" "$birth" >> "$0" && exec "$@"'
)
_HOLDER = re.compile(r"(\S+): created by (\S*)@(\S+) \(pid (\d+)\) at (\S+)")


@dataclass(frozen=True)
class LockHolder:
    """Whom a lock on a stack names: a process, its user and machine, and when it took it (seconds since 1970).

    *where* is the lock's own address.
    """

    pid: int
    user: str
    host: str
    at: float
    where: str

    def __str__(self) -> str:
        taken = datetime.fromtimestamp(self.at).astimezone().isoformat(timespec="seconds")
        return f"process {self.pid} of {self.user} on {self.host}, since {taken}"


def holders(text: str) -> list[LockHolder]:
    """The holders of the locks that the engine's words *text* name."""
    found = _HOLDER.findall(text)
    return [LockHolder(int(pid), user, host, parse_time(at), where) for where, user, host, pid, at in found]


def parse_time(text: str) -> float:
    """Go's time in RFC 3339, with up to nine digits after the point, as seconds since 1970; 0 in another form."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
    return 0.0


class Trace:
    """The trace of the stack's operations in the file *path*. It exists while one is running, or after one has died.

    *ended* are the engines that a process outside of this namespace found to have ended, as :meth:`ended` gives them.
    With *alone* this process holds the lock of the copy, which isolated operations hold until their namespace ends.
    """

    def __init__(self, path: Path, ended: Collection[str] = (), *, alone: bool = False) -> None:
        self._path, self._ended, self._alone = path, frozenset(ended), alone

    @property
    def left(self) -> bool:
        """Whether a former operation has left it: it died, or its end is uncertain."""
        return bool(self._lines())

    @property
    def died(self) -> str:
        """What the former operation was (`up`, `destroy`, …) when it died; empty when none did."""
        return next((str(line["verb"]) for line in reversed(self._lines()) if "verb" in line), "")

    @property
    def jobs(self) -> list[str]:
        """The folders of the operations that died."""
        return [str(line["job"]) for line in self._lines() if "job" in line]

    @property
    def uncertain(self) -> list[str]:
        """Resources that former operations may have created, which is not known."""
        return list(dict.fromkeys(urn for line in self._lines() for urn in line.get("uncertain") or []))

    def begin(self, verb: str, job: str) -> None:
        """Record durably that an operation starts in the folder *job*."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        line = json.dumps({"verb": verb, "job": job, "at": time.time(), **_place()})
        handle = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")  # not behind a line that a crash has torn
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def traced(self, argv: list[str]) -> list[str]:
        """*argv* as a command whose process is in the trace before it starts."""
        return ["/bin/sh", "-c", _BECOME, str(self._path), *argv]

    def end(self, uncertain: list[str]) -> None:
        """The operation has ended. What stays uncertain is kept until an operator decides."""
        if not uncertain:
            self._path.unlink(missing_ok=True)
            return
        write_whole(self._path, f"{json.dumps({'uncertain': uncertain})}\n")

    def living(self, job: str | None = None) -> list[int]:
        """The engines that run on: of all operations, or of the one in the folder *job*."""
        found = (engine for engine in self._engines() if job in (None, engine["job"]))
        return [number for number in map(self._number, found) if number is not None]

    def ended(self) -> list[str]:
        """The engines that do not run any more, as seen from here."""
        engines = (engine for engine in self._engines() if engine["pid"] is not None)
        return [_name(engine) for engine in engines if self._number(engine) is None]

    def proves_dead(self, holder: LockHolder) -> bool:
        """Whether the lock's holder was an engine of ours on this machine, and does not run any more.

        A number is not enough, since numbers come again: the process that has it now must be another one by its
        birth, or must be of another boot of this machine.
        """
        here = _place()
        return (holder.host, holder.user) == (here["host"], here["user"]) and any(
            engine["pid"] in (holder.pid, None) and self._dead(engine, holder) for engine in self._engines()
        )

    def _dead(self, engine: dict[str, Any], holder: LockHolder) -> bool:
        here = _place()
        if engine["host"] != here["host"]:
            return False
        if engine["boot"] != here["boot"]:  # the machine was started again since, if it is the same machine
            return bool(here["machine"]) and engine["machine"] == here["machine"] and engine["at"] - 1 <= holder.at
        same = engine["namespace"] == here["namespace"] and engine["pid"] == holder.pid
        return same and self._number(engine) is None

    def _number(self, engine: dict[str, Any]) -> int | None:
        """The process of the engine as it is known here, if it runs and is not another process with its number."""
        here, inside = _place(), engine.get("inside", "")
        same = all(engine[name] == here[name] for name in ("host", "boot", "namespace"))
        if not same or engine["pid"] is None:
            return None
        if inside == here["inside"]:
            return engine["pid"] if is_alive(engine["pid"]) and _same(engine) else None
        if here["inside"]:  # the processes of another namespace are not seen from here
            return None if (inside and self._alone) or _name(engine) in self._ended else engine["pid"]
        return _within(inside, engine)

    def _engines(self) -> list[dict[str, Any]]:
        """Every engine with the operation that it belongs to; one without a number where none was written."""
        found: list[dict[str, Any]] = []
        operation: dict[str, Any] = {}
        for line in self._lines():
            if "verb" in line:
                operation = line
                found.append({**operation, "pid": None, "birth": ""})
            elif "pid" in line and operation:
                found.append({**operation, **line})
        return found

    def _lines(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        with contextlib.suppress(FileNotFoundError):
            for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    line = json.loads(text)
                    lines += [line] if isinstance(line, dict) else []
        return lines


def _name(engine: dict[str, Any]) -> str:
    return f"{engine.get('inside') or engine['namespace']} {engine['pid']} {_known(engine['birth'])}"


def _within(inside: str, engine: dict[str, Any]) -> int | None:
    """The process outside of the namespace *inside* that is the engine in it; None if it does not run."""
    for process in Path("/proc").iterdir():
        name = process.name
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            if str((process / "ns/pid").readlink()) != inside or not is_alive(int(name)):
                continue
            status = (process / "status").read_text(encoding="ascii", errors="replace")
            numbers = next((line.split() for line in status.splitlines() if line.startswith("NSpid:")), [""])
            if numbers[-1] == str(engine["pid"]) and _birth(int(name)) == _known(engine["birth"]):
                return int(name)
    return None


def _same(engine: dict[str, Any]) -> bool:
    now, then = _birth(engine["pid"]), _known(engine["birth"])
    return not now or not then or now == then  # processes without a known birth count as the same


def _birth(pid: int) -> str:
    """When the process started, as a text to compare; empty if it cannot be read."""
    with contextlib.suppress(OSError):
        return _known(Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace"))
    if Path("/proc/self").is_dir():
        return ""
    words = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def _known(birth: str) -> str:
    """The ticks since boot at which the process of a line of /proc/PID/stat started; other texts unchanged."""
    return birth.rpartition(")")[2].split()[19] if ")" in birth else birth.strip()


@cache
def _place() -> dict[str, str]:
    """The machine, boot and namespace of this process: only within these does the number of a process identify it."""
    names = ("machine", "boot", "namespace", "inside")
    place = {"host": socket.gethostname(), "user": getpass.getuser(), **dict.fromkeys(names, "")}
    with contextlib.suppress(OSError):
        place["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        own, outer = str(Path("/proc/self/ns/pid").readlink()), os.environ.get(NAMESPACE, "")
        place["namespace"], place["inside"] = (outer, own) if outer and outer != own else (own, "")
        place["machine"] = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    if not place["boot"]:  # macOS
        with contextlib.suppress(OSError):
            words = ["sysctl", "-n", "kern.bootsessionuuid", "kern.uuid"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            place["boot"], _, place["machine"] = done.stdout.strip().partition("\n")
    return place
