"""The one function that decides whether an actor may do something, with the reason and who else could."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestrator.domain.access.actions import OWN, SYSTEM, Action
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import Actor, ActorKind, Binding, Method
from orchestrator.domain.moments import Now, minute_text, moment_text
from orchestrator.domain.text import few


@dataclass(frozen=True)
class Target:
    """What an action is done to: an *environment* of a *project*, or the whole project (None).

    *owner* is the user to whom the object belongs, for actions that every user has for their own.
    """

    project: str
    environment: str | None = None
    owner: str | None = None

    def __str__(self) -> str:
        return self.environment or f"the project {self.project}"


class Basis(StrEnum):
    """The rule that decided."""

    BINDING = "binding"
    NO_BINDINGS_YET = "no bindings yet"
    OWN = "own"
    DEPUTY = "deputy"
    SYSTEM = "system"
    UNKNOWN_ACTOR = "unknown actor"
    DISABLED = "disabled"
    OUT_OF_SCOPE = "outside of the token's scopes"
    MACHINE = "service accounts do not approve"
    MISSING = "no binding"
    EXCEEDING = "more than the actor's own"


ALLOWING = frozenset({Basis.BINDING, Basis.NO_BINDINGS_YET, Basis.OWN, Basis.SYSTEM})
"""The rules that allow something."""


@dataclass(frozen=True)
class Verdict:
    """Whether *actor* may do *action* to *target*, by which rule (*basis*), in one sentence (*reason*).

    *binding* is the one that allows it and *until* its end. *could* are the users who may do it now, by name.
    *near* are the actor's bindings that do not suffice, each with what it lacks.
    """

    allowed: bool
    actor: str
    action: Action
    target: str
    basis: Basis
    reason: str
    binding: Binding | None = None
    until: datetime | None = None
    could: tuple[str, ...] = ()
    near: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The verdict as data for documents."""
        return {
            "allowed": self.allowed,
            "actor": self.actor,
            "action": self.action.value,
            "target": self.target,
            "rule": self.basis.value,
            "reason": self.reason,
            "binding": str(self.binding) if self.binding else None,
            "until": moment_text(self.until) if self.until else None,
            "could": list(self.could),
            "near": list(self.near),
        }


def authorize(actor: Actor, action: Action, target: Target, directory: Directory, now: Now) -> Verdict:
    """Whether *actor* may do *action* to *target* *now*.

    Without any binding in the project, the local user has every right. A token never has more rights than its owner.
    """
    basis, binding = _decide(actor, action, target, directory, now)
    allowed = basis in ALLOWING
    return Verdict(
        allowed=allowed,
        actor=str(actor),
        action=action,
        target=str(target),
        basis=basis,
        reason=_reason(actor, action, target, basis, binding),
        binding=binding,
        until=binding.until if binding else None,
        could=() if allowed else users_with_right(action, target, directory, now),
        near=() if allowed else tuple(_near(actor, action, target, directory, now)),
    )


def is_authorized(actor: Actor, action: Action, target: Target, directory: Directory, now: Now) -> bool:
    """Whether `authorize` allows it. It does not search for users who could do it instead."""
    return _decide(actor, action, target, directory, now)[0] in ALLOWING


def may(actor: Actor, action: Action, target: Target, directory: Directory, now: Now) -> bool:
    """Whether `authorize` and `as_deputy` allow it. It does not search for users who could do it instead."""
    if is_authorized(actor, action, target, directory, now):
        return True
    return (
        action is Action.APPROVE
        and as_deputy(authorize(actor, action, target, directory, now), actor, target, directory, now).allowed
    )


def as_deputy(verdict: Verdict, actor: Actor, target: Target, directory: Directory, now: Now) -> Verdict:
    """*verdict* about an approval by *actor*, who may also approve as the deputy of an absent user who may."""
    if (verdict.action, verdict.basis, actor.kind) != (Action.APPROVE, Basis.MISSING, ActorKind.USER):
        return verdict
    for absent in directory.deputised_by(actor.name, now):
        binding = granting(ActorKind.USER, absent, Action.APPROVE, target, directory, now)
        if binding is not None:
            reason = f"{actor} may approve in {target} as the deputy of {absent}: {binding}"
            mine = (each for each in directory.access.absences if (each.user, each.deputy) == (absent, actor.name))
            ends = [each.end for each in mine if each.lasts(now)] + ([binding.until] if binding.until else [])
            return Verdict(
                True, verdict.actor, verdict.action, verdict.target, Basis.DEPUTY, reason, binding, min(ends)
            )
    return verdict


def _decide(
    actor: Actor, action: Action, target: Target, directory: Directory, now: Now
) -> tuple[Basis, Binding | None]:
    if actor.kind is ActorKind.SYSTEM:
        return (Basis.SYSTEM if actor.method is Method.SYSTEM and action in SYSTEM else Basis.MISSING), None
    if not directory.access.bindings and actor.method is Method.LOCAL and actor.kind is ActorKind.USER:
        user = directory.users.get(actor.name)
        return (Basis.DISABLED if user and not user.is_active else Basis.NO_BINDINGS_YET), None
    if obstacle := _obstacle(actor, action, target, directory):
        return obstacle, None
    if action in OWN and actor.kind is ActorKind.USER and target.owner == actor.name:
        return Basis.OWN, None
    binding = granting(actor.kind, actor.name, action, target, directory, now)
    return (Basis.BINDING, binding) if binding else (Basis.MISSING, None)


