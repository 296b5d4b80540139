"""A receiver of traces on this machine, which reads OTLP over HTTP with the messages of the protocol's own package."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Received:
    """A span, with hexadecimal ids."""

    name: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, Any]
    service: str


@dataclass
class Receiver:
    """What has been received so far."""

    port: int = 0
    spans: list[Received] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """The variables with which a process sends its traces here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "OTEL_BSP_SCHEDULE_DELAY": "200"}

    def named(self, start: str) -> list[Received]:
        """The spans whose names start with *start*."""
        return [each for each in self.spans if each.name.startswith(start)]

    def take(self, body: bytes) -> None:
        """Read one message."""
        message = ExportTraceServiceRequest()
        message.ParseFromString(body)
        for resource in message.resource_spans:
            about = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for each in scope.spans:
                    given = {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in each.attributes}
                    ids = each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex()
                    failed = each.status.code == 2
                    self.spans.append(Received(each.name, *ids, failed, given, about.get("service.name", "")))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver, as long as the context lasts."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            http.shutdown()
            thread.join()
