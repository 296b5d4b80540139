"""Receivers of notifications: a real HTTP server and a real SMTP server on loopback, and the project that sends."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from orchestrator.adapters.memory.store import ManualClock
from orchestrator.adapters.notifications.channels import check_target, deliver
from orchestrator.domain.notifications import ChannelKind, Notification, NotificationRule, Target
from orchestrator.management.hooks.signatures import Received


@dataclass
class NotificationProject:
    """What the project of these tests tells notifications."""

    clock: ManualClock = field(default_factory=ManualClock)
    end: str = ""

    def seal(self, rule: str, text: str) -> str:
        return f"{rule} {text[::-1]}"

    def open_sealed(self, rule: str, sealed: str) -> str:
        return sealed.removeprefix(f"{rule} ")[::-1]

    def feed_end(self) -> str:
        return self.end

    def check_target(self, channel: ChannelKind, address: str, *, private: bool) -> str:
        return check_target(channel, address, private=private)

    def deliver(self, rule: NotificationRule, target: Target, notifications: tuple[Notification, ...]) -> None:
        deliver(rule, target, notifications, self.clock)


@dataclass
class HttpReceiver:
    """What an HTTP server has received, and the statuses of its next responses; then 204."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in?x=1"


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    """A server until the end of the context."""
    found = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.received.append(Received({name.lower(): value for name, value in self.headers.items()}, body))
            status = found.statuses.pop(0) if found.statuses else 204
            self.send_response(status)
            self.send_header("location", f"http://127.0.0.1:{found.port}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()


@contextmanager
def smtp_receiver(*, refuses: int = 0) -> Iterator[tuple[int, list[Message]]]:
    """The port of an SMTP server, and the mails that it has accepted, after it has refused the first ones."""
    mails: list[Message] = []
    left = [refuses]

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline():
                verb = line.split(b" ")[0].strip().upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go\r\n")
                    data = b""
                    while (part := self.rfile.readline()) != b".\r\n":
                        data += part
                    left[0] -= 1
                    if left[0] < 0:
                        mails.append(message_from_bytes(data))
                    self.wfile.write(b"250 ok\r\n" if left[0] < 0 else b"451 later\r\n")
                elif verb == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server.server_address[1], mails
        finally:
            server.shutdown()
