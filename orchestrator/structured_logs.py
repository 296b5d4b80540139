"""Logs as JSON: an object a line, with the ids of the request, the run and the trace that it is about.

Without :func:`log_as_json` nothing changes: warnings are printed as text, and information is not printed.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from orchestrator import tracing
from orchestrator.secret_values import process_secrets

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
FIELDS = "orchestrator_fields"
TRACE_PARTS = 4

Value = str | int | float | bool | None
NOTHING: Mapping[str, Value] = MappingProxyType({})

_about: ContextVar[Mapping[str, Value]] = ContextVar("log_about", default=NOTHING)
_chosen = [TEXT]


@contextmanager
def log_about(**fields: Value) -> Iterator[None]:
    """Add *fields* to each line of the context."""
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def log_event(logger: str, message: str, **fields: Value) -> None:
    """Log *message* with *fields*, as information. In text it is not printed."""
    logging.getLogger(logger).info(message, extra={FIELDS: fields})


def is_json() -> bool:
    """Whether this process logs JSON."""
    return _chosen[0] == JSON


def log_as_json() -> None:
    """Log JSON lines to standard error from now on: information of this program, and warnings of libraries."""
    handler = _ErrorStream()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("orchestrator").setLevel(logging.INFO)
    _chosen[0] = JSON


class _ErrorStream(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to the current standard error: a process that was forked has another one."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr


class JsonLines(logging.Formatter):
    """A record as a JSON object in one line, with the secrets that this process knows masked."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Value] = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about.get(),
            **getattr(record, FIELDS, {}),
        }
        parts = tracing.current().split("-")
        if len(parts) == TRACE_PARTS:
            line["trace"] = parts[1]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(process_secrets().data(line), ensure_ascii=False)
