"""Two servers of one project on Postgres behind HAProxy with the configuration of the examples: real processes."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.app import access, people, tokens
from orchestrator.domain.access.principals import Actor, Binding, Method, User
from orchestrator.domain.authentication import KEY_BYTES
from orchestrator.wiring import App, open_app
from tests.debian import command
from tests.server.event_stream import run_events
from tests.server.test_process import ENVIRONMENT, PROJECT, answer, free_port
from tests.web import certified

ROOT = Path(__file__).parents[2]
NAME = "releases.test"
EXAMPLE = ROOT / "examples" / "server" / "haproxy.cfg"
DRAIN_S = 3.0
PATIENCE_S = 300.0


def wait_for(what: Any, text: str, seconds: float = PATIENCE_S) -> None:
    """Wait until *what* returns something true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, text
        time.sleep(0.05)


STATUS = 17  # the column of the state of a server in the statistics of HAProxy


@dataclass
class Member:
    """One server: its *folder* is that of a machine of its own."""

    folder: Path
    environ: dict[str, str]
    port: int = field(default_factory=free_port)
    words: tuple[str, ...] = ("--no-worker",)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.begin()
        wait_for(self.ready, f"{self.folder.name} is not ready: {self.log}")

    def begin(self) -> None:
        """Start it."""
        words = [
            "serve",
            "--port",
            str(self.port),
            "--behind-proxy",
            "--name",
            NAME,
            "--drain",
            str(DRAIN_S),
            *self.words,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", *words],
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """The end of what it has printed."""
        return (self.folder / "log").read_text()[-2000:]

    def ready(self) -> bool:
        """Whether it serves. Fails if it has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.log
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        return False

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and wait for its end; its exit status."""
        assert self.process is not None
        self.process.send_signal(sent)
        return self.process.wait(PATIENCE_S)

    def end(self) -> None:
        """End it if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)


@dataclass
class Pair:
    """The *members*, the *port* of the proxy, and the tokens of users."""

    folder: Path
    members: tuple[Member, Member]
    app: App
    port: int = field(default_factory=free_port)
    tokens: dict[str, str] = field(default_factory=dict)

    def user(self, name: str, role: str) -> str:
        """The token of a new user with *role*."""
        root = self.app.acting_as(Actor(name="root", method=Method.TOKEN))
        acting = root if self.tokens else self.app.acting
        people.add_user(acting, User(name=name))
        self.tokens[name] = tokens.create_token(acting, name, lifetime=timedelta(days=1)).text
        access.grant(acting, Binding(role=role, to=f"user:{name}"))
        return self.tokens[name]

    def is_up(self, member: Member) -> bool:
        """Whether the proxy sends requests to *member*."""
        name = "one" if member is self.members[0] else "two"
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.folder / "haproxy.sock"))
            asking.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
        states = [line.split(",")[STATUS] for line in answer.splitlines() if line.startswith(f"servers,{name},")]
        return any(state.startswith("UP") for state in states)  # "UP 1/2": it failed a check, and still gets requests

    def connection(self, timeout: float = 30) -> http.client.HTTPSConnection:
        """A new connection to the proxy, with TLS."""
        trust = ssl.create_default_context(cafile=self.folder / "ca.pem")
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=trust)

    def send(self, token: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request through the proxy, and its response."""
        given = {"Host": NAME, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None, given)
            response = connection.getresponse()
            text = response.read().decode()
            return response.status, json.loads(text) if text.startswith("{") else text


class Listener:
    """A client of the events through the proxy, which connects again with the id of its last event."""

    def __init__(self, pair: Pair, token: str) -> None:
        self._pair, self._token = pair, token
        self.last, self.events, self.connections = "0.0", list[tuple[str, int]](), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._listen()
            time.sleep(0.1)

    def _listen(self) -> None:
        with contextlib.closing(self._pair.connection(20)) as connection:
            headers = {"Host": NAME, "Authorization": f"Bearer {self._token}", "Last-Event-ID": self.last}
            connection.request("GET", "/api/v1/events", headers=headers)
            response = connection.getresponse()
            self.connections += response.status == 200
            for given, event in run_events(response, self._stop):
                self.events.append(event)
                self.last = given


@contextlib.contextmanager
def proxied(folder: Path, members: tuple[Member, Member], port: int) -> Iterator[None]:
    """HAProxy at *port* in front of *members*, with the configuration of the examples at other addresses."""
    certified(folder)
    (folder / "proxy.pem").write_bytes((folder / "ca.pem").read_bytes() + (folder / "key.pem").read_bytes())
    text = EXAMPLE.read_text()
    for old, new in (
        ("global\n", f"global\n    stats socket {folder / 'haproxy.sock'}\n"),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("/etc/haproxy/releases.example.com.pem", str(folder / "proxy.pem")),
        ("10.0.0.11:8750", f"127.0.0.1:{members[0].port}"),
        ("10.0.0.12:8750", f"127.0.0.1:{members[1].port}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "haproxy.cfg").write_text(text)
    program, environ = command("haproxy")
    words = [program, "-f", str(folder / "haproxy.cfg")]
    checked = subprocess.run([*words, "-c"], env=environ, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "WARNING" not in checked.stderr, checked.stderr
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([*words, "-db"], env=environ, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def serving_pair(folder: Path, url: str, *words: str) -> Iterator[Pair]:
    """Two servers of one project whose journal is at *url*, started with *words*, behind a proxy."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")},
        "ORCHESTRATOR_STORE": url,
        "ORCHESTRATOR_PROJECT_KEY_FILE": str(folder / "project.key"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT),
    }
    key = folder / "project.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(KEY_BYTES))
    made = []
    for name in ("one", "two"):
        (folder / name / "environments" / "staging").mkdir(parents=True)
        (folder / name / "orchestrator.yaml").write_text(PROJECT)
        (folder / name / "environments" / "staging" / "environment.yaml").write_text(ENVIRONMENT)
        made.append(Member(folder / name, environ, words=words or Member.words))
    members = (made[0], made[1])
    app = open_app(members[0].folder, environ)
    pair = Pair(folder, members, app)
    pair.user("root", "administrator")
    try:
        for member in members:
            member.begin()
        with proxied(folder, members, pair.port):
            for member in members:
                wait_for(member.ready, f"{member.folder.name} is not ready: {member.log}")
            for member in members:
                wait_for(partial(pair.is_up, member), "the proxy does not use a server")
            yield pair
    finally:
        for member in members:
            member.end()
        app.close()


__all__ = ["Listener", "Member", "Pair", "answer", "proxied", "serving_pair", "wait_for"]
