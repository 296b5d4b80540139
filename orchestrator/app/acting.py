"""The one way to the register: an actor with a right reads it, or changes it together with the audit stream."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from orchestrator.app.bookings import Bookings, NullBookings
from orchestrator.app.forwarding import Forwarder
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.administrators import check_administrator
from orchestrator.domain.access.authorize import Target, Verdict, authorize, is_authorized, refusal_text
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.powers import Power, gained_powers, refused_power
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.access.tokens import TokenRules
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.lookups import object_hint
from orchestrator.domain.model import Model, digest_of
from orchestrator.domain.moments import ClockReading, Now, current_time, parse_moment, require_possible_times
from orchestrator.domain.notifications import Fact, notifications_of
from orchestrator.domain.register import (
    ACCESS_KINDS,
    NOTIFICATION_RULES,
    NOTIFICATIONS,
    Message,
    RecordKind,
    fact_of,
)
from orchestrator.ports import Clock
from orchestrator.register_ports import Changes, Records, Register

T = TypeVar("T", bound=Model)
R = TypeVar("R")

ANYWHERE = frozenset({Action.VIEW, Action.PLAN, Action.BUILD, Action.RUN_WORKER})
"""What is allowed in the project to actors who may do it in any of its environments. Lists have no secrets."""

OBJECTS = {
    "users": "user",
    "user_groups": "group",
    "service_accounts": "service-account",
    "own_roles": "role",
    "bindings": "binding",
    "absences": "absence",
    "tokens": "token",
    "calendar_rules": "calendar",
    "line_stops": "line-stop",
    "run_requests": "run",
    "votes": "vote",
    "overrides": "override",
    "emergency_reviews": "review",
    "outbox": "message",
    "plan_texts": "plan",
    "package_builders": "package",
    "passwords": "password",
    "sign_in_links": "sign-in-link",
}
"""What the audit stream calls a record of each kind that names no noun."""


def noun_of(kind: RecordKind[T]) -> str:
    """The noun for a record of *kind* in the audit stream."""
    return kind.noun or OBJECTS[kind.name]


@dataclass(frozen=True)
class Acting:
    """An *actor* at the register of a project with these *environments*."""

    register: Register
    actor: Actor
    clock: Clock
    environments: tuple[str, ...] = ()
    fence: int | None = None
    """The fencing token of the scheduler, if it acts."""
    tokens: TokenRules = field(default_factory=TokenRules)
    """The project's rules for tokens."""
    bookings: Bookings = field(default_factory=NullBookings)
    """What keeps others out of environments."""
    forwarder: Forwarder | None = None
    """What has use cases executed by a server; None: they are executed here."""
    precondition: Callable[[Records], None] = lambda _records: None
    """What raises in the transaction of a change if it is not possible any more."""

    @property
    def project(self) -> str:
        """The name of the project."""
        return self.register.project

    def now(self, records: Records) -> Now:
        """The current time. A wall clock that is behind the audit stream was set back, and is not certain."""
        reading = ClockReading(parse_moment(self.clock.now()), self.clock.monotonic())
        return current_time(reading, recorded=records.newest_time())


@dataclass(frozen=True)
class Right:
    """The right to do *action* in *environment*; None: in the project. *reason* is its own, if it has any.

    *about* is what its use is about in the audit stream, such as `run:ID`; empty: the environment or the project.
    """

    action: Action
    environment: str | None = None
    reason: str = ""
    about: str = ""

    @property
    def is_recorded(self) -> bool:
        """Whether its use has an entry in the audit stream: to view and to plan changes nothing that others can see."""
        return self.action not in {Action.VIEW, Action.PLAN}


class Denied(OrchestratorError):
    """A right is missing in *environment*; *verdict* is what `authorize` found."""

    def __init__(self, verdict: Verdict, environment: str | None = None) -> None:
        super().__init__("A101", refusal_text(verdict))
        self.verdict, self.environment = verdict, environment


def access_of(records: Records) -> Access:
    """The users and rights as the register has them."""

    def read() -> Access:
        return Access.model_validate({field: records.all(kind) for field, kind in ACCESS_KINDS.items()})

    return records.kept("access", read)


