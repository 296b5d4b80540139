"""Whether a promotion may start: one pure function over access, approvals, the calendar, risk and the journal.

`why`, `status`, the refusal of `promote` and the start of a run show these conditions and no others.

It is outside of the plan and its digest: an approval or a window never changes what was approved.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target, authorize, users_with_right
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import Actor, ActorKind
from orchestrator.domain.admission.conditions import Admission, Condition, ConditionKind, ConditionState
from orchestrator.domain.admission.overrides import Override
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.reviews import EmergencyReview, overdue, overdue_text
from orchestrator.domain.approval.votes import Subject, Vote, satisfied, separation
from orchestrator.domain.calendar.fit import Estimate, Fit, fit, next_slot
from orchestrator.domain.calendar.verdict import (
    Calendar,
    CalendarQuestion,
    CalendarVerdict,
    Cause,
    Closed,
    Closing,
    calendar_verdict,
)
from orchestrator.domain.moments import Now, minute_text
from orchestrator.domain.risk.kinds import ChangeKind
from orchestrator.domain.text import few

_K, _S = ConditionKind, ConditionState


CAUSES: dict[ConditionKind, frozenset[Cause]] = {
    _K.LINE: frozenset({Cause.LINE_STOPPED}),
    _K.FREEZE: frozenset({Cause.HARD_FREEZE, Cause.SOFT_FREEZE, Cause.HOLIDAY}),
    _K.WINDOW: frozenset({Cause.OUTSIDE_WINDOWS}),
    _K.BOOKING: frozenset({Cause.BOOKED, Cause.PLANNED_LATER}),
}
"""What each condition of the calendar is about."""
_OPEN = {_K.LINE: "not stopped", _K.FREEZE: "no freeze", _K.WINDOW: "open", _K.BOOKING: "not booked"}


@dataclass(frozen=True)
class PathFacts:
    """What the journal and the environments show about a release on its path.

    *previous* is the environment before (empty: there is none), *verified_at* when the package was verified in it, and
    *verified_by* the user whose run verified it.
    *promote_after* is the time that has to pass since. *rolled_back* describes a rollback here that holds it,
    *automatic_hold* one that holds every automatic promotion to the environment.
    *superseded_by* is the newer release that takes its place. *needs_rehearsal* is what the rehearsal lacks.
    *plan_changes* are the differences because of which the plan no longer holds. *lease* describes who holds it.
    *gone* is the environment itself, if the project no longer has it.
    """

    previous: str = ""
    verified_at: datetime | None = None
    promote_after: timedelta = timedelta(0)
    rolled_back: str = ""
    automatic_hold: str = ""
    superseded_by: str = ""
    needs_rehearsal: str = ""
    plan_changes: tuple[str, ...] = ()
    lease: str = ""
    verified_by: str = ""
    gone: str = ""


@dataclass(frozen=True)
class Start:
    """What is to start: a promotion into *environment* for *requested_by*, requested (*request*) or not yet.

    *overrides* are the calendar entries that were passed, *start* is the earliest start. *package* is the digest of the
    package.
    """

    project: str
    environment: str
    requested_by: Actor
    kind: ChangeKind = ChangeKind.NORMAL
    requirement: Requirement = field(default_factory=Requirement)
    overrides: tuple[str, ...] = ()
    start: datetime | None = None
    request: RunRequest | None = None
    package: str = ""

    @property
    def target(self) -> Target:
        """Where it is promoted."""
        return Target(self.project, self.environment)


@dataclass(frozen=True)
class AdmissionFacts:
    """Everything that admission is decided by, besides what is to start and the clock.

    *overrides* are the recorded ones of this release here. *overrun* is whether an overrun was requested with the right
    to it.
    """

    directory: Directory
    votes: tuple[Vote, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    reviews: tuple[EmergencyReview, ...] = ()
    path: PathFacts = field(default_factory=PathFacts)
    overrides: tuple[Override, ...] = ()
    estimate: Estimate | None = None
    overrun: bool = False


def subject_of(request: RunRequest) -> Subject:
    """What votes on *request* are for."""
    target = Target(request.project, request.environment)
    return Subject(request.plan, request.rendered, request.requester, request.builder, target, request.verifier)


def start_of(request: RunRequest) -> Start:
    """What *request* is to start."""
    return Start(
        request.project,
        request.environment,
        request.requested_by,
        request.kind,
        request.requirement,
        request.overrides,
        request.start,
        request,
        request.package,
    )


def question_of(start: Start, overrides: Iterable[str] = ()) -> CalendarQuestion:
    """What the calendar is checked for. An emergency passes by its own kind; a standard change by its requirement's."""
    kind = start.kind if start.kind is ChangeKind.EMERGENCY else start.requirement.kind
    passed = frozenset((*start.overrides, *overrides))
    return CalendarQuestion(start.environment, str(start.requested_by), kind, overridden=passed, package=start.package)


