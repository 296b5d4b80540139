"""What pages change of planned releases: each function calls one use case, and decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.planned_releases import decisions as releases
from orchestrator.management.planned_releases.decisions import Scope
from orchestrator.management.planned_releases.model import Mode, Phase, PlannedRelease, ReleaseDraft
from orchestrator.management.planned_releases.phases import standard_phases
from orchestrator.management.planned_releases.state import (
    CHANGEABLE,
    PLANNED_RELEASE_TABLE,
    ReleaseEvent,
    ReleaseState,
)
from orchestrator.web.changes import is_allowed
from orchestrator.web.requests import checked_model, required_reason

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication


@dataclass(frozen=True)
class ReleaseGiven:
    """What comes with an event of a release: the *reason*, and whether bookings of taken times *wait*."""

    reason: str = ""
    wait: bool = False


@dataclass(frozen=True)
class Times:
    """The *start*, the freeze time and the release time of a new release."""

    start: datetime
    freeze_at: datetime
    release_at: datetime


ReleaseCall = Callable[["ManagedApplication", Acting, str, ReleaseGiven], PlannedRelease]


RELEASE_EVENTS: dict[str, ReleaseCall] = {
    "confirm": lambda app, acting, key, how: releases.confirm_release(acting, key, app.release_sources, wait=how.wait),
    "freeze": lambda _, acting, key, how: releases.freeze_release(acting, key, how.reason),
    "hold": lambda _, acting, key, how: releases.hold_release(acting, key, required_reason(how.reason, "release")),
    "resume": lambda _, acting, key, how: releases.resume_release(acting, key, how.reason),
    "close": lambda app, acting, key, how: releases.close_release(acting, key, app.release_sources, how.reason),
    "cancel": lambda app, acting, key, how: releases.cancel_release(
        acting, key, app.release_sources, required_reason(how.reason, "release")
    ),
}
"""The events of a planned release that users cause, by the words of the command line."""
RELEASE_TEXTS = {
    "confirm": "Schedule a draft, and book the environments of its phases.",
    "freeze": "Freeze the scope before its time. What is not ready is deferred.",
    "hold": "Put a release on hold. The reason is required.",
    "resume": "Continue a release that is on hold or was rolled back.",
    "close": "Close a release that was released, with its change requests.",
    "cancel": "Cancel a release. The reason is required.",
}
"""What each event does."""


def possible_releases(acting: Acting, release: PlannedRelease) -> tuple[str, ...]:
    """The events that the actor can currently cause: the buttons of a page."""
    if not is_allowed(acting, Action.PLAN_RELEASES):
        return ()
    possible = [name for name in RELEASE_EVENTS if PLANNED_RELEASE_TABLE.allows(release.state, ReleaseEvent(name))]
    return tuple(name for name in possible if name != "freeze" or release.frozen_at is None)


def may_change(acting: Acting, release: PlannedRelease) -> bool:
    """Whether the actor changes the scope and the phases of *release*."""
    return release.state in CHANGEABLE and is_allowed(acting, Action.PLAN_RELEASES)


def phase_event(acting: Acting, release: PlannedRelease, phase: Phase) -> str:
    """`start` or `complete`, if the actor can record it for *phase*; otherwise empty."""
    if not is_allowed(acting, Action.PLAN_RELEASES):
        return ""
    if phase.progress == "pending" and release.state in {ReleaseState.SCHEDULED, ReleaseState.IN_PROGRESS}:
        before = (release.phase(key) for key in phase.after)
        return "" if any(each is not None and each.progress != "completed" for each in before) else "start"
    return "complete" if phase.progress == "active" and release.state is ReleaseState.IN_PROGRESS else ""


def enter_release(
    app: "ManagedApplication", acting: Acting, fields: dict[str, Any], times: Times, scope: Scope
) -> PlannedRelease:
    """Plan a release as a draft with the standard phases. Raises N110, and what the use case raises."""
    if not times.start < times.freeze_at < times.release_at:
        raise OrchestratorError("N110", "freeze: the start, the freeze time and the release time come in this order")
    environment = str(fields["environment"])
    phases = standard_phases(times.start, times.freeze_at, times.release_at, environment)
    dates = {"freeze_at": times.freeze_at, "release_at": times.release_at}
    about = {"owner": str(acting.actor), **fields, **dates, "phases": [phase.to_json() for phase in phases]}
    draft = checked_model(ReleaseDraft, about)
    return releases.plan_release(acting, draft, app.release_sources, scope)


def enter_change(acting: Acting, release: PlannedRelease, fields: dict[str, Any], reason: str) -> PlannedRelease:
    """Change those *fields* of a plan that differ. Raises N110, and what the use case raises."""
    now = {name: value for name, value in release.to_json().items() if name in ReleaseDraft.model_fields}
    changed = {name: value for name, value in fields.items() if value != now[name]}
    if not changed and is_allowed(acting, Action.PLAN_RELEASES):
        raise OrchestratorError("N110", "at least one field has to change")
    return releases.edit_release(acting, release.id, changed, reason)


def roles_of(texts: tuple[str, ...]) -> list[dict[str, str]]:
    """The roles in *texts*, each `ROLE=USER`. Raises N110 for another text."""
    pairs = [text.partition("=") for text in texts]
    wrong = next((role for role, sign, user in pairs if not (sign and role.strip() and user.strip())), None)
    if wrong is not None:
        raise OrchestratorError("N110", f"roles: each is ROLE=USER, and {wrong[:60]!r} is not")
    return [{"role": role.strip(), "user": user.strip()} for role, _, user in pairs]


def mode_of(text: str) -> str:
    """*text*, if it is a mode. Raises N110."""
    if text not in set(Mode):
        raise OrchestratorError("N110", f"mode: one of {', '.join(Mode)}")
    return text


def scope_of(requests: tuple[str, ...], packages: tuple[str, ...]) -> Scope:
    """What is added or removed. Raises N110 if that is nothing."""
    if not requests and not packages:
        raise OrchestratorError("N110", "requests: a change request or a package is required")
    return Scope(requests, packages)
