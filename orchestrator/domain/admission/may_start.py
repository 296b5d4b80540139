"""Whether a promotion may start now: one pure function over access, approvals, the calendar, risk and the journal.

It is outside of the plan and its digest: an approval or a window never changes what was approved.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target, authorize, users_with_right
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import Actor, ActorKind
from orchestrator.domain.admission.conditions import Admission, Condition, ConditionKind, ConditionState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.reviews import EmergencyReview, overdue, overdue_text
from orchestrator.domain.approval.votes import Subject, Vote, satisfied, separation
from orchestrator.domain.calendar.fit import Estimate, Fit, fit
from orchestrator.domain.calendar.verdict import Calendar, CalendarQuestion, CalendarVerdict, Closed, calendar_verdict
from orchestrator.domain.moments import Now, minute_text
from orchestrator.domain.risk.kinds import ChangeKind
from orchestrator.domain.text import few

_K, _S = ConditionKind, ConditionState


@dataclass(frozen=True)
class PathFacts:
    """What the journal and the environments show about a release on its path.

    *previous* is the environment before (empty: there is none) and *verified_at* when the package was verified in it.
    *promote_after* is the time that has to pass since. *rolled_back* describes a rollback of this package here that
    holds it. *superseded_by* is the newer release that takes its place. *needs_rehearsal* is what the rehearsal lacks.
    *plan_changes* are the differences because of which the plan no longer holds. *lease* describes who holds it.
    """

    previous: str = ""
    verified_at: datetime | None = None
    promote_after: timedelta = timedelta(0)
    rolled_back: str = ""
    superseded_by: str = ""
    needs_rehearsal: str = ""
    plan_changes: tuple[str, ...] = ()
    lease: str = ""


@dataclass(frozen=True)
class AdmissionFacts:
    """Everything that admission is decided by, besides the request and the clock."""

    directory: Directory
    votes: tuple[Vote, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    reviews: tuple[EmergencyReview, ...] = ()
    path: PathFacts = field(default_factory=PathFacts)
    estimate: Estimate | None = None
    overrun: bool = False
    """Whether an overrun was requested with the right to do so."""


def subject_of(request: RunRequest) -> Subject:
    """What votes on *request* are for."""
    target = Target(request.project, request.environment)
    return Subject(request.plan, request.rendered, request.requester, request.builder, target, request.verifier)


def question_of(request: RunRequest) -> CalendarQuestion:
    """What the calendar is checked for. An emergency passes by its own kind; a standard change by its requirement's."""
    kind = request.kind if request.kind is ChangeKind.EMERGENCY else request.requirement.kind
    return CalendarQuestion(request.environment, request.requester, kind, overridden=frozenset(request.overrides))


def may_start(request: RunRequest, actor: Actor, facts: AdmissionFacts, now: Now) -> Admission:
    """Every condition of *request*, which *actor* starts *now*. A rollback is not a request: see `may_roll_back`."""
    calendar = calendar_verdict(facts.calendar, question_of(request), now)
    found = (
        _right(request, actor, facts, now),
        _verified(facts.path, now),
        *_journal(facts.path),
        *_approved(request, facts, now),
        _reviewed(request, facts, now),
        _start_time(request, now),
        _calendar(request, facts, calendar, now),
        *_fits(calendar, facts, now),
    )
    order = list(ConditionKind)
    return Admission(tuple(sorted(found, key=lambda condition: order.index(condition.kind))))


def may_roll_back(actor: Actor, target: Target, directory: Directory, now: Now) -> Admission:
    """The only condition of a rollback: the right. No approval, window, freeze, line stop or review holds it."""
    verdict = authorize(actor, Action.ROLL_BACK, target, directory, now)
    state = _S.MET if verdict.allowed else _S.REFUSED
    return Admission((Condition(_K.RIGHT, state, verdict.reason, verdict.could),))


def _right(request: RunRequest, actor: Actor, facts: AdmissionFacts, now: Now) -> Condition:
    """The right of *actor*; where a worker starts the request, that of the user who requested it."""
    action = Action.PROMOTE_EMERGENCY if request.kind is ChangeKind.EMERGENCY else Action.PROMOTE
    acting = request.requested_by if actor.kind is ActorKind.SYSTEM else actor
    verdict = authorize(acting, action, Target(request.project, request.environment), facts.directory, now)
    return Condition(_K.RIGHT, _S.MET if verdict.allowed else _S.REFUSED, verdict.reason, verdict.could)


def _verified(path: PathFacts, now: Now) -> Condition:
    if not path.previous:
        return Condition(_K.PATH, _S.MET, "the first environment of the path")
    if path.verified_at is None:
        reason = f"not verified in {path.previous}"
        return Condition(_K.PATH, _S.REFUSED, reason, command=f"orchestrator promote RELEASE --to {path.previous}")
    until = path.verified_at + path.promote_after
    if now.has_reached(until):
        return Condition(_K.PATH, _S.MET, f"verified in {path.previous} at {minute_text(path.verified_at)}")
    reason = (
        f"verified in {path.previous} at {minute_text(path.verified_at)}, to be promoted after {minute_text(until)}"
    )
    return Condition(_K.PATH, _S.WAITING, reason, until=until)


