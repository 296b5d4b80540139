"""A web server on this machine that answers as a test says."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Server:
    """A web server whose answers a test sets: *answers* maps paths to a status and a text."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(trust: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server on this machine, for as long as the block lasts; with *trust* it speaks TLS."""
    made = Server(scheme="https" if trust is not None else "http")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            made.shown.append(self.headers.get("Authorization", ""))
            status, text = made.answers.get(self.path.partition("?")[0], (404, ""))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", text)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # whoever asked has read as much as it wanted
                self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made.port = http.server_address[1]
        if trust is not None:
            http.socket = trust.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        http.shutdown()
        thread.join()
