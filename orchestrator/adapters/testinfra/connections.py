"""Persistent connections for suites with `ssh://` and `ansible://` hosts, and whether a host is reachable at all.

testinfra starts an `ssh` for every command. Here its ssh backend is replaced, in the process of pytest only, by one
that keeps an agent (`agent.py`) open for each host and uses it instead; `ansible://` hosts come through the same
backend. Whatever the agent cannot do goes the ordinary way: a host without Python, a command beside another one.
Whether a suite's host can be reached is the same question as whether its connection can be opened.
"""

import base64
import os
import re
import select
import shlex
import struct
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import testinfra.backend
from testinfra.backend import base
from testinfra.backend.ssh import SshBackend

from orchestrator.adapters.testinfra.agent import HELLO
from orchestrator.adapters.testinfra.cause import result_text

OUTPUT = 1 << 30  # bytes of the output of one command
GREETING = 1 << 20  # bytes that a login may print before the agent answers
STATUS = re.compile(rb"-?[0-9]{1,10}")
PATIENCE = 10.0  # seconds beyond ssh's own ConnectTimeout
SIDE_BY_SIDE = 32
PYTHONS = "python3 /usr/libexec/platform-python /usr/local/bin/python3"
SHELL_ONLY = frozenset("$`;&|<>*?(){}!\\\n")


class Unreachable(Exception):
    """The host could not be reached: ssh itself failed. The text is that of ssh."""


class Unable(Exception):
    """The host is reachable, and cannot run the agent."""


def remote_command() -> str:
    """The command that starts the agent on the host, whatever shell its user has."""
    source = Path(__file__).with_name("agent.py").read_bytes()
    packed = base64.b64encode(zlib.compress(source)).decode()
    program = f'import base64,zlib;exec(zlib.decompress(base64.b64decode("{packed}")))'
    script = f'for p in {PYTHONS}; do command -v $p >/dev/null 2>&1 && exec $p -S -E -c "$1" "${{LC_CTYPE-}}"; done'
    return f"/bin/sh -c {shlex.quote(script + '; exit 127')} agent {shlex.quote(program)}"


class Agent:
    """An `ssh host python3` that is held open.

    Args:
        words: the ssh command, ready to be run.
        env: its environment.
        patience: seconds until the host must have answered.

    Raises `Unreachable` and `Unable`.
    """

    def __init__(self, words: list[str], env: dict[str, str], patience: float) -> None:
        self.owner = os.getpid()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._buffer = b""
        self._busy = threading.Lock()
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=env, bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        try:
            self._greet(time.monotonic() + patience, sshpass=words[0] == "sshpass")
        except BaseException:
            self.close()
            raise

    def run(self, command: bytes) -> tuple[int, bytes, bytes] | None:
        """Exit status, output and error output of *command*; None while another command runs. Raises `EOFError`."""
        if not self._busy.acquire(blocking=False):
            return None
        with self._busy_until_done():
            self._send(struct.pack(">I", len(command)) + command)
            parts: dict[bytes, list[bytes]] = {b"o": [], b"e": []}
            left = OUTPUT
            while True:
                kind, length = struct.unpack(">cI", self._take(5))
                left -= length
                if kind not in {b"o", b"e", b"x"} or left < 0:
                    raise EOFError  # the host does not follow the agent's protocol: its connection is useless
                data = self._take(length)
                if kind == b"x":
                    return _status(data), b"".join(parts[b"o"]), b"".join(parts[b"e"])
                parts[kind].append(data)

    def error_output(self) -> bytes:
        """What ssh wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def start_closing(self) -> None:
        """Close the connection: no more commands follow."""
        if self._process.stdin is not None and self.owner == os.getpid():
            self._process.stdin.close()

    def close(self) -> None:
        """Close the connection, and wait until its process has ended."""
        self.start_closing()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _busy_until_done(self) -> "_Release":
        return _Release(self._busy)

    def _greet(self, deadline: float, *, sshpass: bool) -> None:
        """Read up to the agent's first word; what a login prints before it does not matter."""
        waiting = select.poll()
        waiting.register(self._out, select.POLLIN | select.POLLHUP)
        while HELLO not in self._buffer:
            if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise Unreachable("no answer")
            chunk = os.read(self._out, 65536)
            if not chunk:
                code = self._process.wait()
                error_output = self.error_output().decode(errors="replace").strip().splitlines()
                if code == 255 or (sshpass and 0 < code < 7):
                    raise Unreachable(error_output[-1] if error_output else "ssh failed without a message")
                raise Unable(f"exit status {code}")
            self._buffer += chunk
            if len(self._buffer) > GREETING and HELLO not in self._buffer:
                raise Unable("its output does not end")
        self._buffer = self._buffer.partition(HELLO)[2]

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._in, view) :]
            except BrokenPipeError as error:
                raise EOFError from error

    def _take(self, count: int) -> bytes:
        parts, missing = [self._buffer[:count]], count - len(self._buffer)
        self._buffer = self._buffer[count:]
        while missing > 0:
            chunk = os.read(self._out, missing)
            if not chunk:
                raise EOFError
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts)


