"""The facts of measures from the journal."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from orchestrator.domain.journal import PROMOTION_KINDS, Run
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.domain.promotion import State
from orchestrator.management.measures.compute import LONGEST_WAIT
from orchestrator.ports.lists import each_run
from orchestrator.services import Services

KINDS = (*sorted(PROMOTION_KINDS), "rollback")
AT_ONCE = 500
"""How many runs are read in one query."""
MOVES = tuple(f"state:{number}" for number in range(1, 200))
"""The keys of the entries with the states of a run, far beyond what a promotion in many batches has."""


def ended_runs(services: Services, environment: str, since: datetime) -> tuple[Run, ...]:
    """The promotions and rollbacks in *environment* that ended after *since*, newest first."""
    return tuple(_runs(services, environment, since))


def _runs(services: Services, environment: str, since: datetime) -> Iterator[Run]:
    """Runs are listed by their request: one that was requested earlier can end later."""
    first, ended = moment_text(since - LONGEST_WAIT), moment_text(since)
    for run in each_run(services.store, RunFilter(environment=environment, kinds=KINDS, is_open=False), AT_ONCE):
        if run.requested_at < first:
            return
        if run.ended_at is not None and run.ended_at >= ended:
            yield run


def failures(services: Services, runs: tuple[str, ...]) -> Mapping[str, datetime]:
    """The time at which each of *runs* was halted by its first failure; nothing for a run that never was."""
    found: dict[str, datetime] = {}
    for start in range(0, len(runs), AT_ONCE):
        for entry in services.store.entries_of(runs[start : start + AT_ONCE], MOVES):
            if entry.data.get("to") == State.HALTING:
                found.setdefault(entry.run, parse_moment(entry.at))
    return found
