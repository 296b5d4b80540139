"""How code in an isolated Pulumi operation uses loopback hosts: through a broker outside of its view.

A host outlives the operation that makes it, and every process of an isolated operation ends with it. So the broker
starts hosts and ends them; `broker` defines which ones. Standard library only.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

from orchestrator.domain.errors import OrchestratorError
from orchestrator.processes import SERVED

LARGEST = 1 << 16  # bytes of a question, and of an answer
PATIENCE = 120.0  # seconds: a host may wait for others that are started


def has_broker() -> bool:
    """Whether this process is isolated from the hosts, and has a broker."""
    return bool(os.environ.get(SERVED))


def ask_broker(what: str, stack: str, name: str, **more: Any) -> Any:
    """The answer of the broker to *what*, about the host *name* of *stack*. Raises what the broker raises."""
    question = json.dumps({"what": what, "stack": stack, "name": name, **more}).encode() + b"\n"
    try:
        with _connected(os.environ[SERVED]) as connection:
            connection.sendall(question)
            answer = json.loads(received(connection))
    except (OSError, ValueError) as error:
        raise OrchestratorError("E203", f"{name}: the broker of loopback hosts does not answer: {error}") from error
    if "error" in answer:
        raise OrchestratorError(*answer["error"])
    return answer["answer"]


def received(connection: socket.socket) -> bytes:
    """The line that comes over *connection*. Raises `OSError` if there is none of a usual size."""
    data = b""
    while not data.endswith(b"\n"):
        piece = connection.recv(LARGEST)
        data += piece
        if not piece or len(data) > LARGEST:
            raise ConnectionError("the connection ended")
    return data


@contextlib.contextmanager
def _connected(path: str) -> Iterator[socket.socket]:
    """A connection to the socket at *path*, which may be longer than an address can be."""
    place, _, name = path.rpartition("/")
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(f"/proc/self/fd/{folder}/{name}")
            yield connection
    finally:
        os.close(folder)
