"""A TCP proxy in this process, on loopback only, that delays, stalls, cuts, flips and loses what goes through it."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK = 1 << 15
UP, DOWN = "up", "down"  # from who connects to the server, and back


@dataclass
class Faults:
    """What is wrong with the network now. Changed while connections are open, it holds for them, too.

    *delay* is seconds that each chunk takes, *rate* bytes a second. *stalled* holds everything back until it is
    false again. *lost* names directions whose bytes vanish. *cut* resets a connection when so many bytes have gone up
    in it, *flip* turns one bit of that byte. *watch* sees every chunk before it goes on, and says whether it may;
    when it may not, the connection is reset.
    """

    delay: float = 0.0
    rate: float = 0.0
    stalled: bool = False
    lost: frozenset[str] = frozenset()
    cut: int | None = None
    flip: int | None = None
    watch: Callable[[str, bytes], bool] | None = None


class Proxy:
    """Listens on 127.0.0.1, and joins each connection with the server at *target*: an address, or a socket's path."""

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self.target, self.faults = target, Faults()
        self.connections = self.resets = 0
        self.bytes = {UP: 0, DOWN: 0}
        self._open: set[socket.socket] = set()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        """Begin to listen."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, and listen no more."""
        self._over.set()
        self.faults.stalled = False
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def reset(self) -> None:
        """Reset every connection that is open."""
        with self._lock:
            for end in self._open:
                _reset(end)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
                server = self._connect()
            except OSError:
                continue
            self.connections += 1
            with self._lock:
                self._open |= {client, server}
            for way, source, sink in ((UP, client, server), (DOWN, server, client)):
                threading.Thread(target=self._carry, args=(way, source, sink), daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self.target, Path):
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.target))
            return server
        return socket.create_connection(self.target, timeout=20)

    def _carry(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            source.settimeout(None)
            while data := source.recv(CHUNK):
                passed = self._pass(way, data, passed, source, sink)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(end)

    def _pass(self, way: str, data: bytes, passed: int, source: socket.socket, sink: socket.socket) -> int:
        faults, after = self.faults, passed + len(data)
        self._hold(len(data))
        if faults.watch is not None and not faults.watch(way, data):
            self._cut(source, sink)
        if way == UP and faults.flip is not None and passed <= faults.flip < after:
            at = faults.flip - passed
            data = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        if way == UP and faults.cut is not None and after > faults.cut:
            sink.sendall(data[: max(0, faults.cut - passed)])
            self._cut(source, sink)
        if way not in faults.lost:
            sink.sendall(data)
        self.bytes[way] += len(data)
        return after

    def _hold(self, size: int) -> None:
        """Take as long as the network does."""
        seconds = self.faults.delay + (size / self.faults.rate if self.faults.rate else 0.0)
        if seconds:
            time.sleep(seconds)
        while self.faults.stalled and not self._over.is_set():
            time.sleep(0.02)

    def _cut(self, source: socket.socket, sink: socket.socket) -> None:
        self.resets += 1
        _reset(source)
        _reset(sink)
        raise ConnectionResetError


def _reset(end: socket.socket) -> None:
    """Close it so that the other side is told of a reset, and not of an end."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        end.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        end.close()
