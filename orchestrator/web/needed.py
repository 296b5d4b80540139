"""What release management needs of a user: tasks, decisions, bookings, trains, reviews, and lost notifications."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.app.acting import Acting
from orchestrator.app.notification_rules import NotificationFilter, list_own_notifications
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import parse_moment
from orchestrator.management.bookings.queries import list_bookings
from orchestrator.management.bookings.state import BookingState
from orchestrator.management.change_requests.queries import list_changes
from orchestrator.management.change_requests.state import ChangeState
from orchestrator.management.implementation_plans.queries import own_tasks
from orchestrator.management.implementation_plans.state import TaskState
from orchestrator.management.planned_releases.pending import pending_of
from orchestrator.management.planned_releases.queries import show_schedule
from orchestrator.management.reviews.queries import list_actions, list_reviews
from orchestrator.management.trains.queries import list_trains
from orchestrator.management.trains.state import TrainState
from orchestrator.web.changes import is_allowed

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 5
"""How many change requests are listed that wait for a decision, those with the highest rank."""
SOON = 50
"""Among how many bookings those of the user are found, the ones that end first."""
MOST = 200
"""Among how many reviews those that the user leads are found, the ones that are due first."""


@dataclass(frozen=True)
class Needed:
    """Something that needs a user: its *title*, the page (*path*), the reason (*text*), and by when it is *due*."""

    title: str
    path: str
    text: str
    due: datetime | None = None
    is_late: bool = False


def needed_of(acting: Acting) -> list[Needed]:
    """What needs the actor, what is late first. Raises A101."""
    now = parse_moment(acting.clock.now())
    found = [
        *_tasks(acting),
        *_changes(acting),
        *_releases(acting, now),
        *_bookings(acting, now),
        *_trains(acting),
        *_actions(acting, now),
        *_reviews(acting, now),
        *_notifications(acting),
    ]
    return sorted(found, key=lambda each: not each.is_late)


def _tasks(acting: Acting) -> "Iterator[Needed]":
    for plan, task in own_tasks(acting):
        helps = task.state is TaskState.NEEDS_HELP
        text = f"task {plan.id}:{task.name} of {plan.title}, {'needs help' if helps else task.state}"
        yield Needed(task.title, f"/implementation-plans/{plan.id}/tasks/{task.name}", text, task.due_at, helps)


def _changes(acting: Acting) -> "Iterator[Needed]":
    if not is_allowed(acting, Action.DECIDE_REQUESTS):
        return
    page = list_changes(acting, (ChangeState.ASSESSING,), limit=FEW)
    for each in page.items:
        failing = "; ".join(f"{check.name}: {check.text}" for check in each.failing)
        text = "change request, waits for a decision" + (f"; {failing}" if failing else "")
        yield Needed(f"{each.id} {each.title}", f"/change-requests/{each.id}", text)
    if page.cursor is not None:
        yield Needed("More change requests wait for a decision", "/change-requests?state=assessing", "by their rank")


def _bookings(acting: Acting, now: datetime) -> "Iterator[Needed]":
    name = str(acting.actor)
    for each in list_bookings(acting, limit=SOON).items:
        if name != each.owner and each.holder != f"user:{name}":
            continue
        title, path = f"{each.id} {each.purpose}", f"/bookings/{each.id}"
        if each.state is BookingState.WAITING:
            yield Needed(
                title, path, f"booking of {each.environment}, waits for its time", each.start, each.start < now
            )
        elif each.state is BookingState.CONFIRMED and each.start <= now:
            yield Needed(title, path, f"booking of {each.environment}, ends unless it is used", each.grace_until)


def _notifications(acting: Acting) -> "Iterator[Needed]":
    dead = list_own_notifications(acting, NotificationFilter("dead"), limit=1).items
    if dead:
        text = f"not delivered: {dead[0].error or 'no reason is known'}"
        yield Needed("A notification of yours is lost", "/me/notifications?state=dead", text, is_late=True)


def _releases(acting: Acting, now: datetime) -> "Iterator[Needed]":
    for each in pending_of(show_schedule(acting), str(acting.actor), now):
        title, path = f"{each.release.id} {each.release.title}", f"/planned-releases/{each.release.id}"
        yield Needed(title, path, f"planned release, {each.text}", None, each.is_late)


def _trains(acting: Acting) -> "Iterator[Needed]":
    for each in list_trains(acting, limit=MOST).items:
        stuck = each.state is TrainState.NEEDS_INTERVENTION
        if each.conductor == acting.actor and (stuck or each.state is TrainState.ON_HOLD):
            text = f"release train, {each.state}" + (f": {each.note}" if each.note else "")
            yield Needed(f"{each.id} of {each.line}", f"/trains/{each.id}", text, each.departs_at, stuck)


def _actions(acting: Acting, now: datetime) -> "Iterator[Needed]":
    for each in list_actions(acting, mine=True, limit=MOST).items:
        text = f"action {each.id} of the review of {each.review}"
        yield Needed(each.title, f"/reviews/{each.review}#{each.id}", text, each.due, each.is_overdue(now))


def _reviews(acting: Acting, now: datetime) -> "Iterator[Needed]":
    for each in list_reviews(acting, limit=MOST).items:
        if each.lead == str(acting.actor):
            yield Needed(f"Review of {each.title}", f"/reviews/{each.id}", "you lead it", each.due, each.due < now)