def may_start(request: RunRequest, actor: Actor, facts: AdmissionFacts, now: Now) -> Admission:
    """Every condition of *request*, which *actor* starts *now*. A rollback is not a request: see `may_roll_back`."""
    return may_promote(start_of(request), actor, facts, now)


def ended_admission(request: RunRequest) -> Admission:
    """The admission of a *request* that has ended: nothing starts it, so nothing else is checked."""
    return Admission((Condition(_K.REQUEST, _S.REFUSED, f"the request has ended: {request.state}"),))


def may_promote(start: Start, actor: Actor, facts: AdmissionFacts, now: Now) -> Admission:
    """Every condition of *start* by *actor* at the time *now*, whether or not it was requested."""
    passed = [override.entry for override in facts.overrides if not override.is_over(now)]
    question = question_of(start, passed)
    verdict = calendar_verdict(facts.calendar, question, now)
    found = (
        _right(start, actor, facts, now),
        _verified(facts.path, now),
        *_journal(start, facts.path),
        *_approved(start, facts, now),
        _reviewed(start, facts, now),
        _start_time(start, now),
        *_calendar(start, facts, verdict, now),
        *_fits(verdict, question, facts, now),
    )
    order = list(ConditionKind)
    opens = verdict.next_open if isinstance(verdict, Closed) else None
    return Admission(tuple(sorted(found, key=lambda condition: order.index(condition.kind))), opens)


def may_roll_back(actor: Actor, target: Target, directory: Directory, now: Now) -> Admission:
    """The only condition of a rollback: the right. No approval, window, freeze, line stop or review holds it."""
    verdict = authorize(actor, Action.ROLL_BACK, target, directory, now)
    state = _S.MET if verdict.allowed else _S.REFUSED
    return Admission((Condition(_K.RIGHT, state, verdict.reason, verdict.could),))


def _right(start: Start, actor: Actor, facts: AdmissionFacts, now: Now) -> Condition:
    """The right of *actor*; where a worker starts a request, that of the user who requested it."""
    action = Action.PROMOTE_EMERGENCY if start.kind is ChangeKind.EMERGENCY else Action.PROMOTE
    if start.request is not None and start.request.rehearsal:
        action = Action.REHEARSE
    acting = start.requested_by if actor.kind is ActorKind.SYSTEM else actor
    verdict = authorize(acting, action, start.target, facts.directory, now)
    return Condition(_K.RIGHT, _S.MET if verdict.allowed else _S.REFUSED, verdict.reason, verdict.could)


def _verified(path: PathFacts, now: Now) -> Condition:
    if path.gone:
        return Condition(_K.PATH, _S.REFUSED, f"the project no longer has the environment {path.gone}")
    if not path.previous:
        return Condition(_K.PATH, _S.MET, "the first environment of the path")
    if path.verified_at is None:
        reason = f"has not been verified in {path.previous}"
        return Condition(_K.PATH, _S.REFUSED, reason, command=f"orchestrator promote RELEASE --to {path.previous}")
    until = path.verified_at + path.promote_after
    if now.has_reached(until):
        return Condition(_K.PATH, _S.MET, f"verified in {path.previous} at {minute_text(path.verified_at)}")
    reason = (
        f"verified in {path.previous} at {minute_text(path.verified_at)}, to be promoted after {minute_text(until)}"
    )
    return Condition(_K.PATH, _S.WAITING, reason, until=until)


