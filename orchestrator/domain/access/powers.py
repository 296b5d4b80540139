"""What actors may give: no credential, binding or membership has more power than the actor who makes it.

See decision 0062.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Basis, Target, Verdict, authorize, users_with_right
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import Actor, ActorKind, Binding, Scope
from orchestrator.domain.moments import Now, minute_text

EVERY_ACTION = frozenset(Action)
MANAGING_ACTIONS = frozenset({Action.MANAGE_PEOPLE, Action.MANAGE_ACCESS, Action.MANAGE_TOKENS})
LONGEST_NAME = 63


@dataclass(frozen=True)
class Power:
    """*actions* in the environments that fit a pattern, until a moment (None: without an end).

    Without *is_held* it is what a credential may be used for once its owner has the rights: only scopes limit it.
    """

    actions: frozenset[Action]
    environment: str = "*"
    until: datetime | None = None
    is_held: bool = True


def pattern_is_within(inner: str, outer: str) -> bool:
    """Whether each environment that fits the pattern *inner* certainly fits *outer*. Only `*` has the whole project."""
    if outer == "*" or inner == "*":
        return outer == "*"
    names = (inner.replace("?", "~").replace("*", "~" * count) for count in (0, 1, LONGEST_NAME + 1))
    return all(fnmatchcase(name, outer) for name in names)


def powers_of_scopes(scopes: Iterable[Scope] | None) -> tuple[Power, ...]:
    """What a credential with *scopes* (None: without a limit) may be used for."""
    if scopes is None:
        return (Power(EVERY_ACTION, is_held=False),)
    return tuple(Power(frozenset(each.actions), each.environment, is_held=False) for each in scopes)


def powers_of(actor: Actor, project: str, directory: Directory, now: Now) -> frozenset[Power]:
    """What the bindings of *actor* give, also as a deputy. Scopes, and whether the actor is active, are not counted."""
    principal = directory.service_accounts.get(actor.name) if actor.kind is ActorKind.SERVICE_ACCOUNT else None
    less = {Action.APPROVE} if principal is not None and not principal.may_approve else set()
    found = _given(directory.bindings_of(actor.kind.value, actor.name), project, directory, now)
    own = {replace(each, actions=each.actions - less) for each in found}
    if actor.kind is ActorKind.USER:
        own |= set(_as_deputy(actor.name, project, directory, now))
    return frozenset(own)


def powers_of_credential(
    owner: Actor, scopes: tuple[Scope, ...] | None, project: str, directory: Directory, now: Now
) -> frozenset[Power]:
    """What the current rights of *owner* give to a credential with *scopes*."""
    powers = powers_of(owner, project, directory, now)
    if scopes is None:
        return powers
    return frozenset(
        replace(power, actions=power.actions & set(scope.actions), environment=_narrower(power, scope))
        for power in powers
        for scope in scopes
        if power.actions & set(scope.actions)
    )


def _narrower(power: Power, scope: Scope) -> str:
    return scope.environment if pattern_is_within(scope.environment, power.environment) else power.environment


def gained_powers(before: Access, after: Access, project: str, now: Now) -> frozenset[Power]:
    """What a change of access gives to any user, group or service account that it had not *before*."""
    old, new = Directory(before), Directory(after)
    found = set[Power](_gained_credentials(old, new, project, now))
    for binding in set(after.bindings) - set(before.bindings) if before.roles == after.roles else after.bindings:
        there = (each for each in before.bindings if each.to == binding.to)
        found |= _more(_given([binding], project, new, now), _given(there, project, old, now))
    for actor in _actors(after):
        had = powers_of(actor, project, old, now) if _is_active(actor, old) else frozenset()
        has = powers_of(actor, project, new, now) if _is_active(actor, new) else frozenset()
        found |= _more(has, had)
    return frozenset(found)


def _gained_credentials(old: Directory, new: Directory, project: str, now: Now) -> Iterator[Power]:
    """What a name on machines gives to its user, and a new rule for tokens of CI jobs to its service account."""
    for user in new.users.values():
        known = old.users.get(user.name)
        if (known.local if known is not None else None) != user.local:
            yield from powers_of_scopes(None)
            yield from powers_of(Actor(name=user.name), project, new, now)
    for account in new.service_accounts.values():
        known_account = old.service_accounts.get(account.name)
        for trust in set(map(str, account.trust)) - set(map(str, known_account.trust if known_account else ())):
            scopes = tuple(Scope(actions=each.actions) for each in account.trust if str(each) == trust)
            owner = Actor(name=account.name, kind=ActorKind.SERVICE_ACCOUNT)
            yield from powers_of_scopes(scopes)
            yield from powers_of_credential(owner, scopes, project, new, now)


def refused_power(
    actor: Actor, powers: Iterable[Power], project: str, directory: Directory, now: Now
) -> Verdict | None:
    """Why *actor* may not give one of *powers*; None if the actor may give all.

    A token gives nothing outside of its scopes. Who manages the access of the project gives any right, but not the
    right to manage for longer than they have it. All others give no more than they have.
    """
    if actor.kind is ActorKind.SYSTEM:
        return None
    whole = actor.model_copy(update={"scopes": None})
    managing = authorize(whole, Action.MANAGE_ACCESS, Target(project), directory, now)
    own = powers_of(whole, project, directory, now)
    for power in sorted(powers, key=str):
        for action in sorted(power.actions):
            why = _obstacle(actor, action, power, managing, own)
            if why:
                return _refusal(actor, action, power, why, project, directory, now)
    return None


def _obstacle(actor: Actor, action: Action, power: Power, managing: Verdict, own: frozenset[Power]) -> str:
    """Why *actor* may not give *action* of *power*; empty if the actor may."""
    if actor.scopes is not None and not any(
        action in scope.actions and pattern_is_within(power.environment, scope.environment) for scope in actor.scopes
    ):
        return "the token has no such scope"
    if not power.is_held or any(_has(each, action, power) for each in own):
        return ""
    if not managing.allowed:
        return "the actor has no such right"
    if action in MANAGING_ACTIONS and not _lasts(managing.until, power.until):
        assert managing.until is not None
        return f"the actor's own right to manage ends at {minute_text(managing.until)}"
    return ""


def _has(mine: Power, action: Action, power: Power) -> bool:
    return (
        action in mine.actions
        and pattern_is_within(power.environment, mine.environment)
        and _lasts(mine.until, power.until)
    )


def _lasts(mine: datetime | None, until: datetime | None) -> bool:
    """Whether what ends at *mine* lasts as long as what ends at *until*; None does not end."""
    return mine is None or (until is not None and until <= mine)


def _refusal(
    actor: Actor, action: Action, power: Power, why: str, project: str, directory: Directory, now: Now
) -> Verdict:
    target = Target(project, None if power.environment == "*" else power.environment)
    return Verdict(
        allowed=False,
        actor=str(actor),
        action=action,
        target=str(target),
        basis=Basis.EXCEEDING,
        reason=f"{actor} may not give {action.value} in {target}: {why}",
        could=users_with_right(Action.MANAGE_ACCESS, Target(project), directory, now),
    )


def _given(bindings: Iterable[Binding], project: str, directory: Directory, now: Now) -> frozenset[Power]:
    return frozenset(
        Power(directory.roles.get(each.role, frozenset()), each.environment, each.until)
        for each in bindings
        if each.project in {"*", project} and not each.is_over(now)
    )


def _as_deputy(user: str, project: str, directory: Directory, now: Now) -> Iterator[Power]:
    for absence in directory.access.absences:
        if absence.deputy == user and not now.may_have_reached(absence.end):
            for power in _given(directory.bindings_of("user", absence.user), project, directory, now):
                if Action.APPROVE in power.actions:
                    ends = [absence.end] if power.until is None else [absence.end, power.until]
                    yield Power(frozenset({Action.APPROVE}), power.environment, min(ends))


def _more(has: frozenset[Power], had: frozenset[Power]) -> set[Power]:
    """What of *has* goes beyond *had*."""
    found = set[Power]()
    for power in has - had:
        more = {action for action in power.actions if not any(_has(each, action, power) for each in had)}
        if more:
            found.add(replace(power, actions=frozenset(more)))
    return found


def _actors(access: Access) -> Iterator[Actor]:
    yield from (Actor(name=user.name) for user in access.users)
    yield from (Actor(name=each.name, kind=ActorKind.SERVICE_ACCOUNT) for each in access.service_accounts)


def _is_active(actor: Actor, directory: Directory) -> bool:
    known = directory.service_accounts if actor.kind is ActorKind.SERVICE_ACCOUNT else directory.users
    found = known.get(actor.name)
    return found is not None and found.is_active
