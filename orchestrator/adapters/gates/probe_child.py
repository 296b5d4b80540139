"""The child part of the probe: requests every target continuously, and records each change.

In its folder it finds `targets.json`; to its events it appends a line when a target changes, and a sign of life twice a
second, so that a reader knows until when it measured. It ends when the file `stop` exists, or when no process has held
the lock of the file `alive` for a while: then the process that started it has died, and was not replaced. Standard
library only, because it has to start at once.
"""

import contextlib
import fcntl
import importlib.util
import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

BEAT = 0.5  # seconds between signs of life
PATIENCE = 300.0  # seconds without a process that waits for it
WORKERS = 64  # threads at most: with more targets each requests several
STATUS = len("HTTP/1.1 200")
LARGEST = 32 << 20  # bytes of what is written down: a service that turns all the time fills no disk


def _addresses() -> ModuleType:
    """The module beside this file. This file is run by its path, where no package can be imported."""
    spec = importlib.util.spec_from_file_location("addresses", Path(__file__).with_name("addresses.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONNECTED: Callable[[str, int, float], socket.socket] = _addresses().connected


class Writer:
    """Appends lines, each whole; *turned* is called by many threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._requests = self._size = 0

    def say(self, kind: str, at: float, **more: object) -> None:
        """Write one sample."""
        with self._lock:
            requests, self._requests = self._requests, 0
            if self._size < LARGEST:
                line = json.dumps({"kind": kind, "at": round(at, 3), "requests": requests, **more}) + "\n"
                self._size += len(line)
                self._file.write(line)
                self._file.flush()

    def count(self) -> None:
        """Count one request."""
        with self._lock:
            self._requests += 1


class Target:
    """One URL, taken apart once, and how it was last."""

    def __init__(self, name: str, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self.name, self._tls = name, ssl.create_default_context() if parts.scheme == "https" else None
        self.host, self.port = parts.hostname or "", parts.port or (443 if self._tls else 80)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        where = parts.netloc.rpartition("@")[2]
        head = f"GET {path} HTTP/1.1\r\nHost: {where}\r\nUser-Agent: orchestrator-probe\r\nConnection: close\r\n\r\n"
        self.request = head.encode()
        self.up: bool | None = None

    def answers(self, timeout: float) -> bool:
        """Whether it answers now, over a new connection, with a status below 400."""
        end = time.monotonic() + timeout
        with contextlib.suppress(OSError, ValueError), self._connected(timeout) as link:
            link.sendall(self.request)
            head = b""
            while len(head) < STATUS and (left := end - time.monotonic()) > 0:
                link.settimeout(left)
                piece = link.recv(64)
                if not piece:
                    return False
                head += piece
            return head.startswith(b"HTTP/") and 100 <= int(head[9:STATUS]) < 400
        return False

    def _connected(self, timeout: float) -> socket.socket:
        link = CONNECTED(self.host, self.port, timeout)
        return self._tls.wrap_socket(link, server_hostname=self.host) if self._tls is not None else link


def run_probes(targets: list[Target], writer: Writer, every: float, timeout: float, ended: threading.Event) -> None:
    """Request each of *targets* every *every* seconds. The time of a change is that of the request that found it."""
    following = time.monotonic()
    while not ended.is_set():
        for target in targets:
            asked = time.time()
            up = target.answers(timeout)
            writer.count()
            if up is not target.up:
                target.up = up
                writer.say("turn", asked, target=target.name, up=up)
        following = max(following + every, time.monotonic())
        ended.wait(following - time.monotonic())


def main(folder: Path) -> int:
    """Run the probe until it is stopped."""
    spec = json.loads((folder / "targets.json").read_text(encoding="utf-8"))
    (folder / "targets.json").unlink()  # it holds what variables hold
    targets = [Target(name, url) for name, url in spec["targets"].items()]
    writer, ended = Writer(_events_of(folder)), threading.Event()
    writer.say("begin", time.time())
    count = max(1, min(WORKERS, len(targets)))
    for number in range(count):
        words = (targets[number::count], writer, spec["every"], spec["timeout"], ended)
        threading.Thread(target=run_probes, args=words, daemon=True).start()
    _until_enough(folder, writer)
    ended.set()
    writer.say("end", time.time())
    return 0


def _events_of(folder: Path) -> Path:
    """As `processes.events_of`, which a program of one file cannot import."""
    pipe = folder / "events.pipe"
    return pipe if pipe.exists() else folder / "events.jsonl"


def _until_enough(folder: Path, writer: Writer) -> None:
    wanted = beat = time.monotonic()
    with (folder / "alive").open("a+") as alive:
        while time.monotonic() - wanted < PATIENCE:
            if (folder / "stop").exists():
                return
            if time.monotonic() - beat >= BEAT:
                beat = time.monotonic()
                writer.say("beat", time.time())
                wanted = beat if _waited_for(alive.fileno()) else wanted
            time.sleep(0.05)


def _waited_for(handle: int) -> bool:
    """Whether any process holds the lock."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["ORCHESTRATOR_JOB"])))