def _journal(start: Start, path: PathFacts) -> Iterator[Condition]:
    system = start.requested_by.kind is ActorKind.SYSTEM
    back = path.rolled_back or (path.automatic_hold if system else "")
    rolled_back = f"held after a rollback: {back}"
    superseded = f"superseded by {path.superseded_by}"
    rehearsal = f"rehearsal missing: {path.needs_rehearsal}"
    changed = f"the plan no longer holds: {few(path.plan_changes, 3)}"
    again = "orchestrator promote RELEASE --to ENV --allow-rolled-back -m WHY"
    if path.automatic_hold and not back:
        reason = f"automatic promotions are held until a user promotes a release: {path.automatic_hold}"
        yield Condition(_K.ROLLED_BACK, _S.WARNING, reason)
    else:
        yield _unless(_K.ROLLED_BACK, back, rolled_back, "not rolled back here", again)
    if path.superseded_by and start.request is None:  # a new request takes its turn in the queue
        yield Condition(_K.SUPERSEDED, _S.WARNING, f"its last run was {superseded}")
    else:
        yield _unless(_K.SUPERSEDED, path.superseded_by, superseded, "not superseded")
    yield _unless(
        _K.REHEARSAL, path.needs_rehearsal, rehearsal, "no rehearsal missing", "orchestrator rehearse RELEASE"
    )
    yield _unless(_K.PLAN, path.plan_changes, changed, "the plan holds", "orchestrator plan RELEASE --to ENV")
    lease = _S.WAITING if path.lease else _S.MET
    yield Condition(_K.LEASE, lease, f"the environment is in use: {path.lease}" if path.lease else "not in use")


def _unless(kind: ConditionKind, fact: object, refused: str, met: str, command: str = "") -> Condition:
    return Condition(kind, _S.REFUSED, refused, command=command) if fact else Condition(kind, _S.MET, met)


def _approved(start: Start, facts: AdmissionFacts, now: Now) -> Iterator[Condition]:
    request = start.request
    subject = subject_of(request) if request else Subject("", "", str(start.requested_by), "", start.target)
    subject = replace(subject, verifier=subject.verifier or facts.path.verified_by)
    verdict = satisfied(start.requirement, facts.votes, subject, facts.directory, now)
    if verdict.satisfied:
        by = f"approved by {few(verdict.counted)}" if verdict.counted else "no approval needed"
        end = f", until {minute_text(verdict.expires)}" if verdict.expires else ""
        yield Condition(_K.APPROVAL, _S.MET, by + end)
    elif verdict.rejected_by:
        yield Condition(_K.APPROVAL, _S.REFUSED, verdict.reason, verdict.rejected_by)
    elif request is None:
        reason = f"{verdict.reason}; no promotion of this release is requested"
        command = f"orchestrator promote RELEASE --to {start.environment}"
        yield Condition(_K.APPROVAL, _S.WAITING, reason, verdict.could, command=command)
    else:
        reason = f"{verdict.reason}; the request expires at {minute_text(request.expires_at)}"
        command = f"orchestrator approve {request.id}"
        yield Condition(_K.APPROVAL, _S.WAITING, reason, verdict.could, command=command)
    same = separation(start.requirement, subject, verdict.counted)
    reason = few(same, 3) if same else "the identities are separate"
    yield Condition(_K.SEPARATION, _S.REFUSED if same else _S.MET, reason)


def _reviewed(start: Start, facts: AdmissionFacts, now: Now) -> Condition:
    late = overdue(facts.reviews, start.environment, now)
    if not late or start.kind is ChangeKind.EMERGENCY:
        return Condition(_K.REVIEW, _S.WARNING if late else _S.MET, overdue_text(late) or "no review is overdue")
    who = users_with_right(Action.APPROVE, start.target, facts.directory, now)
    return Condition(_K.REVIEW, _S.WAITING, overdue_text(late), who, command=f"orchestrator approve {late[0].run}")