def _journal(path: PathFacts) -> Iterator[Condition]:
    rolled_back = f"held after a rollback: {path.rolled_back}"
    superseded = f"superseded by {path.superseded_by}"
    rehearsal = f"rehearsal missing: {path.needs_rehearsal}"
    changed = f"the plan no longer holds: {few(path.plan_changes, 3)}"
    again = "orchestrator promote RELEASE --again -m WHY"
    yield _unless(_K.ROLLED_BACK, path.rolled_back, rolled_back, "not rolled back here", again)
    yield _unless(_K.SUPERSEDED, path.superseded_by, superseded, "not superseded")
    yield _unless(
        _K.REHEARSAL, path.needs_rehearsal, rehearsal, "no rehearsal missing", "orchestrator rehearse RELEASE"
    )
    yield _unless(_K.PLAN, path.plan_changes, changed, "the plan holds", "orchestrator plan RELEASE --to ENV")
    lease = _S.WAITING if path.lease else _S.MET
    yield Condition(_K.LEASE, lease, f"the environment is in use: {path.lease}" if path.lease else "not in use")


def _unless(kind: ConditionKind, fact: object, refused: str, met: str, command: str = "") -> Condition:
    return Condition(kind, _S.REFUSED, refused, command=command) if fact else Condition(kind, _S.MET, met)


def _approved(request: RunRequest, facts: AdmissionFacts, now: Now) -> Iterator[Condition]:
    subject = subject_of(request)
    verdict = satisfied(request.requirement, facts.votes, subject, facts.directory, now)
    if verdict.satisfied:
        by = f"approved by {few(verdict.counted)}" if verdict.counted else "no approval needed"
        end = f", until {minute_text(verdict.expires)}" if verdict.expires else ""
        yield Condition(_K.APPROVAL, _S.MET, by + end)
    elif verdict.rejected_by:
        yield Condition(_K.APPROVAL, _S.REFUSED, verdict.reason, verdict.rejected_by)
    else:
        reason = f"{verdict.reason}; the request expires at {minute_text(request.expires_at)}"
        command = f"orchestrator approve {request.id}"
        yield Condition(_K.APPROVAL, _S.WAITING, reason, verdict.could, command=command)
    same = separation(request.requirement, subject, verdict.counted)
    reason = few(same, 3) if same else "the identities are separate"
    yield Condition(_K.SEPARATION, _S.REFUSED if same else _S.MET, reason)


def _reviewed(request: RunRequest, facts: AdmissionFacts, now: Now) -> Condition:
    late = overdue(facts.reviews, request.environment, now)
    if not late or request.kind is ChangeKind.EMERGENCY:
        return Condition(_K.REVIEW, _S.WARNING if late else _S.MET, overdue_text(late) or "no review is overdue")
    who = users_with_right(Action.APPROVE, Target(request.project, request.environment), facts.directory, now)
    return Condition(_K.REVIEW, _S.WAITING, overdue_text(late), who, command=f"orchestrator approve {late[0].run}")


def _start_time(request: RunRequest, now: Now) -> Condition:
    if request.start is None or now.has_reached(request.start):
        return Condition(_K.START_TIME, _S.MET, "no later start was requested")
    reason = f"requested to start at {minute_text(request.start)}"
    return Condition(_K.START_TIME, _S.WAITING, reason, until=request.start)


def _calendar(request: RunRequest, facts: AdmissionFacts, verdict: CalendarVerdict, now: Now) -> Condition:
    if isinstance(verdict, Closed):
        target = Target(request.project, request.environment)
        who = verdict.held_by or users_with_right(Action.OVERRIDE_CALENDAR, target, facts.directory, now)
        return Condition(_K.CALENDAR, _S.WAITING, verdict.reason, who, verdict.next_open)
    reason = "open" + (f" until {minute_text(verdict.next_close)}" if verdict.next_close else "")
    if request.overrides:
        return Condition(_K.CALENDAR, _S.WARNING, f"{reason}; passed: {few(request.overrides)}")
    return Condition(_K.CALENDAR, _S.MET, reason)


def _fits(verdict: CalendarVerdict, facts: AdmissionFacts, now: Now) -> Iterator[Condition]:
    if facts.estimate is None or isinstance(verdict, Closed):
        return
    found = fit(verdict, facts.estimate, now)
    if found.fit is Fit.DOES_NOT_FIT and not facts.overrun:
        yield Condition(_K.FIT, _S.REFUSED, str(found), command="--overrun, with the right to do so")
    else:
        yield Condition(_K.FIT, _S.MET if found.fit is Fit.FITS else _S.WARNING, str(found))


def reasons(conditions: Iterable[Condition]) -> str:
    """The reasons of *conditions* in one phrase."""
    return "; ".join(condition.reason for condition in conditions)
