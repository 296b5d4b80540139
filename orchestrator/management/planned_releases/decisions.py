"""Use cases that plan releases and carry their plans out. Each change has an entry in the audit stream."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from orchestrator.app.acting import Acting, Change, change
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import first_fault
from orchestrator.domain.text import with_reason
from orchestrator.management.change_requests.state import ChangeEvent
from orchestrator.management.numbers import next_number
from orchestrator.management.planned_releases import scope
from orchestrator.management.planned_releases.model import PlannedRelease, ReleaseDraft
from orchestrator.management.planned_releases.phases import check_phases
from orchestrator.management.planned_releases.ports import ReleaseSources
from orchestrator.management.planned_releases.records import NOUN, check_names, open_releases, put
from orchestrator.management.planned_releases.resources import (
    check_resources,
    give_up,
    let_others_in,
    resource_conflicts,
    with_booking,
)
from orchestrator.management.planned_releases.state import CHANGEABLE, ReleaseEvent, ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES

DRAFT_ONLY = frozenset({"environment", "mode"})


@dataclass(frozen=True)
class Scope:
    """What is added to a scope, or removed from it: *requests* by id, and *packages* as `NAME-VERSION`."""

    requests: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@forwarded
def plan_release(
    acting: Acting, draft: ReleaseDraft, sources: ReleaseSources, contents: Scope | None = None
) -> PlannedRelease:
    """Enter the draft of a release with its contents. Raises A110, G101, G205 and G207."""
    wanted = contents or Scope()

    def work(task: Change) -> PlannedRelease:
        number, at = next_number(task.records, NOUN), task.now.earliest
        about = {"number": number, "created_at": at, "created_by": str(task.acting.actor)}
        made = PlannedRelease.model_validate({**dict(draft), **about})
        check_names(task, made)
        check_phases(open_releases(task), made)
        made.check_dates()
        packages = [scope.scope_package(each, sources.built()) for each in wanted.packages]
        put(task, scope.with_scope(task, made, wanted.requests, packages, ""), "plan")
        return task.existing(PLANNED_RELEASES, made.id)

    return change(acting, Action.PLAN_RELEASES, work)


@forwarded
def edit_release(acting: Acting, key: str, fields: dict[str, Any], reason: str = "") -> PlannedRelease:
    """Change *fields* of a plan. The environment and the mode of a draft only. Raises A110, G202 and G206."""

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        check_changeable(release)
        fixed = sorted(DRAFT_ONLY & fields.keys()) if release.state is not ReleaseState.DRAFT else []
        if release.frozen_at is not None and "freeze_at" in fields:
            fixed.append("freeze_at")
        if fixed:
            raise OrchestratorError("G202", f"{release.id} is {release.state}: {', '.join(fixed)} cannot be changed")
        draft = _draft({**_draft_fields(release), **fields})
        names = [name for name in ReleaseDraft.model_fields if getattr(draft, name) != getattr(release, name)]
        changed = release.model_copy(update=dict(draft))
        check_names(task, changed)
        changed.check_dates()
        return replanned(task, changed, reason, f"{release.id} was changed: {', '.join(names)}", changed=names)

    return _change(acting, key, work, reason)


@forwarded
def add_to_scope(
    acting: Acting, key: str, wanted: Scope, sources: ReleaseSources, reason: str = "", *, late: bool = False
) -> PlannedRelease:
    """Add requests, which must be accepted, and packages. A frozen scope grows only *late*, with a reason.

    Raises A110, G101, G202 and G207.
    """

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        check_changeable(release)
        if release.frozen_at is not None and not (late and reason):
            raise OrchestratorError("G202", f"the scope of {release.id} is frozen")
        packages = [scope.scope_package(each, sources.built()) for each in wanted.packages]
        after = scope.with_scope(task, release, wanted.requests, packages, reason)
        return replanned(task, after, reason, added=[*wanted.requests, *map(str, packages)], late=late)

    return _change(acting, key, work, reason)


@forwarded
def remove_from_scope(acting: Acting, key: str, gone: Scope, reason: str = "") -> PlannedRelease:
    """Remove requests, which are accepted again, and packages. Raises G202 and G207."""

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        check_changeable(release)
        after = scope.without_scope(task, release, gone.requests, gone.packages, reason)
        return replanned(task, after, reason, removed=[*gone.requests, *gone.packages])

    return _change(acting, key, work, reason)


@forwarded
def confirm_release(acting: Acting, key: str, sources: ReleaseSources, *, wait: bool = False) -> PlannedRelease:
    """Schedule a draft, and book the environments of its phases. With *wait*, bookings of taken times wait.

    Raises A110, G101, G201 without a package, and G203 with every conflict of environments and users.
    """

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        after = release.after(ReleaseEvent.CONFIRM)
        if not release.packages:
            raise OrchestratorError("G201", f"{release.id} has no package in its scope")
        needs = [(release, phase) for phase in release.phases]
        check_resources(resource_conflicts(task, needs, sources, wait=wait), release)
        booked = tuple(with_booking(task, release, phase, sources, wait=wait) for phase in release.phases)
        text = f"{release.id} '{release.title}' is scheduled into {release.environment}"
        return put(task, after.model_copy(update={"phases": booked}), ReleaseEvent.CONFIRM, text)

    return _change(acting, key, work)


@forwarded
def freeze_release(acting: Acting, key: str, reason: str = "") -> PlannedRelease:
    """Freeze the scope before its time. What is not ready is deferred. Raises A110, G101 and G202."""

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        if release.frozen_at is not None:
            raise OrchestratorError("G202", f"the scope of {release.id} is frozen")
        return scope.freeze(task, release)

    return _change(acting, key, work, reason)


@forwarded
def hold_release(acting: Acting, key: str, reason: str) -> PlannedRelease:
    """Put a release on hold: its packages do not pass its bookings, and runs do not move it. Raises A110 and G101."""

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        after = release.after(ReleaseEvent.HOLD, note=reason)
        return put(task, after, ReleaseEvent.HOLD, f"{release.id} is on hold: {reason}")

    return _change(acting, key, work, reason)


@forwarded
def resume_release(acting: Acting, key: str, reason: str = "") -> PlannedRelease:
    """Continue a release that is on hold or was rolled back. Raises A110 and G101."""

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        after = release.after(ReleaseEvent.RESUME, note=reason)
        return put(task, after, ReleaseEvent.RESUME, f"{release.id} was resumed")

    return _change(acting, key, work, reason)


@forwarded
def cancel_release(acting: Acting, key: str, sources: ReleaseSources, reason: str) -> PlannedRelease:
    """Give a release up. Its requests are accepted again, and its bookings end. Raises A110 and G101."""

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        after = release.after(ReleaseEvent.CANCEL, note=reason, ended_at=task.now.earliest)
        scope.move_requests(task, release, ChangeEvent.UNPLAN, f"{release.id} was cancelled: {reason}")
        return _ended(task, after, ReleaseEvent.CANCEL, sources, f"{release.id} was cancelled: {reason}")

    return _change(acting, key, work, reason)


@forwarded
def close_release(acting: Acting, key: str, sources: ReleaseSources, reason: str = "") -> PlannedRelease:
    """Close a release that was released, with its requests; its bookings end. Raises A110 and G101."""

    def work(task: Change, release: PlannedRelease) -> PlannedRelease:
        after = release.after(ReleaseEvent.CLOSE, note=reason, ended_at=task.now.earliest)
        scope.move_requests(task, release, ChangeEvent.CLOSE, reason or f"{release.id} was closed")
        return _ended(task, after, ReleaseEvent.CLOSE, sources, f"{release.id} was closed")

    return _change(acting, key, work, reason)


# -- parts -------------------------------------------------------------------------------------------------------------


def check_changeable(release: PlannedRelease) -> None:
    """Raise G202 if the plan of *release* does not change any more."""
    if release.state not in CHANGEABLE:
        raise OrchestratorError("G202", f"{release.id} is {release.state}, and its plan cannot be changed")


def replanned(task: Change, after: PlannedRelease, reason: str, text: str = "", **detail: Any) -> PlannedRelease:
    """Write a changed plan: a draft as it is, another one as re-planned, which notifies its users."""
    if after.state is ReleaseState.DRAFT:
        return put(task, after, "edit", **detail)
    moved = after.after(ReleaseEvent.REPLAN, note=reason)
    return put(task, moved, ReleaseEvent.REPLAN, text or with_reason(f"{after.id} was re-planned", reason), **detail)


def _change(
    acting: Acting, key: str, work: Callable[[Change, PlannedRelease], PlannedRelease], reason: str = ""
) -> PlannedRelease:
    def whole(task: Change) -> PlannedRelease:
        return work(task, task.existing(PLANNED_RELEASES, key))

    return change(acting, Action.PLAN_RELEASES, whole, reason=reason)


def _ended(
    task: Change, after: PlannedRelease, event: ReleaseEvent, sources: ReleaseSources, text: str
) -> PlannedRelease:
    done = put(task, after, event, text)
    if give_up(task, after.phases, text):
        let_others_in(task, sources)
    return done


def _draft_fields(release: PlannedRelease) -> dict[str, Any]:
    return {name: value for name, value in release.to_json().items() if name in ReleaseDraft.model_fields}


def _draft(fields: dict[str, Any]) -> ReleaseDraft:
    """The draft with these *fields*. Raises G206 if its dates do not fit."""
    try:
        return ReleaseDraft.from_json(fields)
    except ValidationError as error:
        raise OrchestratorError("G206", first_fault(error)[1]) from error