def _start_time(start: Start, now: Now) -> Condition:
    if start.start is None or now.has_reached(start.start):
        return Condition(_K.START_TIME, _S.MET, "no later start was requested")
    reason = f"requested to start at {minute_text(start.start)}"
    return Condition(_K.START_TIME, _S.WAITING, reason, until=start.start)


def _calendar(start: Start, facts: AdmissionFacts, verdict: CalendarVerdict, now: Now) -> Iterator[Condition]:
    """The conditions of the calendar: what closes the environment now, and what was passed with a reason."""
    closed = verdict.closings if isinstance(verdict, Closed) else ()
    everything = calendar_verdict(facts.calendar, replace(question_of(start), overridden=frozenset()), now)
    passed = [closing for closing in everything.closings if closing not in closed] if not everything.is_open else []
    for kind, causes in CAUSES.items():
        mine = [closing for closing in closed if closing.cause in causes]
        others = [closing for closing in passed if closing.cause in causes]
        if mine:
            yield _closed(kind, mine, start, facts, now)
        elif others:
            yield Condition(kind, _S.WARNING, "; ".join(_passed(closing, facts) for closing in others))
        else:
            yield Condition(kind, _S.MET, _OPEN[kind] + _next(verdict, causes))


def _closed(kind: ConditionKind, found: Sequence[Closing], start: Start, facts: AdmissionFacts, now: Now) -> Condition:
    ends = [closing.until for closing in found]
    until = None if None in ends else max(end for end in ends if end is not None)
    held_by = tuple(dict.fromkeys(closing.held_by for closing in found if closing.held_by))
    who = held_by or users_with_right(Action.OVERRIDE_CALENDAR, start.target, facts.directory, now)
    command = _passing(kind, found, start, facts)
    reason, causes = "; ".join(str(closing) for closing in found), tuple(closing.cause for closing in found)
    return Condition(kind, _S.WAITING, reason, who, until, command, causes)


def _passing(kind: ConditionKind, found: Sequence[Closing], start: Start, facts: AdmissionFacts) -> str:
    """The command that ends or passes what closes the environment; empty if no command can."""
    if kind is _K.LINE:
        everywhere = any(stop.id == found[0].id and stop.environment == "*" for stop in facts.calendar.line_stops)
        return f"orchestrator line resume {'--all' if everywhere else start.environment}"
    fixed = any(
        closing.cause is Cause.BOOKED or (closing.cause is Cause.HARD_FREEZE and closing.override_role is None)
        for closing in found
    )
    return "" if fixed else f"orchestrator calendar override RELEASE --to {start.environment} -m WHY"


def _passed(closing: Closing, facts: AdmissionFacts) -> str:
    by = next((f" by {each.by}: {each.reason}" for each in facts.overrides if each.entry == closing.id), "")
    return f"passed{by or f': {closing.id}'} ({closing})"


def _next(verdict: CalendarVerdict, causes: frozenset[Cause]) -> str:
    """When the environment closes next, if that is by one of *causes*."""
    if isinstance(verdict, Closed) or verdict.closing is None or verdict.closing.cause not in causes:
        return ""
    return f" until {minute_text(verdict.closing.interval.start)}"


def _fits(verdict: CalendarVerdict, question: CalendarQuestion, facts: AdmissionFacts, now: Now) -> Iterator[Condition]:
    if facts.estimate is None or isinstance(verdict, Closed):
        return
    found = fit(verdict, facts.estimate, now)
    if found.fit is Fit.DOES_NOT_FIT and not facts.overrun:
        length = timedelta(seconds=max(1.0, facts.estimate.counts_s))
        slot = next_slot(facts.calendar, question, length, now)
        later = f"it would fit from {minute_text(slot.start)}" if slot else "no later open time is long enough"
        until = slot.start if slot else None
        command = "--overrun, with the right to it"
        yield Condition(_K.FIT, _S.REFUSED, f"{found}; {later}", until=until, command=command)
    else:
        yield Condition(_K.FIT, _S.MET if found.fit is Fit.FITS else _S.WARNING, str(found))


def reasons(conditions: Iterable[Condition]) -> str:
    """The reasons of *conditions* in one phrase."""
    return "; ".join(condition.reason for condition in conditions)