def _status(data: bytes) -> int:
    """The exit status of a command. Raises `EOFError` if *data* is not a number."""
    if not STATUS.fullmatch(data):
        raise EOFError
    return int(data)


class _Release:
    """Gives a lock back at the end of a block."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class HostConnection:
    """The connection to one host: through its agent, or the reason why the host has no agent.

    Args:
        words: the ssh command without the command for the host.
        patience: seconds until the host must have answered.
    """

    def __init__(self, words: tuple[str, ...], patience: float, *, persistent: bool) -> None:
        self._words, self._patience, self._persistent = words, patience, persistent
        self._agent: Agent | None = None
        self._tried = False
        self._why = ""
        self._lock = threading.Lock()

    def open(self, *, again: bool = False) -> str:
        """Open the connection unless it was tried before (or *again*). Empty, or ssh's message if that failed."""
        with self._lock:
            if again or not self._tried or (self._agent is not None and self._agent.owner != os.getpid()):
                self._tried = True
                self._why = self._attempt() and self._attempt(after=0.5)
            return self._why

    def agent(self) -> Agent | None:
        """The agent, opened when it has not been tried yet; None when commands must go the ordinary way."""
        self.open()
        return self._agent

    def lost(self) -> None:
        """The agent is gone; the next command tries again."""
        with self._lock:
            if self._agent is not None:
                self._agent.close()
            self._agent, self._tried = None, False

    def start_closing(self) -> None:
        """Start to close."""
        if self._agent is not None:
            self._agent.start_closing()

    def close(self) -> None:
        """Close, and wait for it."""
        if self._agent is not None and self._agent.owner == os.getpid():
            self._agent.close()
        self._agent = None

    def _attempt(self, after: float = 0.0) -> str:
        """Try to reach the host. Returns the message of ssh if that fails, otherwise an empty text."""
        time.sleep(after)
        self._agent = None
        words, env = _without_password([*self._words, remote_command() if self._persistent else "exit 0"])
        try:
            self._agent = Agent(words, env, self._patience)
        except Unable:
            pass  # the host was reached
        except Unreachable as error:
            return str(error) or "no answer"
        except OSError as error:  # no ssh on this machine
            return str(error)
        return ""


