"""Why a promotion may or may not start: every condition, from the register and the journal at one moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.app.access import named_actor
from orchestrator.app.acting import Acting, Change, Denied, View, access_of, read_register, record_denial
from orchestrator.app.calendar import calendar_of
from orchestrator.app.forwarding import forwarded
from orchestrator.app.voters import directory_of, votes_of
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import is_authorized
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.admission.conditions import CALENDAR, Admission, ConditionKind
from orchestrator.domain.admission.may_start import AdmissionFacts, PathFacts, Start, may_promote, question_of
from orchestrator.domain.admission.overrides import Override, Passing, overridden, require_passable
from orchestrator.domain.admission.refusal import not_admitted
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.calendar.fit import Estimate
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.verdict import Closed, Closing, Open, calendar_verdict
from orchestrator.domain.error_codes import RIGHT_MISSING
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import OPEN, OVERRIDES, REQUESTS, REVIEWS
from orchestrator.domain.release import PackageRef
from orchestrator.domain.risk.kinds import ChangeKind
from orchestrator.register_ports import Changes, Records, each_record

DECIDED_LATER = frozenset({ConditionKind.APPROVAL, ConditionKind.SEPARATION, ConditionKind.LEASE})
"""What does not refuse a promotion that is requested: it waits for votes, and for its turn."""


@dataclass(frozen=True)
class Promotion:
    """A promotion of *package* into *environment*, with what the journal and the files show about it.

    *declared* are the calendar entries of the environments' files. *estimate* measures how long it takes; it is called
    only where an end of the open time is known. *overrun* is whether an overrun is requested. *rehearsal*: it is to be
    rehearsed, which needs another right, and of which only the calendar is a condition. *requested*: it waits for its
    request, and for the calendar.
    """

    environment: str
    package: PackageRef
    path: PathFacts = field(default_factory=PathFacts)
    estimate: Callable[[], Estimate] | None = None
    requirement: Requirement = field(default_factory=Requirement)
    kind: ChangeKind = ChangeKind.NORMAL
    declared: tuple[CalendarRule, ...] = ()
    overrun: bool = False
    rehearsal: bool = False
    requested: bool = False

    @property
    def ignored(self) -> frozenset[ConditionKind]:
        """The conditions that do not refuse it when it is requested: those of which a later moment decides."""
        if self.rehearsal:
            return frozenset(ConditionKind) - {*CALENDAR}
        later = {*CALENDAR, ConditionKind.FIT, ConditionKind.REVIEW, ConditionKind.START_TIME}
        return DECIDED_LATER | (later if self.requested else frozenset())


@forwarded
def why(acting: Acting, promotion: Promotion, name: str | None = None) -> Admission:
    """Every condition of *promotion* for the actor, or for the user or service account called *name*. Raises A110."""

    def work(view: View) -> Admission:
        actor = acting.actor if name is None else named_actor(view, name)
        return admission(view, promotion, actor)

    return read_register(acting, Action.VIEW, work, environment=promotion.environment)


@forwarded
def check_promotion(acting: Acting, promotion: Promotion) -> None:
    """Return if the actor may currently request *promotion*.

    Raises A101 without the right, which is recorded in the audit stream, otherwise `NotAdmitted` with every condition
    that is missing.
    """

    def work(view: View) -> None:
        view.require(Action.REHEARSE if promotion.rehearsal else Action.PROMOTE, promotion.environment)
        if promotion.overrun:
            view.require(Action.OVERRUN, promotion.environment)
        found = admission(view, promotion, acting.actor, own=not promotion.requested)
        why_not = not_admitted(found, str(promotion.package), promotion.environment, promotion.ignored)
        if why_not is not None:
            raise why_not

    try:
        acting.register.reading(lambda records: work(view_at(records, acting)))
    except Denied as denied:
        record_denial(acting, denied.verdict, promotion.environment)
        raise


def view_at(records: Records, acting: Acting) -> View:
    """The register at one moment, as *acting* sees it."""
    return View(acting, records, access_of(records), acting.now(records))


def admission(view: View, promotion: Promotion, actor: Actor, *, own: bool = False) -> Admission:
    """Every condition for *actor* to start *promotion* at this time. Only this function combines them.

    They are those of the newest request for the release. With *own* only of one by *actor*, or that has started: a
    direct promotion does not pass by what another user has requested, and is not kept by it.
    """
    request = _request(view.records, promotion, actor if own else None)
    start = Start(
        view.acting.project,
        promotion.environment,
        request.requested_by if request else actor,
        request.kind if request else promotion.kind,
        request.requirement if request else promotion.requirement,
        request.overrides if request else (),
        request.start if request else None,
        request,
        promotion.package.digest,
    )
    return may_promote(start, actor, facts_at(view, promotion, start, actor), view.now)


def facts_at(view: View, promotion: Promotion, start: Start, actor: Actor) -> AdmissionFacts:
    """What *start*, a start of *promotion* for *actor*, is decided by at this moment."""
    records, request = view.records, start.request
    votes = votes_of(records, request) if request else ()
    calendar = calendar_of(view, promotion.declared, (promotion.environment,))
    passed = overrides_of(records, promotion.package.digest, promotion.environment)
    ids = [override.entry for override in passed if not override.is_over(view.now)]
    verdict = calendar_verdict(calendar, question_of(start, ids), view.now)
    ends = isinstance(verdict, Open) and verdict.next_close is not None
    may_overrun = is_authorized(actor, Action.OVERRUN, start.target, view.directory, view.now)
    return AdmissionFacts(
        directory=directory_of(view, request, votes) if request else view.directory,
        votes=votes,
        calendar=calendar,
        reviews=records.all(REVIEWS, OPEN),
        path=promotion.path,
        overrides=passed,
        estimate=promotion.estimate() if promotion.estimate is not None and ends else None,
        overrun=promotion.overrun and may_overrun,
    )


def _request(records: Records, promotion: Promotion, actor: Actor | None) -> RunRequest | None:
    """The newest open run request for this release in the environment; with *actor* only its own, or a started one."""
    found = [
        request.part(promotion.environment)
        for request in records.all(REQUESTS, OPEN)
        if promotion.environment in request.environments
        and request.package == promotion.package.digest
        and not request.rehearsal
        and (actor is None or request.requester == str(actor) or request.state is RequestState.STARTED)
    ]
    return max(found, key=lambda request: (request.requested_at, request.id), default=None)


def overrides_of(records: Records, package: str, environment: str) -> tuple[Override, ...]:
    """Every override that was recorded for *package* in *environment*, also those that no longer count."""
    return tuple(each_record(records, OVERRIDES, prefix=f"{package} {environment} "))


@dataclass(frozen=True)
class PassableClosing:
    """A *closing* of an environment, and why the actor may not pass it: *refusal* is empty if they may."""

    closing: Closing
    refusal: str = ""


def show_closings(acting: Acting, promotion: Promotion) -> tuple[PassableClosing, ...]:
    """What closes the environment for *promotion* now and was not passed, and which of it the actor may pass."""

    def work(view: View) -> tuple[PassableClosing, ...]:
        passed = overrides_of(view.records, promotion.package.digest, promotion.environment)
        ids = [override.entry for override in passed if not override.is_over(view.now)]
        start, found = _closings(view, promotion, ids)
        return tuple(PassableClosing(each, _refusal(view, start, each)) for each in found)

    return read_register(acting, Action.VIEW, work, environment=promotion.environment)


def _refusal(view: View, start: Start, closing: Closing) -> str:
    try:
        require_passable(view.acting.actor, start.target, closing, view.directory, view.now)
    except OrchestratorError as error:
        return error.message
    return ""


def _closings(view: View, promotion: Promotion, passed: Sequence[str]) -> tuple[Start, tuple[Closing, ...]]:
    """The start of *promotion* for the actor, and what closes its environment now, but for what was *passed*."""
    actor, place = view.acting.actor, promotion.environment
    digest = promotion.package.digest
    start = Start(view.acting.project, place, actor, promotion.kind, promotion.requirement, package=digest)
    calendar = calendar_of(view, promotion.declared, (place,))
    verdict = calendar_verdict(calendar, question_of(start, passed), view.now)
    return start, verdict.closings if isinstance(verdict, Closed) else ()


@forwarded
def override_calendar(
    acting: Acting, promotion: Promotion, reason: str, entry: str | None = None
) -> tuple[Override, ...]:
    """Pass what closes the environment for *promotion* now, or only *entry*, with a *reason*.

    Raises A101 without the right, A110 for an entry that does not close it, and A301 for what cannot be passed. A
    refused attempt is recorded in the audit stream.
    """
    place = promotion.environment

    def whole(records: Changes) -> tuple[Override, ...]:
        now = acting.now(records)
        task = Change(acting, records, access_of(records), now, Action.OVERRIDE_CALENDAR, place, reason)
        return _override(task, promotion, entry)

    try:
        return acting.register.changing(str(acting.actor), whole)
    except OrchestratorError as error:
        if error.code == RIGHT_MISSING:
            verdict = acting.register.reading(
                lambda records: view_at(records, acting).verdict(Action.OVERRIDE_CALENDAR, place)
            )
            record_denial(acting, verdict, place, reason)
        raise


def _override(task: Change, promotion: Promotion, entry: str | None) -> tuple[Override, ...]:
    actor, place = task.acting.actor, promotion.environment
    start, closings = _closings(task, promotion, ())
    chosen = [closing for closing in closings if entry in {None, closing.id}]
    if not chosen or any(closing.override_role is None for closing in chosen):
        task.require(Action.OVERRIDE_CALENDAR, place)
    if not chosen:
        what = f"{entry} does not close {place} now" if closings else f"{place} is open"
        name = str(promotion.package).replace(" ", "-")
        hint = f"orchestrator why {name} --to {place} shows every condition"
        raise OrchestratorError("A110", f"nothing to pass: {what}", hint=hint)
    passing = Passing(promotion.package.digest, str(promotion.package), start.target, actor, task.reason)
    made = [overridden(passing, closing, task.directory, task.now) for closing in chosen]
    return tuple(task.put(OVERRIDES, each, release=each.release, entry=each.text) for each in made)
