"""Figures for Prometheus: requests of this process, and what is true of the project."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orchestrator.app.run_requests import list_requests
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.register import OUTBOX
from orchestrator.web.api.documents import Who
from orchestrator.web.requests import application

if TYPE_CHECKING:
    from orchestrator.app.application import Application

TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_RUNS = RunFilter(is_open=True)
MOST_RUNS = 200
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
router = APIRouter(include_in_schema=False)


class RequestCounts:
    """The requests that this process has responded to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._seconds = 0.0

    def count(self, method: str, status: int, seconds: float) -> None:
        """Count one response, which has started after so many *seconds*."""
        with self._lock:
            self._counts[method if method in METHODS else "other", str(status)] += 1
            self._seconds += seconds

    def samples(self) -> tuple[dict[tuple[str, str], int], float]:
        """The number of responses by method and status, and the sum of their seconds."""
        with self._lock:
            return dict(self._counts), self._seconds


Samples = tuple[tuple[dict[str, str], float], ...]
"""Values with their labels."""


def single(value: float) -> Samples:
    """One value without labels."""
    return (({}, value),)


@dataclass(frozen=True)
class Family:
    """The figure *name* of *kind* with its *help*: a value for each set of labels."""

    name: str
    kind: str
    help: str
    samples: Samples

    def lines(self) -> Iterator[str]:
        """The family in the text format of Prometheus."""
        full = f"orchestrator_{self.name}"
        yield f"# HELP {full} {self.help}"
        yield f"# TYPE {full} {self.kind}"
        for labels, value in self.samples:
            text = ",".join(f'{label}="{_escaped(of)}"' for label, of in labels.items())
            yield f"{full}{{{text}}} {value:.9g}" if text else f"{full} {value:.9g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _counted(labels: tuple[str, ...], found: Mapping[Any, int]) -> Samples:
    """A sample for each key of *found*, which has a value for each label."""
    return tuple((dict(zip(labels, key, strict=True)), number) for key, number in sorted(found.items()))


def project_figures(app: "Application", actor: Actor) -> tuple[Family, ...]:
    """What is true of the project. Raises A101."""
    facts = app.queries.facts_of_all(actor, tuple(app.environments))
    page = app.queries.run_page(actor, OPEN_RUNS, None, MOST_RUNS).items
    runs = Counter((str(run.kind), str(run.activity)) for run in page)
    waiting = Counter((each.state.value,) for each in list_requests(app.acting_as(actor), app.request_rules()).items)
    problems = Counter((item.name, str(problem.kind)) for item in facts for problem in item.problems)
    queues = tuple(({"environment": item.name}, len(item.waiting)) for item in facts)
    is_open = tuple(({"environment": item.name}, int(not item.calendar or item.calendar.open)) for item in facts)
    worker = single(app.scheduler_runs())
    now = datetime.now(UTC)
    waits = tuple(({"environment": item.name}, _oldest(now, (wait.since for wait in item.waiting))) for item in facts)
    messages = app.acting_as(actor).register.reading(lambda records: records.count(OUTBOX))
    return (
        *store_families(app),
        Family("open_runs", "gauge", "Runs that have not ended.", _counted(("kind", "activity"), runs)),
        Family("queue_length", "gauge", "Runs in the queue of an environment.", queues),
        Family("environment_open", "gauge", "Whether the calendar lets promotions start.", is_open),
        Family("problems", "gauge", "What an operator must act on.", _counted(("environment", "kind"), problems)),
        Family("requests", "gauge", "Run requests that have not ended.", _counted(("state",), waiting)),
        Family("queue_wait_seconds", "gauge", "How long the first run of a queue has waited.", waits),
        Family("outbox_messages", "gauge", "Messages to users, by state.", _counted(("state",), _keyed(messages))),
        Family("worker_running", "gauge", "Whether a worker does what is due.", worker),
    )


def store_families(app: "Application") -> Iterator[Family]:
    """The figures of the store: the kept runs, and the database itself."""
    began = time.perf_counter()
    app.require_store()
    read_s = time.perf_counter() - began
    figures = app.store_figures()
    labels = [{"kind": each.kind, "state": each.state} for each in figures.runs]
    numbers = tuple((label, float(each.number)) for label, each in zip(labels, figures.runs, strict=True))
    seconds = tuple((label, each.seconds) for label, each in zip(labels, figures.runs, strict=True))
    yield Family("runs", "gauge", "Kept runs.", numbers)
    yield Family("run_seconds", "gauge", "Sum of the seconds from the request of kept runs to their end.", seconds)
    yield Family("database_bytes", "gauge", "Size of the database.", single(figures.size_bytes))
    yield Family("database_read_seconds", "gauge", "Duration of a short read of the database.", single(read_s))


def _keyed(found: Mapping[str, int]) -> dict[tuple[str], int]:
    return {(key,): number for key, number in found.items()}


def _oldest(now: datetime, times: Iterable[str]) -> float:
    """The seconds since the earliest of *times*; 0 without one."""
    return max((max(0.0, (now - parse_moment(at)).total_seconds()) for at in times), default=0.0)


@router.get("/metrics")
def get_metrics(request: Request, who: Who) -> Response:
    """The figures, for an actor who may view the project."""
    state = request.app.state
    counts, seconds = state.counts.samples()
    listeners, passed = single(state.broadcast.listeners), single(seconds)
    own = (
        Family("event_listeners", "gauge", "Listeners of the events of this process.", listeners),
        Family("http_responses_total", "counter", "Responses of this process.", _counted(("method", "status"), counts)),
        Family("http_seconds_total", "counter", "Seconds until responses of this process started.", passed),
    )
    families = (*project_figures(application(request), who.actor), *own)
    return Response("\n".join(line for each in families for line in each.lines()) + "\n", media_type=TYPE)
