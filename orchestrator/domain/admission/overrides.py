"""Overrides: passing a calendar entry with a right and a reason. They are recorded, and shown permanently."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import StringConstraints

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Basis, Target, authorize, refusal_text
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import Actor, ActorKind
from orchestrator.domain.calendar.verdict import Cause, Closing
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment, Now, moment_text

LIFETIME = timedelta(hours=24)
"""How long an override counts if the end of what it passes is not known."""


class Override(Model):
    """The *entry* (a rule, or `windows`) that *by* passed with a *reason* for one *package* in one environment.

    *text* is the entry as it was. The override counts *until* the end of that closing, and not for a later one.
    """

    package: Digest
    release: str = ""
    environment: str
    entry: str
    text: str
    by: str
    reason: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
    at: Moment
    until: Moment

    @property
    def key(self) -> str:
        """What identifies the override."""
        return f"{self.package} {self.environment} {self.entry} {moment_text(self.at)}"

    def is_over(self, now: Now) -> bool:
        """Whether the override may no longer count."""
        return now.may_have_reached(self.until)


@dataclass(frozen=True)
class Passing:
    """What is passed for whom: the *package* called *release* in *target*, by *actor* with a *reason*."""

    package: str
    release: str
    target: Target
    actor: Actor
    reason: str


def require_passable(actor: Actor, target: Target, closing: Closing, directory: Directory, now: Now) -> None:
    """Return if *actor* may pass *closing* in *target*.

    Raises A101 without the right, and A301 for what cannot be passed.

    A hard freeze can be passed only by the role that it names. A stopped line and a booking cannot be passed: the
    line is resumed, and the holder gives the slot away.
    """
    verdict = authorize(actor, Action.OVERRIDE_CALENDAR, target, directory, now)
    if closing.cause in {Cause.LINE_STOPPED, Cause.BOOKED}:
        raise OrchestratorError("A301", f"this cannot be passed: {closing}")
    if closing.cause is Cause.HARD_FREEZE and closing.override_role is None:
        raise OrchestratorError("A301", f"no role may pass this: {closing}")
    if closing.override_role is not None:
        alone = verdict.basis is Basis.NO_BINDINGS_YET
        if not alone and not _has_role(actor, closing.override_role, target, directory, now):
            raise OrchestratorError("A101", f"{actor} does not have the role {closing.override_role}: {closing}")
    elif not verdict.allowed:
        raise OrchestratorError("A101", refusal_text(verdict))


def overridden(passing: Passing, closing: Closing, directory: Directory, now: Now) -> Override:
    """The override of *closing*. Raises what `require_passable` raises."""
    require_passable(passing.actor, passing.target, closing, directory, now)
    return Override(
        package=passing.package,
        release=passing.release,
        environment=passing.target.environment or "",
        entry=closing.id,
        text=str(closing),
        by=str(passing.actor),
        reason=passing.reason,
        at=now.earliest,
        until=closing.until or now.earliest + LIFETIME,
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
