"""The use case that computes the measures of a project."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.app.acting import Acting, View, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import Moment, moment_text, require_possible_times
from orchestrator.domain.promotion import State
from orchestrator.domain.register import REVIEWS
from orchestrator.management.measures.compute import LONGEST_WAIT, REWORK_TIME, compute_measures
from orchestrator.management.measures.deployments import RunDetails, deployments_of
from orchestrator.management.measures.model import Measures, MeasureSpan
from orchestrator.management.measures.ports import MeasureSources
from orchestrator.register_ports import each_record

DEFAULT_PERIOD, LONGEST_PERIOD = timedelta(days=90), timedelta(days=3660)


@dataclass(frozen=True)
class MeasureFilter:
    """What is measured: from *since* (by default the last 90 days) until *until* (by default now).

    *environments* are those that count as the end of the path; by default those that no other one follows.
    """

    since: Moment | None = None
    until: Moment | None = None
    environments: tuple[str, ...] = ()


@forwarded
def show_measures(acting: Acting, sources: MeasureSources, chosen: MeasureFilter | None = None) -> Measures:
    """The five measures with the runs behind each. Raises A110 for an unknown environment, and N110."""
    wanted = chosen or MeasureFilter()
    require_possible_times((wanted.since, wanted.until))

    def work(view: View) -> tuple[MeasureSpan, frozenset[str]]:
        until = wanted.until or view.now.latest
        span = MeasureSpan(since=wanted.since or until - DEFAULT_PERIOD, until=until)
        if span.until - span.since > LONGEST_PERIOD:
            raise OrchestratorError("N110", f"since: measures are of at most {LONGEST_PERIOD.days} days")
        start = moment_text(span.since - 2 * REWORK_TIME - LONGEST_WAIT)
        return span, frozenset(review.run for review in each_record(view.records, REVIEWS, start=start))

    span, emergencies = read_register(acting, Action.VIEW, work)
    previous = sources.previous()
    for name in wanted.environments:
        if name not in previous:
            raise unknown("environment", name, sorted(previous))
    last = wanted.environments or tuple(name for name in previous if name not in previous.values())
    before = _before(last, previous)
    # Rework follows a rollback, which counts against a deployment: each at most one rework time before the other.
    runs = {name: sources.ended_runs(name, span.since - 2 * REWORK_TIME) for name in (*last, *before)}
    details = _details(sources, runs, last, emergencies)
    found = [each for name in runs for each in deployments_of(runs[name], details)]
    return compute_measures(found, span, last, before)


def _before(last: tuple[str, ...], previous: Mapping[str, str | None]) -> tuple[str, ...]:
    """The environments on the paths to those of *last*, without these."""
    found: dict[str, None] = {}
    for name in last:
        place = previous.get(name)
        while place is not None and place not in found and place not in last:
            found[place] = None
            place = previous.get(place)
    return tuple(found)


def _details(
    sources: MeasureSources, runs: dict[str, tuple[Run, ...]], last: tuple[str, ...], emergencies: frozenset[str]
) -> RunDetails:
    """Failures and commits are read for the environments at the end of their paths only."""
    counted = [run for name in last for run in runs[name] if run.release is not None]
    bad = tuple(run.id for run in counted if run.state in {State.ROLLED_BACK, State.NEEDS_INTERVENTION})
    good = frozenset(run.release for run in counted if run.release is not None and run.state is State.SUCCEEDED)
    return RunDetails(failed_at=sources.failures(bad), commit_at=sources.commit_times(good), emergencies=emergencies)
