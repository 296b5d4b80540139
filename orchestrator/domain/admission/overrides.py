"""Overrides: passing a calendar entry with a right and a reason. They are recorded, and shown permanently."""

from typing import Annotated

from pydantic import StringConstraints

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target, authorize, refusal_text
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import Actor, ActorKind
from orchestrator.domain.calendar.verdict import Cause, Closing
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment, Now


class Override(Model):
    """The *entry* (a rule, line stop, booking, or `windows`) that *by* passed for *run*, with a *reason*."""

    run: str
    environment: str
    entry: str
    text: str
    by: str
    reason: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
    at: Moment


def overridden(
    run: str, closing: Closing, actor: Actor, reason: str, target: Target, directory: Directory, now: Now
) -> Override:
    """The override of *closing* by *actor*. Raises A101 without the right, and A301 for what cannot be passed.

    A hard freeze can be passed only by the role that it names. A stopped line and a booking cannot be passed: the
    line is resumed, and the holder gives the slot away.
    """
    if closing.cause in {Cause.LINE_STOPPED, Cause.BOOKED}:
        raise OrchestratorError("A301", f"this cannot be passed: {closing}")
    if closing.cause is Cause.HARD_FREEZE and closing.override_role is None:
        raise OrchestratorError("A301", f"no role may pass this: {closing}")
    if closing.override_role is not None:
        if not _has_role(actor, closing.override_role, target, directory, now):
            raise OrchestratorError("A101", f"{actor} does not have the role {closing.override_role}: {closing}")
    else:
        verdict = authorize(actor, Action.OVERRIDE_CALENDAR, target, directory, now)
        if not verdict.allowed:
            raise OrchestratorError("A101", refusal_text(verdict))
    return Override(
        run=run,
        environment=target.environment or "",
        entry=closing.id,
        text=str(closing),
        by=str(actor),
        reason=reason,
        at=now.earliest,
    )


def _has_role(actor: Actor, role: str, target: Target, directory: Directory, now: Now) -> bool:
    """Whether *actor* may act at all in *target*, and is bound to *role* in it."""
    if actor.kind is not ActorKind.USER or not directory.is_active_user(actor.name) or actor.scopes is not None:
        return False
    return any(
        binding.role == role
        and binding.project in {"*", target.project}
        and binding.applies_to(target.environment)
        and not binding.is_over(now)
        for binding in directory.bindings_of("user", actor.name)
    )
