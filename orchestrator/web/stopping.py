"""The end of a server: requests are completed, streams end so that their clients connect again, nothing is cut off."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn


@dataclass
class Stopping:
    """The end of one server: whether it has *started*, and how its streams are ended (*end_streams*)."""

    end_streams: Callable[[], Awaitable[None]]
    started: bool = False


class StoppableServer(uvicorn.Server):
    """A server that SIGINT and SIGTERM stop, so that what was started beside it is stopped too.

    After SIGTERM it still accepts requests for *drain_s* seconds, while its readiness is refused: a proxy stops
    sending requests meanwhile. A second signal, and SIGINT, stop it at once.
    """

    def __init__(self, config: uvicorn.Config, stopping: Stopping, drain_s: float = 0.0) -> None:
        super().__init__(config)
        self._stopping, self._drain_s = stopping, drain_s

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle both signals while the server runs. They are not raised again at its end."""
        loop, both = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
        for each in both:
            loop.add_signal_handler(each, self.handle_exit, each, None)
        try:
            yield
        finally:
            for each in both:
                loop.remove_signal_handler(each)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, or become unready and stop later."""
        first = not self._stopping.started
        self._stopping.started = True
        if first and sig == signal.SIGTERM and self._drain_s > 0:
            asyncio.get_running_loop().call_later(self._drain_s, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, end the streams, and complete what was requested."""
        await self._stopping.end_streams()
        await super().shutdown(sockets)
