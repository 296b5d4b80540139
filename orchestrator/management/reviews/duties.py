"""What the scheduler does for reviews: it opens them after runs and releases, and reminds the owners of actions."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from orchestrator.app.acting import Acting, Change, View, change, read_own, read_register
from orchestrator.app.scheduler import do_each
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import Now, moment_text
from orchestrator.domain.register import OPEN, REQUESTS, REVIEWS
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.state import ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.reviews.decisions import (
    add_late_run,
    has_message,
    opened_for_release,
    opened_for_run,
    overdue_message,
    remind_action_owner,
)
from orchestrator.management.reviews.model import ReviewAction
from orchestrator.management.reviews.ports import ReviewedRun, ReviewSources
from orchestrator.management.reviews.store import RELEASE_REVIEWS, REVIEW_ACTIONS
from orchestrator.register_ports import each_record

OPENED_WITHIN = timedelta(days=7)
"""Reviews are opened for what ended at most this long ago: a project with an old history gets none for it."""
REVIEWED = frozenset({ReleaseState.RELEASED, ReleaseState.ROLLED_BACK, ReleaseState.CLOSED})


def open_due_reviews(acting: Acting, sources: ReviewSources) -> tuple[str, ...]:
    """Open the reviews that are due, and remind the owners of overdue actions. A phrase for each; nothing twice.

    Raises at the end what kept a review from being opened; the others were.
    """
    work = read_register(acting, Action.PLAN_RELEASES, lambda view: _due_work(view, sources))

    def done(name: str) -> tuple[str, ...]:
        return change(acting, Action.PLAN_RELEASES, lambda task: tuple(work[name](task)))

    return tuple(do_each(work, done))


Work = Callable[[Change], Iterator[str]]
"""Does one thing, unless another process has done it meanwhile. A phrase if it did."""


def _due_work(view: View, sources: ReviewSources) -> dict[str, Work]:
    """What is to be done, by what it is about."""
    reviewed = _reviewed_runs(view, sources)
    work: dict[str, Work] = {each.run.id: partial(_open_for_run, sources, each) for each in _due_runs(view, reviewed)}
    work |= {each.id: partial(_open_for_release, sources, each) for each in _due_releases(view)}
    for release, found in _late_runs(view, reviewed):
        work[f"{found.run.id} of {release.id}"] = partial(_add_late_run, sources, release, found)
    return work | {each.id: partial(_remind, each) for each in _unnoticed(view)}


def _open_for_run(sources: ReviewSources, found: ReviewedRun, task: Change) -> Iterator[str]:
    if task.records.get(RELEASE_REVIEWS, found.run.id) is None:
        opened_for_run(task, found.run, found.kind, sources)
        yield f"the review of {found.run.id} was opened: {found.kind}"


def _open_for_release(sources: ReviewSources, release: PlannedRelease, task: Change) -> Iterator[str]:
    if task.records.get(RELEASE_REVIEWS, release.id) is None:
        opened_for_release(task, task.existing(PLANNED_RELEASES, release.id), sources)
        yield f"the review of {release.id} was opened"


def _add_late_run(sources: ReviewSources, release: PlannedRelease, found: ReviewedRun, task: Change) -> Iterator[str]:
    review = task.existing(RELEASE_REVIEWS, release.id)
    if not review.names_run(found.run.id):
        add_late_run(task, task.existing(PLANNED_RELEASES, release.id), found.run, sources)
        yield f"{found.run.id} was added to the review of {release.id}"


def _remind(action: ReviewAction, task: Change) -> Iterator[str]:
    current = task.existing(REVIEW_ACTIONS, action.id)
    if current.is_overdue(task.now.earliest) and not has_message(task, current.owner, overdue_message(current)):
        yield remind_action_owner(task, current)


def _due_runs(view: View, reviewed: Iterable[ReviewedRun]) -> list[ReviewedRun]:
    return [each for each in reviewed if view.records.get(RELEASE_REVIEWS, each.run.id) is None]


def _is_due(view: View, sources: ReviewSources) -> bool:
    reviewed = _reviewed_runs(view, sources)
    return bool(_due_runs(view, reviewed) or _due_releases(view) or _late_runs(view, reviewed) or _unnoticed(view))


def _reviewed_runs(view: View, sources: ReviewSources) -> tuple[ReviewedRun, ...]:
    since = view.now.earliest - OPENED_WITHIN
    start = moment_text(since - OPENED_WITHIN)
    found_requests = (view.records.get(REQUESTS, each.run) for each in each_record(view.records, REVIEWS, start=start))
    emergencies = frozenset(request.root for request in found_requests if request is not None and request.root)
    return sources.reviewed_runs(since, emergencies)


def _late_runs(view: View, reviewed: Iterable[ReviewedRun]) -> list[tuple[PlannedRelease, ReviewedRun]]:
    """What undid a package of a release whose review was open or closed by then, and does not have it."""
    undoing: dict[tuple[str, str], list[ReviewedRun]] = {}
    for found in reviewed:
        if found.undone:
            undoing.setdefault((found.run.environment, found.undone), []).append(found)
    if not undoing:
        return []
    late: list[tuple[PlannedRelease, ReviewedRun]] = []
    for release in each_record(view.records, PLANNED_RELEASES):
        places = {(release.environment, package.digest) for package in release.packages}
        runs = [found for place in places for found in undoing.get(place, [])]
        review = view.records.get(RELEASE_REVIEWS, release.id) if runs else None
        if review is not None:
            late += [(release, found) for found in runs if not review.names_run(found.run.id)]
    return late


def _due_releases(view: View) -> list[PlannedRelease]:
    since = view.now.earliest - OPENED_WITHIN
    every = each_record(view.records, PLANNED_RELEASES)
    return [
        each
        for each in every
        if each.state in REVIEWED
        and (each.ended_at or view.now.earliest) >= since
        and view.records.get(RELEASE_REVIEWS, each.id) is None
    ]


def _unnoticed(view: View) -> list[ReviewAction]:
    late = (each for each in view.records.all(REVIEW_ACTIONS, OPEN) if each.is_overdue(view.now.earliest))
    return [each for each in late if not has_message(view, each.owner, overdue_message(each))]


@dataclass
class OpenReviews:
    """The scheduler's duty."""

    acting: Acting
    sources: ReviewSources
    name: str = "reviews"

    def due(self, now: Now) -> bool:
        """Whether a review is to be opened, or an owner reminded."""
        del now
        return read_own(self.acting, lambda view: _is_due(view, self.sources))

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Do it."""
        del now
        return open_due_reviews(acting, self.sources)
