"""Connections: how many there are at once, and how long a client may take to send a request and to read a response."""

import asyncio
import resource
from collections import Counter
from collections.abc import Collection
from typing import Any, ClassVar, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json
from orchestrator.web.problems import PROBLEM, RETRY_AFTER_S, problem_document, status_of

MOST_CONNECTIONS = 2000
"""How many connections are served at the same time. Further ones are refused and closed."""
OWN_FILES = 256
"""How many files the server opens besides connections: databases, packages, logs."""
HEADERS_S = 15.0
"""How long a client may take to send the headers of a request, from its first byte or the connection on."""
BODY_S = 120.0
"""How long a client may take to send a body: the largest one at 10 kB/s."""
READ_S = 60.0
"""How long a client may read nothing while a response is sent to it."""


def raise_file_limit() -> int:
    """Let this process open as many files as its connections need. Returns how many connections it can serve."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MOST_CONNECTIONS + OWN_FILES
    possible = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    if soft != resource.RLIM_INFINITY and soft < possible:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
        soft = possible
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, soft - OWN_FILES))


def refusal(code: str, text: str) -> bytes:
    """The response to a connection that is one too many, with the *code* of the error and a *text*."""
    error = OrchestratorError(code, text)
    status, body = status_of(error), canonical_json(problem_document(error, ""))
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"content-type: {PROBLEM}",
        f"content-length: {len(body)}",
        f"retry-after: {RETRY_AFTER_S}",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with at most *most* connections, each of which has limits of time.

    One address has at most *most_of_address* of them, unless it is one of *proxies*: a proxy connects for all clients.
    """

    most = MOST_CONNECTIONS
    most_of_address = MOST_CONNECTIONS
    proxies: Collection[str] = ()
    addresses: ClassVar[Counter[str]] = Counter()

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._deadline: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._awaited: object = None
        self._address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve the connection, or refuse it."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client is not None else ""
        self.addresses[self._address] += 1
        refused = self._refused()
        if refused is not None:
            transport.write(refusal(*refused))
            transport.close()
            return
        self._expect(h11.IDLE, HEADERS_S)

    def _refused(self) -> tuple[str, str] | None:
        """Why the connection is one too many, as a code and a text; None if it is served."""
        if len(self.connections) > self.most:
            return "N165", "the server serves as many as it can"
        if self.addresses[self._address] > self.most_of_address and self._address not in self.proxies:
            return "N166", f"{self._address} has {self.most_of_address} connections"
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limits of the connection."""
        self.addresses[self._address] -= 1
        if self.addresses[self._address] <= 0:
            del self.addresses[self._address]
        self._expect(None, 0)
        self._end_reading_limit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle *data*, unless the connection was refused."""
        if not self.transport.is_closing():
            super().data_received(data)

    def handle_events(self) -> None:
        """Handle what has arrived, and limit the time of what has to arrive next."""
        super().handle_events()
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._expect(state, BODY_S)
        elif state is h11.IDLE and self.conn.trailing_data[0]:
            self._expect(state, HEADERS_S)
        else:
            self._expect(None, 0)

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP. If it is handled already and its body is wrong, the handling ends."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        super().send_400_response(msg)

    def _expect(self, state: object, within_s: float) -> None:
        """Close the connection unless it leaves *state* in time; None ends the limit."""
        if state is self._awaited:
            return
        self._awaited = state
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if state is not None:
            self._deadline = self.loop.call_later(within_s, self._give_up)

    def _give_up(self) -> None:
        self.transport.abort()

    def pause_writing(self) -> None:
        """The client reads too slowly: wait for it, for at most a minute."""
        super().pause_writing()
        self._reading = self.loop.call_later(READ_S, self._give_up)

    def resume_writing(self) -> None:
        """The client has read."""
        self._end_reading_limit()
        super().resume_writing()

    def _end_reading_limit(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


def protocol_for(
    most: int, most_of_address: int = MOST_CONNECTIONS, proxies: Collection[str] = ()
) -> type[asyncio.Protocol]:
    """The protocol of a server that serves *most* connections at once, and of one address *most_of_address*.

    Those of the addresses *proxies* are not counted by address.
    """
    limits = {
        "most": most,
        "most_of_address": most_of_address,
        "proxies": frozenset(proxies),
        "addresses": Counter[str](),
    }
    return cast("type[asyncio.Protocol]", type("ServerProtocol", (BoundedProtocol,), limits))
