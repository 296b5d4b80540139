"""Many connections at once: `python -m tests.campaigns.crowd --connections 10000`. `make hostile` runs it.

A real `orchestrator serve` gets all of them at the same time. It serves as many as it may, refuses each further one with 503
and its code, or closes it, keeps serving those that it has, and serves new ones once the others have gone.
"""

import argparse
import resource
import selectors
import socket
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import cast

from orchestrator.web.connections import MOST_CONNECTIONS
from tests.server.pair import wait_for
from tests.server.test_process import answer, served

OWN_FILES = 200
GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PATIENCE_S = 120.0
QUIET_S = 5.0
ONE_ADDRESS = ("--connections-per-address", str(MOST_CONNECTIONS))
"""All connections come from this machine."""
SERVED, REFUSED, CLOSED, UNANSWERED = "served", "refused with 503", "closed", "without a response"


def crowd(port: int, count: int) -> tuple[Counter[str], list[socket.socket]]:
    """What came of *count* connections that are open at the same time, and those that are served."""
    clients = [socket.socket() for _ in range(count)]
    waiting = selectors.DefaultSelector()
    received = dict.fromkeys(clients, b"")
    try:
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            waiting.register(client, selectors.EVENT_WRITE)
        ended, quiet = time.monotonic() + PATIENCE_S, time.monotonic() + PATIENCE_S
        while waiting.get_map() and time.monotonic() < min(ended, quiet):
            for key, events in waiting.select(timeout=1):
                client = cast("socket.socket", key.fileobj)
                if _step(client, events, received):
                    waiting.unregister(client)
                elif events & selectors.EVENT_WRITE:
                    waiting.modify(client, selectors.EVENT_READ)
                quiet = time.monotonic() + QUIET_S + (PATIENCE_S if not any(received.values()) else 0)
    finally:
        waiting.close()
    kept = [client for client, data in received.items() if data.startswith(b"HTTP/1.1 200")]
    for client in clients:
        if client not in set(kept):
            client.close()
    return Counter(_outcome(data) for data in received.values()), kept


def _step(client: socket.socket, events: int, received: dict[socket.socket, bytes]) -> bool:
    """Send the request, or read a response. Whether the connection is done with."""
    try:
        if events & selectors.EVENT_WRITE:
            client.send(GET)
            return False
        data = client.recv(65536)
    except OSError:
        received[client] = received[client] or b"closed"
        return True
    received[client] += data or b"closed"
    return not data or received[client].startswith(b"HTTP/1.1 200")


def _is_served(client: socket.socket) -> bool:
    """Whether a connection that was served gets a further response."""
    client.settimeout(PATIENCE_S)
    client.sendall(GET)
    data = b""  # it starts with the rest of the first response
    while b"HTTP/1.1 200" not in data and (part := client.recv(4000)):
        data += part
    return b"HTTP/1.1 200" in data


def _outcome(data: bytes) -> str:
    if data.startswith(b"HTTP/1.1 200"):
        return SERVED
    if data.startswith(b"HTTP/1.1 503") and b'"N165"' in data:
        return REFUSED
    return CLOSED if data.endswith(b"closed") else UNANSWERED


def faults_of(port: int, count: int) -> list[str]:
    """What the server did wrong with *count* connections at once."""
    faults = []
    found, kept = crowd(port, count)
    print(", ".join(f"{number} {name}" for name, number in found.most_common()))
    if found[SERVED] > MOST_CONNECTIONS:
        faults.append(f"{found[SERVED]} were served at once")
    if found[UNANSWERED]:
        faults.append(f"{found[UNANSWERED]} got no response and were not closed")
    if not kept:
        return [*faults, "no connection was served"]
    if not _is_served(kept[0]):
        faults.append("a connection that was served was not served again")
    for client in kept:
        client.close()
    return faults


def _responds(port: int) -> bool:
    """Whether the server serves."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S):
        return answer(port, "GET", "/healthz")[0] == 200
    return False


def main(words: list[str] | None = None) -> int:
    """Open the connections. The exit status is 1 if one of them was not refused cleanly."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.crowd", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args(words)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    faults: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="crowd-") as folder,
        served(Path(folder), "--no-worker", *ONE_ADDRESS) as (port, process),
    ):
        wait_for(lambda: process.poll() is not None or _responds(port), "the server does not start")
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(given.connections + OWN_FILES, hard), hard))
        try:
            for _ in range(given.rounds):
                faults += faults_of(port, given.connections)
                began = time.monotonic()
                status, _, _ = answer(port, "GET", "/healthz")
                print(f"afterwards: {status} in {time.monotonic() - began:.2f} s")
                faults += [] if status == 200 and process.poll() is None else ["the server does not serve any more"]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for fault in faults:
        print(f"wrong: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
