"""The facts of reviews from the journal."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from orchestrator.domain.journal import PROMOTION_KINDS, Record, Run
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import moment_text
from orchestrator.domain.promotion import State
from orchestrator.domain.run_reason import ending_reason
from orchestrator.domain.story import RunView, seconds_between
from orchestrator.management.reviews.model import ReviewFacts, Wait
from orchestrator.management.reviews.ports import ReviewedRun, RunKind
from orchestrator.ports.lists import each_run, runs_of_request
from orchestrator.services import Services

LONGEST_RUN = timedelta(days=7)
"""How long before its end a run can have been requested: the list of runs, which is read often, has that order."""
LEASED = "lease"
"""The step with which a run gets its environment."""
BAD = (State.ROLLED_BACK, State.NEEDS_INTERVENTION)
PROMOTIONS = tuple(sorted(PROMOTION_KINDS))


def reviewed_runs(services: Services, since: datetime, emergencies: frozenset[str]) -> tuple[ReviewedRun, ...]:
    """The runs since then that are reviewed, oldest first, each once."""
    found = {each.run.id: each for each in (*_emergencies(services, since, emergencies), *_bad(services, since))}
    return tuple(sorted(found.values(), key=lambda each: (each.run.ended_at or "", each.run.id)))


def _emergencies(services: Services, since: datetime, requests: frozenset[str]) -> Iterator[ReviewedRun]:
    for request in requests:
        for run in runs_of_request(services.store, request):
            if run.ended_at is not None and run.ended_at >= moment_text(since) and run.state is not State.FAILED:
                yield ReviewedRun(run, "emergency")


def _bad(services: Services, since: datetime) -> Iterator[ReviewedRun]:
    """What went wrong, or rolled something back."""
    first, ended = moment_text(since - LONGEST_RUN), moment_text(since)
    for chosen in (RunFilter(kinds=PROMOTIONS, states=BAD), RunFilter(kinds=("rollback",), is_open=False)):
        for run in each_run(services.store, chosen):
            if run.requested_at < first:
                break
            if run.ended_at is not None and run.ended_at >= ended and run.state is not State.FAILED:
                kind: RunKind = "intervention" if run.state is State.NEEDS_INTERVENTION else "rollback"
                yield ReviewedRun(run, kind, _undone(services, run))


def runs_of_package(services: Services, environment: str, name: str, digest: str, since: datetime) -> tuple[Run, ...]:
    """The promotions of a package to *environment*, and its rollbacks, requested after *since*, oldest first.

    A rollback is recorded with the package that it restores: one from this package to another of its *name* counts.
    """
    chosen = RunFilter(environment=environment, name=name, kinds=(*PROMOTIONS, "rollback"))
    newest_first = takewhile(lambda run: run.requested_at >= moment_text(since), each_run(services.store, chosen))
    found: list[Run] = []
    is_there = False
    for run in reversed(list(newest_first)):
        is_of_it = run.release is not None and run.release.digest == digest
        if is_of_it or (is_there and run.kind == "rollback"):
            found.append(run)
        is_there = is_of_it if _has_left(run) else is_there
    return tuple(found)


def _has_left(run: Run) -> bool:
    """Whether the environment has the package of *run* since its end."""
    return run.state is State.SUCCEEDED or (run.kind == "rollback" and run.state is State.ROLLED_BACK)


def _undone(services: Services, run: Run) -> str:
    """The digest of what *run* took out of its environment: its own package, or that which a rollback replaced."""
    if run.kind != "rollback":
        return run.release.digest if run.release is not None else ""
    name = run.release.name if run.release is not None else None
    kinds = (*PROMOTIONS, "rollback")
    chosen = RunFilter(environment=run.environment, name=name, kinds=kinds, before=run.requested_at)
    earlier = (each.release for each in each_run(services.store, chosen) if _has_left(each))
    release = next(earlier, None)
    return release.digest if release is not None else ""


def facts_of_run(services: Services, run: str) -> ReviewFacts:
    """What the journal has of one run. Raises R101."""
    found = services.store.run(run)
    records = services.store.records(found.id)
    view = RunView.of(found, records)
    return ReviewFacts(
        runs=(f"{found.id}: {found.state}",),
        seconds=_seconds(found),
        recovery_s=view.recovery,
        downtime_s=view.probe.downtime if view.probe is not None else None,
        waits=tuple(_waits(found, view, records)),
        incidents=tuple(_incidents(view)),
        flaky=tuple(f"{each['what']}: failed {each['failed']} times" for each in view.flaky),
    )


def _seconds(run: Run) -> float | None:
    return seconds_between(run.requested_at, run.ended_at) if run.ended_at else None


def _waits(run: Run, view: RunView, records: list[Record]) -> Iterator[Wait]:
    """The time in the queue, and the times for which the run was held or paused."""
    lease = view.steps.get(LEASED)
    if lease is not None and lease.finished_at is not None:
        yield Wait(kind="queue", seconds=seconds_between(run.requested_at, lease.finished_at))
    for place, record in enumerate(records):
        kind = _kept_by(record)
        after = next((later.at for later in records[place + 1 :] if _kept_by(later) is None), None)
        if kind is not None and after is not None:
            yield Wait(kind=kind, seconds=seconds_between(record.at, after))


def _kept_by(record: Record) -> Literal["held", "paused"] | None:
    if record.kind == "notice" and record.data.get("held"):
        return "held"
    return "paused" if record.kind == "control" and record.data.get("control") == "pause" else None


def _incidents(view: RunView) -> Iterator[str]:
    """The cause of the end, if the run did not succeed, and its alerts."""
    if view.run.state is not State.SUCCEEDED:
        yield ending_reason(view)
    yield from (str(alert["text"]) for alert in view.alerts)
