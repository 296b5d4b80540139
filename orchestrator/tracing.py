"""Traces: spans of what requests and runs do, if the composition root has started them; otherwise they cost nothing.

This module knows no library. The `Traces` of `orchestrator/adapters/otlp_traces.py` export spans with OpenTelemetry.
A parent is named by the text of W3C Trace Context, `traceparent`: it is stored with a request, sent over HTTP, and is
the variable `TRACEPARENT` of jobs.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

VARIABLE, HEADER = "TRACEPARENT", "traceparent"
SpanKind = Literal["server", "client", "internal"]
SERVER: SpanKind = "server"
CLIENT: SpanKind = "client"
INTERNAL: SpanKind = "internal"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

Value = str | int | float | bool


class Span(Protocol):
    """What is traced, as long as it lasts."""

    def name(self, text: str) -> None:
        """Give it another name."""

    def note(self, attributes: Mapping[str, Value], *, failed: bool = False) -> None:
        """Add *attributes*, and whether it has *failed*."""


class Traces(Protocol):
    """Makes spans and exports them."""

    def span(
        self, name: str, kind: SpanKind, parent: str, attributes: Mapping[str, Value]
    ) -> AbstractContextManager[Span]:
        """A span of *kind* below *parent*; below the current span if that is empty. An exception marks it as failed."""

    def current(self) -> str:
        """The `traceparent` of the current span; empty without one."""

    def flush(self) -> None:
        """Export what has ended, for a few seconds at most."""


class NullSpan:
    """A span that is not recorded."""

    def name(self, text: str) -> None:
        """Do nothing."""

    def note(self, attributes: Mapping[str, Value], *, failed: bool = False) -> None:
        """Do nothing."""


_traces: list[Traces] = []


def is_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the variables of OpenTelemetry name a receiver of traces, or the console."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    chosen = environ.get("OTEL_TRACES_EXPORTER", "")
    return chosen != "none" and (chosen == "console" or any(environ.get(name) for name in ENDPOINTS))


def use_traces(traces: Traces | None) -> None:
    """Record spans by *traces* from now on; by none if it is None."""
    _traces[:] = [traces] if traces is not None else []


def is_on() -> bool:
    """Whether spans are recorded."""
    return bool(_traces)


@contextmanager
def record_span(name: str, kind: SpanKind = INTERNAL, parent: str = "", **attributes: Value) -> Iterator[Span]:
    """A span *name* with *attributes*, whose names get the prefix `orchestrator.`; below *parent* if one is given."""
    if not _traces:
        yield NullSpan()
        return
    named = {f"orchestrator.{key}": value for key, value in attributes.items() if value != ""}
    with _traces[0].span(name, kind, parent, named) as made:
        yield made


def current() -> str:
    """The `traceparent` of the current span, or the one that this process was given; empty without traces."""
    return (_traces[0].current() or os.environ.get(VARIABLE, "")) if _traces else ""


def variables() -> dict[str, str]:
    """The variables with which a process continues the trace; empty without one."""
    return {VARIABLE: found} if (found := current()) else {}


def headers() -> dict[str, str]:
    """The headers with which a server continues the trace; empty without one."""
    return {HEADER: found} if (found := current()) else {}


def flush() -> None:
    """Export what has ended, before a process ends in a way that runs no handlers."""
    for traces in _traces:
        traces.flush()