@dataclass(frozen=True)
class View:
    """What a use case reads: the *records*, with the *access* and the time at that moment."""

    acting: Acting
    records: Records
    access: Access
    now: Now

    @cached_property
    def directory(self) -> Directory:
        """The access with its names resolved."""
        found = self.records.kept("directory", lambda: Directory(self.access))
        return found if found.access is self.access else Directory(self.access)

    def verdict(self, action: Action, environment: str | None = None, owner: str | None = None) -> Verdict:
        """Whether the actor may do *action*."""
        target = Target(self.acting.project, environment, owner)
        return authorize(self.acting.actor, action, target, self.directory, self.now)

    def may(self, action: Action, environment: str | None = None) -> bool:
        """Whether the actor may do *action*, without a reason."""
        return is_authorized(
            self.acting.actor, action, Target(self.acting.project, environment), self.directory, self.now
        )

    def require(self, action: Action, environment: str | None = None, owner: str | None = None) -> None:
        """Raise `Denied` if the actor may not do *action*; see `ANYWHERE` for actions without an environment."""
        verdict = self.verdict(action, environment, owner)
        places = self.acting.environments if environment is None and action in ANYWHERE else ()
        if not verdict.allowed and not any(self.verdict(action, place).allowed for place in places):
            raise Denied(verdict, environment)

    def require_giving(self, powers: Iterable[Power]) -> None:
        """Raise `Denied` if the actor may not give *powers*: see decision 0062."""
        verdict = refused_power(self.acting.actor, powers, self.acting.project, self.directory, self.now)
        if verdict is not None:
            raise Denied(verdict)

    def existing(self, kind: RecordKind[T], key: str) -> T:
        """The record with this key. Raises A110."""
        found = self.records.get(kind, key)
        if found is None:
            known = [kind.key(each) for each in self.records.all(kind)]
            raise unknown(noun_of(kind), key, known)
        return found


@dataclass(frozen=True)
class Change(View):
    """What a use case does in one transaction: every write is recorded in the audit stream."""

    records: Changes
    action: Action
    environment: str | None = None
    reason: str = ""

    def put(self, kind: RecordKind[T], value: T, **detail: object) -> T:
        """Write *value*, and record its digests before and after. Raises N110 if it has a time of no possible year."""
        require_possible_times(value)
        key = kind.key(value)
        before = self.records.get(kind, key)
        self.records.put(kind, value)
        self.record(f"{noun_of(kind)}:{key}", before=_digest(before), after=_digest(value), detail=detail)
        if before is None and isinstance(value, Message):
            self.notify(fact_of(value))
        return value

    def notify(self, fact: Fact) -> None:
        """Write a notification of *fact* for each rule that is about it, in this transaction; once for each fact.

        A rule for a user who was disabled sends nothing.
        """
        users = self.directory
        rules = [r for r in self.records.all(NOTIFICATION_RULES) if r.user is None or users.is_active_user(r.user)]
        for made in notifications_of(rules, fact, self._roles_of):
            if self.records.get(NOTIFICATIONS, made.id) is None:
                self.records.put(NOTIFICATIONS, made)

    def _roles_of(self, user: str, environment: str | None) -> frozenset[str]:
        return self.directory.roles_in(user, environment, self.acting.project, self.now)

    def remove(self, kind: RecordKind[T], value: T, **detail: object) -> None:
        """Remove *value*, and record its digest."""
        key = kind.key(value)
        self.records.remove(kind, key)
        self.record(f"{noun_of(kind)}:{key}", before=_digest(value), detail=detail)

    def record(self, object_: str, **fields: object) -> None:
        """Append an entry about *object_* to the audit stream."""
        self.records.record(
            record_by(
                self.acting.actor,
                project=self.acting.project,
                at=self.now.earliest,
                action=self.action.value,
                object=object_,
                environment=self.environment,
                reason=self.reason,
                **fields,
            )
        )


def _digest(value: Model | None) -> str | None:
    return None if value is None else digest_of(value.to_json())


def unknown(what: str, name: str, known: list[str]) -> OrchestratorError:
    """The error for a *name* that does not exist, with the nearest one of those *known*, and what shows or adds one."""
    hint = object_hint(what, name, known)
    return OrchestratorError("A110", f"there is no {what.replace('-', ' ')} {name}", hint=hint or None)


def read_register(acting: Acting, action: Action, work: Callable[[View], R], *, environment: str | None = None) -> R:
    """What *work* finds, if the actor may do *action*. Raises A101."""
    try:
        return acting.register.reading(lambda records: _read(acting, records, action, environment, work))
    except Denied as denied:
        record_denial(acting, denied.verdict, environment)
        raise


def read_own(acting: Acting, work: Callable[[View], R]) -> R:
    """What *work* finds about the actor, or for a duty, without a right; *work* requires those for anything else."""

    def whole(records: Records) -> R:
        return work(View(acting, records, access_of(records), acting.now(records)))

    try:
        return acting.register.reading(whole)
    except Denied as denied:
        record_denial(acting, denied.verdict, None)
        raise