def _without_password(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The same command and its environment, with a password in the environment and not on the command line."""
    env = dict(os.environ)
    if words[:2] == ["sshpass", "-p"]:
        return ["sshpass", "-e", *words[3:]], {**env, "SSHPASS": words[2]}
    return words, env


class Connections:
    """Every line of this process.

    Args:
        persistent: whether commands go through agents; without, only the reachability of hosts is checked.
        control: a folder with the sockets of connections that are open already (named by ssh's `%C`), or None.
    """

    def __init__(self, *, persistent: bool, control: str | None = None) -> None:
        self.persistent = persistent
        self._control = control
        self._lines: dict[tuple[str, ...], HostConnection] = {}
        self._lock = threading.Lock()

    def connection(self, backend: SshBackend) -> HostConnection | None:
        """The way that *backend* takes; None when its ssh arguments need a shell to be understood."""
        words = self._words(backend)
        if words is None:
            return None
        with self._lock:
            if words not in self._lines:
                patience = backend.timeout + PATIENCE
                self._lines[words] = HostConnection(words, patience, persistent=self.persistent)
            return self._lines[words]

    def open_all(self, backends: Iterable[SshBackend], *, again: bool = False) -> list[str]:
        """Open connections to all *backends* side by side. For each: empty, or ssh's message if that failed."""
        lines = [self.connection(backend) for backend in backends]
        if not lines:
            return []
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            return list(pool.map(lambda connection: connection.open(again=again) if connection else "", lines))

    def close(self) -> None:
        """Close everything, side by side."""
        lines = list(self._lines.values())
        for connection in lines:
            connection.start_closing()
        for connection in lines:
            connection.close()

    def _words(self, backend: SshBackend) -> tuple[str, ...] | None:
        """Testinfra's own ssh command for *backend*, as words, ready to have a command added."""
        extra = backend.ssh_extra_args or ""
        if SHELL_ONLY & set(extra):
            return None
        pieces, arguments = backend._build_ssh_command("")  # noqa: SLF001
        words = [os.path.expanduser(word) for word in shlex.split(backend.quote(" ".join(pieces), *arguments))]  # noqa: PTH111
        at = words.index("ssh") + 1
        ours = ["-T", "-o", "BatchMode=yes", "-o", "ControlMaster=no"]
        if backend.host.password:
            ours = ["-T", "-o", "ControlMaster=no"]
        if self._control and "controlpath" not in " ".join(words).lower():
            ours += ["-o", f"ControlPath={self._control}/%C"]
        return (*words[:at], *ours, *words[at:-1])


def install_backend(connections: Connections, aliases: Callable[[str], SshBackend | None]) -> None:
    """Replace testinfra's ssh backend in this process.

    Args:
        connections: where its commands go.
        aliases: gives the backend of a host that a suite names as the inventory does; None for other names.
    """

    class PersistentSsh(SshBackend):  # type: ignore[misc]
        """testinfra's ssh backend, through an agent that stays."""

        def run_ssh(self, command: str) -> base.CommandResult:
            has_own_options = (
                self.ssh_config or self.ssh_identity_file or self.ssh_extra_args or self.host.user or self.host.port
            )
            target = None if has_own_options else aliases(self.host.name)
            if target is not None and target is not self and target.host != self.host:
                return target.run_ssh(command)
            return _answer_of_agent(self, connections, command) or super().run_ssh(command)

    module: Any = testinfra.backend
    globals()["PersistentSsh"] = PersistentSsh
    module.BACKENDS["ssh"] = f"{__name__}.PersistentSsh"


def _answer_of_agent(backend: SshBackend, connections: Connections, command: str) -> base.CommandResult | None:
    """The result of *command* from the agent on the host of *backend*; None if no agent runs it."""
    connection = connections.connection(backend) if connections.persistent else None
    agent = connection.agent() if connection else None
    if connection is None or agent is None:
        return None
    encoded = backend.encode(command)
    try:
        answer = agent.run(encoded)
    except EOFError:
        answer = (255, b"", agent.error_output() or b"the connection was closed")
        connection.lost()
    if answer is None:
        return None
    result = backend.result(answer[0], encoded, answer[1], answer[2])
    if result.rc == 255:  # what the ordinary backend does with it
        raise RuntimeError(result)
    return result


def shorten_results() -> None:
    """Let testinfra show the result of a command without its connection, and with the end of what it printed.

    pytest cuts what it shows of an object in the middle; the reason of a failure is at the end of the output.
    """

    def shown(self: base.CommandResult) -> str:
        return result_text(os.fsdecode(self.command), self.rc, _text(self.stdout_bytes), _text(self.stderr_bytes))

    module: Any = base.CommandResult
    module.__repr__ = shown


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
