"""Clients that are slow or many: the server closes their connections, and serves the others."""

import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from orchestrator.web import connections
from tests.cli.memory_project import MemoryProject, project
from tests.server.listening import listening
from tests.server.site import Site

__all__ = ["project"]  # the fixture

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LIMIT_S = 0.5
PATIENCE_S = 60


@pytest.fixture
def site(project: MemoryProject) -> Site:
    """A server of a project."""
    return Site(project)


def connected(port: int) -> "closing[socket.socket]":
    """A connection to the server at *port*."""
    return closing(socket.create_connection(("127.0.0.1", port), PATIENCE_S))


def answer(client: socket.socket) -> bytes:
    """The next response at *client*, whole: its body may arrive after its header."""
    data = b""
    while b"\r\n\r\n" not in data and (part := client.recv(1)):
        data += part
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", data)
    remaining = int(length[1]) if length else 0
    while remaining and (part := client.recv(remaining)):
        data, remaining = data + part, remaining - len(part)
    return data


def drip(client: socket.socket, text: bytes, ends: float) -> bool:
    """Send *text* byte by byte until the server closes the connection. Whether it did before the time *ends*."""
    client.settimeout(0.1)
    while time.monotonic() < ends:
        try:
            client.sendall(text)
            if client.recv(1000) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    ("limit", "start"),
    [
        ("HEADERS_S", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "),
        ("HEADERS_S", b""),
        ("HEADERS_S", GET + b"GET /healthz HTTP/1.1\r\nX-Slow: "),
        (
            "BODY_S",
            b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nContent-Length: 60000\r\n\r\n",
        ),
    ],
    ids=["headers", "nothing", "headers of a second request", "a body"],
)
def test_a_request_that_arrives_slowly_is_ended(
    site: Site, monkeypatch: pytest.MonkeyPatch, limit: str, start: bytes
) -> None:
    """A client that sends a byte now and then keeps its connection for the time of the limit, and others are served."""
    monkeypatch.setattr(connections, limit, LIMIT_S)
    with listening(site.server) as port, connected(port) as slow, connected(port) as other:
        if start:
            slow.sendall(start)
        other.sendall(GET)
        assert answer(other).startswith(b"HTTP/1.1 200")
        assert drip(slow, b"x" if start else b"", time.monotonic() + PATIENCE_S)


def test_a_client_that_does_not_read_is_ended(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that requests much and reads nothing loses its connection."""
    monkeypatch.setattr(connections, "READ_S", LIMIT_S)
    with listening(site.server) as port, connected(port) as idle:
        request = b"GET /assets/htmx.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        ends = time.monotonic() + PATIENCE_S
        idle.settimeout(0.2)
        closed = False
        while not closed and time.monotonic() < ends:
            try:
                idle.sendall(request * 50)
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed


def test_a_body_that_is_not_http_is_refused_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong chunk in a body, and a client that leaves in it, end the request without an exception in the log."""
    head = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"
    with listening(site.server) as port:
        for body in (b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", b"Content-Length: 100\r\n\r\na"):
            with connected(port) as client:
                client.sendall(head + body)
                if b"chunked" in body:
                    assert answer(client).startswith(b"HTTP/1.1 400")
        with connected(port) as client:
            client.sendall(GET)
            assert answer(client).startswith(b"HTTP/1.1 200")
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


def test_a_slow_but_steady_client_is_served(site: Site) -> None:
    """A request in pieces within the limits, and several requests in one connection, get their responses."""
    with listening(site.server) as port, connected(port) as client:
        for _ in range(3):
            for at in range(0, len(GET), 10):
                client.sendall(GET[at : at + 10])
            assert answer(client).startswith(b"HTTP/1.1 200")
        client.sendall(GET + GET)
        for _ in range(2):
            assert answer(client).startswith(b"HTTP/1.1 200")


def refused(port: int, count: int) -> Iterator[bytes]:
    """What each of *count* connections gets that are too many."""
    for _ in range(count):
        with connected(port) as client:
            data = b""
            try:
                while part := client.recv(4000):
                    data += part
            except ConnectionError:
                pass
            yield data


def test_connections_beyond_the_limit_are_refused(site: Site) -> None:
    """Those that are too many get 503 with a code and are closed; the others are served, and so are new ones afterwards."""
    most = 20
    with listening(site.server, most) as port:
        with ExitStack() as stack:
            kept = [stack.enter_context(connected(port)) for _ in range(most)]
            for client in kept:
                client.sendall(GET)
                assert answer(client).startswith(b"HTTP/1.1 200")
            answers = list(refused(port, 3 * most))
            assert all(each.startswith(b"HTTP/1.1 503") and b'"N165"' in each for each in answers)
            kept[0].sendall(GET)
            assert answer(kept[0]).startswith(b"HTTP/1.1 200")
        ends = time.monotonic() + PATIENCE_S
        served = False
        while not served and time.monotonic() < ends:
            with connected(port) as client:
                client.sendall(GET)
                served = answer(client).startswith(b"HTTP/1.1 200")
        assert served


def test_one_address_has_a_limit_of_its_own(site: Site) -> None:
    """Connections of one address that are too many get 429 with a code and are closed; another address, and a proxy, are served."""

    def status(port: int, source: str) -> bytes:
        with closing(socket.create_connection(("127.0.0.1", port), PATIENCE_S, (source, 0))) as client:
            client.sendall(GET)
            return client.recv(4000)

    with listening(site.server, 100, 3, ("127.0.0.3",)) as port, ExitStack() as stack:
        kept = [stack.enter_context(connected(port)) for _ in range(3)]
        for client in kept:
            client.sendall(GET)
            assert client.recv(4000).startswith(b"HTTP/1.1 200")
        [answer] = refused(port, 1)
        assert (answer.startswith(b"HTTP/1.1 429 "), b'"N166"' in answer, b"retry-after" in answer) == (True,) * 3
        assert status(port, "127.0.0.2").startswith(b"HTTP/1.1 200")
        proxied = [socket.create_connection(("127.0.0.1", port), PATIENCE_S, ("127.0.0.3", 0)) for _ in range(5)]
        for client in proxied:
            stack.enter_context(closing(client)).sendall(GET)
            assert client.recv(4000).startswith(b"HTTP/1.1 200")
        kept[0].close()
        ends = time.monotonic() + PATIENCE_S
        while not status(port, "127.0.0.1").startswith(b"HTTP/1.1 200"):
            assert time.monotonic() < ends, "a connection that was closed still counts"


def test_the_number_of_connections_leaves_files_for_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of open files is raised as far as possible, and fewer connections are served if it stays small."""
    changed: list[tuple[int, int]] = []
    for limits, most in (((1024, 1_048_576), 2000), ((1024, 1024), 768), ((100, 100), 1), ((-1, -1), 2000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        monkeypatch.setattr(resource, "setrlimit", lambda _, new: changed.append(new))
        assert connections.raise_file_limit() == most
    assert changed == [(2256, 1_048_576)]
