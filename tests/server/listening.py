"""A server of this process at an address of this machine."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from orchestrator.web.connections import MOST_CONNECTIONS, protocol_for


@contextmanager
def listening(server: Any, most: int = MOST_CONNECTIONS, *limits: Any) -> Iterator[int]:
    """The port at which the ASGI application *server* listens, with at most *most* connections, for as long as the block lasts.

    *limits* are those of addresses.
    """
    options: dict[str, Any] = {"http": protocol_for(most, *limits), "ws": "none", "timeout_graceful_shutdown": 1}
    running = uvicorn.Server(uvicorn.Config(server, port=0, log_level="critical", **options))
    thread = threading.Thread(target=lambda: asyncio.run(running.serve()))
    thread.start()
    deadline = time.monotonic() + 60
    try:
        while not running.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield running.servers[0].sockets[0].getsockname()[1]
    finally:
        running.should_exit = True
        thread.join()
