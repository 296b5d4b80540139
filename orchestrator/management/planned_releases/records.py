"""How planned releases are read and written: with an audit entry for each event, and messages to their users."""

from collections.abc import Iterable
from typing import Any

from orchestrator.app.acting import Change, View, unknown
from orchestrator.domain.register import OPEN, OUTBOX
from orchestrator.management.messages import Subject, notify_once
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.state import ReleaseEvent, ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES

NOUN = "planned-release"


def open_releases(view: View) -> dict[str, PlannedRelease]:
    """The releases that have not ended, by id."""
    return {release.id: release for release in view.records.all(PLANNED_RELEASES, OPEN)}


def put(
    task: Change, after: PlannedRelease, event: ReleaseEvent | str, text: str = "", **detail: Any
) -> PlannedRelease:
    """Write *after*, with the event in the audit stream; with *text* its users are notified, each of them once."""
    before = task.records.get(PLANNED_RELEASES, after.id)
    was = before.state.value if before is not None else ReleaseState.DRAFT.value
    task.put(PLANNED_RELEASES, after, event=str(event), was=was, state=after.state.value, **detail)
    if text:
        notify(task, after, after.users, text)
    return after


def notify(task: Change, release: PlannedRelease, users: Iterable[str], text: str, about: str = "") -> None:
    """One message to each of *users* about this version of *release*, or once about *about*; not to the actor."""
    version = about or str(task.records.version(PLANNED_RELEASES, release.id))
    path, state = f"/planned-releases/{release.id}", release.state.value
    notify_once(task, users, Subject(NOUN, release.id, version, path, state, release.environment), text)


def was_notified(view: View, release: PlannedRelease, about: str) -> bool:
    """Whether the owner of *release* got the message about *about*."""
    return view.records.get(OUTBOX, f"{NOUN} {release.id} {about} {release.owner}") is not None


def check_names(view: View, release: PlannedRelease) -> None:
    """Raise A110 for an environment or a user that does not exist."""
    places = (release.environment, *(phase.environment for phase in release.phases if phase.environment))
    for place in places:
        if place not in view.acting.environments:
            raise unknown("environment", place, list(view.acting.environments))
    users = view.directory.users
    for name in release.users:
        if name not in users and name != str(view.acting.actor):
            raise unknown("user", name, sorted(users))
