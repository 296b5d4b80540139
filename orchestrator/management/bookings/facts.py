"""The facts of bookings from the journal."""

from collections.abc import Iterator
from datetime import datetime

from orchestrator.domain.journal import Run
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.management.bookings.ports import Use
from orchestrator.ports import Store
from orchestrator.ports.lists import AT_ONCE, each_run
from orchestrator.services import Services

LEASED = "lease:finished"
"""The key of the entry with which a run has its environment."""


def uses_of(services: Services, environments: tuple[str, ...], since: datetime) -> dict[str, tuple[Use, ...]]:
    """The runs that had each of *environments* after *since*, newest first; nothing for one that no run had."""
    found = {name: _uses_of(services, name, since) for name in _used_since(services.store, environments, since)}
    return {name: uses for name, uses in found.items() if uses}


def _used_since(store: Store, environments: tuple[str, ...], since: datetime) -> Iterator[str]:
    """Those of *environments* whose newest run has not ended before *since*. They are read at once."""
    for at in range(0, len(environments), AT_ONCE):
        rows = store.list_environments(environments[at : at + AT_ONCE], limit=AT_ONCE).items
        newest = tuple(row.run for row in rows if row.run is not None)
        for run in store.runs_named(newest) if newest else ():
            if run.ended_at is None or run.ended_at >= moment_text(since):
                yield run.environment


def _uses_of(services: Services, environment: str, since: datetime) -> tuple[Use, ...]:
    """The runs that had *environment* after *since*, newest first."""
    runs = list(_runs(services, environment, moment_text(since)))
    entries = services.store.entries_of(tuple(run.id for run in runs), (LEASED,)) if runs else []
    started = {entry.run: parse_moment(entry.at) for entry in entries}
    now = parse_moment(services.clock.now())
    return tuple(
        Use(
            environment,
            run.by,
            parse_moment(run.requested_at),
            started[run.id],
            parse_moment(run.ended_at) if run.ended_at else now,
            run.id,
            run.root,
            run.release.digest if run.release is not None else "",
        )
        for run in runs
        if run.id in started
    )


def _runs(services: Services, environment: str, since: str) -> Iterator[Run]:
    """The runs of *environment*, newest first, as far back as any could have ended after *since*."""
    for run in each_run(services.store, RunFilter(environment=environment)):
        if run.ended_at is not None and run.ended_at < since:
            return
        yield run