def _obstacle(actor: Actor, action: Action, target: Target, directory: Directory) -> Basis | None:
    """What prevents the actor from using any binding; None if nothing does."""
    machine = directory.service_accounts.get(actor.name) if actor.kind is ActorKind.SERVICE_ACCOUNT else None
    account = directory.users.get(actor.name) if actor.kind is ActorKind.USER else machine
    if account is None:
        return Basis.UNKNOWN_ACTOR
    if not account.is_active:
        return Basis.DISABLED
    if not _in_scope(actor, action, target):
        return Basis.OUT_OF_SCOPE
    if action is Action.APPROVE and machine is not None and not machine.may_approve:
        return Basis.MACHINE
    return None


def _in_scope(actor: Actor, action: Action, target: Target) -> bool:
    return actor.scopes is None or any(
        action in scope.actions and scope.covers(target.environment) for scope in actor.scopes
    )


def granting(
    kind: ActorKind, name: str, action: Action, target: Target, directory: Directory, now: Now
) -> Binding | None:
    """The binding that gives an actor the right, the one that lasts longest; None if no binding does.

    It does not take into account whether the actor is active.
    """
    found = [b for b in directory.bindings_of(kind.value, name) if _gives(b, action, target, directory, now)]
    if len(found) == 1:
        return found[0]
    return max(found, key=lambda b: (b.until is None, b.until.timestamp() if b.until else 0.0, b.key), default=None)


def _gives(binding: Binding, action: Action, target: Target, directory: Directory, now: Now) -> bool:
    """Whether *binding* allows the action: it then lacks nothing."""
    return (
        action in directory.roles.get(binding.role, ())
        and binding.project in {"*", target.project}
        and binding.applies_to(target.environment)
        and not binding.is_over(now)
    )


def _lacks(binding: Binding, action: Action, target: Target, directory: Directory, now: Now) -> str:
    """What *binding* lacks to allow the action; empty if it allows it."""
    if action not in directory.roles.get(binding.role, frozenset()):
        return f"the role {binding.role} does not contain {action.value}"
    if binding.project not in {"*", target.project}:
        return f"it is for the project {binding.project}"
    if not binding.applies_to(target.environment):
        return f"it is for {binding.environment}, not for {target}"
    if binding.until is not None and binding.is_over(now):
        return f"it ended at {minute_text(binding.until)}"
    return ""


def _near(actor: Actor, action: Action, target: Target, directory: Directory, now: Now) -> Iterator[str]:
    for binding in directory.bindings_of(actor.kind.value, actor.name):
        if missing := _lacks(binding, action, target, directory, now):
            yield f"{binding}: {missing}"


def users_with_right(action: Action, target: Target, directory: Directory, now: Now) -> tuple[str, ...]:
    """The active users who may do *action* to *target*, by a binding, sorted by name."""
    given = [binding.to for binding in directory.access.bindings if _gives(binding, action, target, directory, now)]
    return directory.active(name for to in given for name in directory.users_of(to))


def role_held(user: str, roles: tuple[str, ...], target: Target, directory: Directory, now: Now) -> str | None:
    """The first of *roles* that *user* has in *target* with the right to approve; any such role if *roles* is empty."""
    found = [
        binding.role
        for binding in directory.bindings_of("user", user)
        if (not roles or binding.role in roles) and _gives(binding, Action.APPROVE, target, directory, now)
    ]
    return min(found, key=lambda role: (roles.index(role) if roles else 0, role), default=None)


def _reason(actor: Actor, action: Action, target: Target, basis: Basis, binding: Binding | None) -> str:
    what = f"{action.value} in {target}"
    reasons = {
        Basis.BINDING: f"{actor} may {what}: {binding}",
        Basis.NO_BINDINGS_YET: f"{actor} may {what}: without bindings the local user has every right",
        Basis.OWN: f"{actor} may {what} for their own",
        Basis.SYSTEM: f"the system may {what}",
        Basis.UNKNOWN_ACTOR: f"{actor} is not a known {actor.kind.value.replace('-', ' ')}",
        Basis.DISABLED: f"{actor} is disabled",
        Basis.OUT_OF_SCOPE: f"the token of {actor} has no scope for {what}",
        Basis.MACHINE: f"{actor} is a service account, and service accounts do not approve",
        Basis.MISSING: f"{actor} has no role with {what}",
        Basis.EXCEEDING: f"{actor} may not give {what}",
    }
    return reasons[basis]


def refusal_text(verdict: Verdict) -> str:
    """The reason of a refusal, with who could do it."""
    could = f"; these users may: {few(verdict.could)}" if verdict.could else "; no user may"
    return f"{verdict.reason}{could}"