def _read(acting: Acting, records: Records, action: Action, environment: str | None, work: Callable[[View], R]) -> R:
    view = View(acting, records, access_of(records), acting.now(records))
    view.require(action, environment)
    return work(view)


def change(
    acting: Acting,
    action: Action,
    work: Callable[[Change], R],
    *,
    environment: str | None = None,
    owner: str | None = None,
    reason: str = "",
    unless: Callable[[View], bool] = lambda _view: False,
) -> R:
    """What *work* returns, after its changes and their audit entries were committed, if the actor may do *action*.

    The right is not needed if *unless* finds that what is changed is the actor's own.
    Raises A101; then nothing was changed, and the attempt is in the audit stream. Raises A103 for a change of access
    that leaves no administrator.
    """

    def whole(records: Changes) -> R:
        view = Change(acting, records, access_of(records), acting.now(records), action, environment, reason)
        if not unless(view):
            view.require(action, environment, owner)
        acting.precondition(records)
        result = work(view)
        after = access_of(records)
        if after != view.access:
            check_administrator(view.access, after, acting.project, view.now)
            view.require_giving(gained_powers(view.access, after, acting.project, view.now))
        return result

    try:
        return acting.register.changing(str(acting.actor), whole, acting.fence)
    except Denied as denied:
        record_denial(acting, denied.verdict, environment, reason)
        raise


def expecting(acting: Acting, kind: RecordKind[T], value: T) -> Acting:
    """*acting*, whose changes are refused (N145) if the record of *value* has another content when they start."""
    return _expecting(acting, kind, kind.key(value), lambda found: found == value)


def expecting_version(acting: Acting, kind: RecordKind[T], key: str, version: str) -> Acting:
    """*acting*, whose changes are refused (N145) unless the record *key* has the content with the digest *version*."""
    return _expecting(acting, kind, key, lambda found: found is not None and digest_of(found.to_json()) == version)


def _expecting(acting: Acting, kind: RecordKind[T], key: str, is_it: Callable[[T | None], bool]) -> Acting:
    def check(records: Records) -> None:
        if not is_it(records.get(kind, key)):
            raise OrchestratorError("N145", f"{noun_of(kind).replace('-', ' ')} {key} has changed since it was read")

    return replace(acting, precondition=check)


def record_denial(acting: Acting, verdict: Verdict, environment: str | None, reason: str = "") -> None:
    """Append the refused attempt to the audit stream, in a transaction of its own."""

    def write(records: Changes) -> None:
        records.record(
            record_by(
                acting.actor,
                project=acting.project,
                at=acting.now(records).earliest,
                action=verdict.action.value,
                object=f"environment:{environment}" if environment else f"project:{acting.project}",
                environment=environment,
                outcome="denied",
                reason=reason,
                detail={"rule": verdict.basis.value},
            )
        )

    acting.register.changing(str(acting.actor), write)


def require(acting: Acting, rights: tuple[Right, ...], reason: str = "", use_case: str = "") -> None:
    """Return if the actor has all *rights*, and record that each is used, by which *use_case*. Raises A101.

    For use cases whose effects are not in the register: the entries are written before the first effect.
    """
    if not rights:
        return

    def work(records: Changes) -> None:
        access, now = access_of(records), acting.now(records)
        needed = [
            Change(acting, records, access, now, each.action, each.environment, each.reason or reason)
            for each in rights
        ]
        _require_each(needed[0], rights)
        for task, right in zip(needed, rights, strict=True):
            if not right.is_recorded:
                continue
            place = f"environment:{task.environment}" if task.environment else f"project:{acting.project}"
            task.record(right.about or place, detail={"use_case": use_case} if use_case else {})

    _refusals_recorded(acting, lambda: acting.register.changing(str(acting.actor), work), reason)


def require_unrecorded(acting: Acting, rights: tuple[Right, ...], reason: str = "") -> None:
    """Return if the actor has all *rights*, for what changes nothing. Raises A101, and only that is recorded."""

    def work(records: Records) -> None:
        _require_each(View(acting, records, access_of(records), acting.now(records)), rights)

    _refusals_recorded(acting, lambda: acting.register.reading(work), reason)


def _require_each(view: View, rights: tuple[Right, ...]) -> None:
    for right in rights:
        view.require(right.action, right.environment)


def _refusals_recorded(acting: Acting, ask: Callable[[], None], reason: str) -> None:
    try:
        ask()
    except Denied as denied:
        record_denial(acting, denied.verdict, denied.environment, reason)
        raise
