"""Traces with OpenTelemetry, over OTLP. The library is imported here alone, and this module only if OTEL_* is set."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import cast

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orchestrator import __version__
from orchestrator.tracing import HEADER, Span, SpanKind, Value

FLUSH_MS = 3000
"""How long a process that ends waits for the receiver."""
KINDS = {"server": trace.SpanKind.SERVER, "client": trace.SpanKind.CLIENT, "internal": trace.SpanKind.INTERNAL}
W3C = TraceContextTextMapPropagator()


class OtlpTraces:
    """Exports spans, configured by the variables of OpenTelemetry in *environ*. Raises `ModuleNotFoundError`.

    Each process has a provider of its own: the thread and the connections of an exporter do not survive a fork.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._provider: TracerProvider | None = None
        self._process = 0
        self._exporter = exporter_class(environ)

    @contextmanager
    def span(self, name: str, kind: SpanKind, parent: str, attributes: Mapping[str, Value]) -> Iterator[Span]:
        """A span of *kind* below *parent*, or the current one. An exception marks it as failed."""
        tracer = self._own_provider().get_tracer("orchestrator", __version__)
        context = W3C.extract({HEADER: parent}) if parent else None
        with tracer.start_as_current_span(
            name, context=context, kind=KINDS[kind], attributes=dict(attributes), record_exception=False
        ) as made:
            yield OtlpSpan(made)

    def current(self) -> str:
        """The `traceparent` of the current span; empty without one."""
        carrier: dict[str, str] = {}
        W3C.inject(carrier)
        return carrier.get(HEADER, "")

    def flush(self) -> None:
        """Export what has ended."""
        if self._provider is not None and self._process == os.getpid():
            self._provider.force_flush(FLUSH_MS)

    def _own_provider(self) -> TracerProvider:
        if self._provider is None or self._process != os.getpid():
            named = "OTEL_SERVICE_NAME" in self._environ or SERVICE_NAME in self._environ.get(
                "OTEL_RESOURCE_ATTRIBUTES", ""
            )
            about = {"service.version": __version__}
            made = TracerProvider(
                resource=Resource.create(about if named else {**about, SERVICE_NAME: "orchestrator"}),
                shutdown_on_exit=True,
            )
            made.add_span_processor(BatchSpanProcessor(self._exporter()))
            self._provider, self._process = made, os.getpid()
        return self._provider


class OtlpSpan:
    """A span of OpenTelemetry."""

    def __init__(self, made: trace.Span) -> None:
        self._made = made

    def name(self, text: str) -> None:
        """Give it another name."""
        self._made.update_name(text)

    def note(self, attributes: Mapping[str, Value], *, failed: bool = False) -> None:
        """Add *attributes*, and whether it has *failed*."""
        self._made.set_attributes(dict(attributes))
        if failed:
            self._made.set_status(trace.StatusCode.ERROR)


def exporter_class(environ: Mapping[str, str]) -> type[SpanExporter]:
    """The exporter that *environ* chooses: OTLP over HTTP, over gRPC, or the console. Raises `ModuleNotFoundError`."""
    if environ.get("OTEL_TRACES_EXPORTER") == "console":
        return ConsoleSpanExporter
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    name = "grpc" if protocol == "grpc" else "http"
    found = import_module(f"opentelemetry.exporter.otlp.proto.{name}.trace_exporter")
    return cast("type[SpanExporter]", found.OTLPSpanExporter)
