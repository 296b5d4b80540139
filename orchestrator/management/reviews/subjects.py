"""The facts of a review's subject: of the journal, of the register, and of the plan of a release."""

from collections.abc import Iterable, Iterator

from orchestrator.app.acting import View
from orchestrator.app.admission import overrides_of
from orchestrator.app.request_facts import request_of_run
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import minute_text, parse_moment
from orchestrator.domain.register import VOTES
from orchestrator.management.planned_releases.model import Phase, PlannedRelease
from orchestrator.management.reviews.model import PlannedTime, ReviewFacts, Wait
from orchestrator.management.reviews.ports import ReviewSources


def run_review_facts(view: View, run: Run, sources: ReviewSources) -> ReviewFacts:
    """The facts of one *run*, with its approvals, its wait for them, and the rules that were passed for it."""
    facts, request = sources.run_facts(run.id), request_of_run(view.records, run.id, run.root)
    waits = (*_approval_wait(run, request), *facts.waits)
    found = {"waits": waits, "approvals": tuple(_votes(view, request)), "overrides": tuple(_overrides(view, run))}
    return facts.model_copy(update={**found, "planned": tuple(_planned_start(run, request))})


def release_review_facts(view: View, release: PlannedRelease, sources: ReviewSources) -> ReviewFacts:
    """The facts of a planned *release*: its phases, and the runs of its packages in its environment since its plan."""
    runs = [
        run
        for each in release.packages
        if each.digest
        for run in sources.runs_of(release.environment, each.name, each.digest, release.created_at)
    ]
    facts = merged_facts(run_review_facts(view, run, sources) for run in runs)
    return facts.model_copy(update={"planned": (*(_phase(phase) for phase in release.phases), *facts.planned)})


def merged_facts(facts: Iterable[ReviewFacts]) -> ReviewFacts:
    """The facts of several runs together: times are added."""
    every = list(facts)
    sums = {name: _sum(getattr(each, name) for each in every) for name in ("seconds", "recovery_s", "downtime_s")}
    names = ("runs", "planned", "waits", "incidents", "flaky", "approvals", "overrides")
    lists = {name: tuple(item for each in every for item in getattr(each, name)) for name in names}
    return ReviewFacts().model_copy(update={**sums, **lists})


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _phase(phase: Phase) -> PlannedTime:
    end = phase.planned.end
    slip = (phase.completed_at - end).total_seconds() if phase.completed_at is not None else None
    return PlannedTime(name=phase.name, planned=end, actual=phase.completed_at, slip_s=slip)


def _approval_wait(run: Run, request: RunRequest | None) -> Iterator[Wait]:
    if request is not None:
        seconds = (parse_moment(run.requested_at) - request.requested_at).total_seconds()
        yield Wait(kind="approval", seconds=max(0.0, seconds))


def _planned_start(run: Run, request: RunRequest | None) -> Iterator[PlannedTime]:
    if request is not None and request.start is not None:
        actual = parse_moment(run.requested_at)
        slip = (actual - request.start).total_seconds()
        yield PlannedTime(name="start", planned=request.start, actual=actual, slip_s=slip)


def _votes(view: View, request: RunRequest | None) -> Iterator[str]:
    for cast in view.records.all(VOTES, request.id) if request is not None else ():
        vote = cast.vote
        withdrawn = ", withdrawn" if vote.withdrawn_at is not None else ""
        instead = f" for {vote.deputy_for}" if vote.deputy_for else ""
        yield f"{vote.decision} by {vote.by}{instead} at {minute_text(vote.at)}{withdrawn}"


def _overrides(view: View, run: Run) -> Iterator[str]:
    digest = run.release.digest if run.release is not None else ""
    for each in overrides_of(view.records, digest, run.environment):
        yield f"{each.text} was passed by {each.by}: {each.reason}"
