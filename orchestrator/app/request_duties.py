"""What the scheduler does about run requests: moves that are due, starts, and what the ends of runs mean."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from orchestrator.app.acting import Acting, Change, View, access_of, change, read_own
from orchestrator.app.request_facts import (
    RequestRules,
    advance,
    approval_of,
    make_move,
    notify_approvers,
    remind_approvers,
    start_admission,
    waits_long,
)
from orchestrator.app.scheduler import do_each
from orchestrator.app.starts import Queue, start_request, submit_started
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.approval.request_state import RequestEvent, RequestState
from orchestrator.domain.approval.requests import RunRequest, due_moves
from orchestrator.domain.approval.run_end import RunEnd, event_after
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import recorded_failure
from orchestrator.domain.model import digest_of
from orchestrator.domain.moments import Now, parse_moment
from orchestrator.domain.plan import Plan, differences, held
from orchestrator.domain.register import OPEN, PLAN_TEXTS, REQUESTS, PlanText
from orchestrator.domain.text import with_reason
from orchestrator.domain.wave_plan import WavePlan
from orchestrator.inspect.release_history import last_verified
from orchestrator.planning import plan_store
from orchestrator.planning.refusal import start_refusal
from orchestrator.planning.risk import plan_risk
from orchestrator.ports import Store
from orchestrator.register_ports import Records, Register
from orchestrator.services import Services

R = TypeVar("R")
Shows = Callable[[Plan | WavePlan], str]
"""The text of a plan as it is shown to approvers."""


@dataclass(frozen=True)
class Context:
    """What the duties about requests need: the *services* of the project, its *rules*, and how plans are *shown*.

    *makes* makes a new plan for a request.
    """

    register: Register
    services: Services
    rules: Callable[[], RequestRules]
    shows: Shows
    makes: Callable[[RunRequest, Plan], Plan]

    def open_requests(self) -> tuple[RunRequest, ...]:
        """The requests that have not ended, oldest first."""
        found = self.register.reading(lambda records: records.all(REQUESTS, OPEN))
        return tuple(sorted(found, key=lambda request: (request.requested_at, request.id)))


def shown_plan(shows: Shows, plan: Plan | WavePlan) -> PlanText:
    """*plan* as it is shown to approvers, with the digest of that."""
    text = shows(plan)
    return PlanText(digest=digest_of(text), plan=plan.digest, text=text)


@dataclass(frozen=True)
class MoveRequests:
    """Votes and requests expire."""

    context: Context
    name: str = "requests"

    def due(self, now: Now) -> bool:
        """Whether there is an open request."""
        del now
        return bool(self.context.open_requests())

    def do(self, acting: Acting, now: Now) -> Iterator[str]:
        """Make the moves that are due."""
        del now
        rules = self.context.rules()

        def work(request: RunRequest) -> Iterator[str]:
            if acting.register.reading(partial(_has_moves, acting, request)):
                moved = _change(acting, request, lambda task, current: advance(task, current, rules))
                yield f"{moved.id} is {moved.state}: {moved.note}"

        yield from do_each(self.context.open_requests(), work, _id_of)


@dataclass(frozen=True)
class RemindApprovers:
    """Users who could give a vote that a promotion has lacked for a day are reminded once."""

    acting: Acting
    name: str = "reminders"

    def due(self, now: Now) -> bool:
        """Whether a request has waited for so long, and a user was not reminded."""
        del now
        return bool(read_own(self.acting, waits_long))

    def do(self, acting: Acting, now: Now) -> Iterator[str]:
        """Remind them."""
        del now

        def work(request: RunRequest) -> Iterator[str]:
            for user in _change(acting, request, _reminded):
                yield f"{request.id}: {user} was reminded that it waits for a vote"

        yield from do_each(read_own(acting, waits_long), work, _id_of)


def _reminded(task: Change, request: RunRequest) -> tuple[str, ...]:
    """The users who were reminded, unless *request* has changed meanwhile."""
    return remind_approvers(task, request) if request in waits_long(task) else ()


def _id_of(request: RunRequest) -> str:
    return request.id


def _has_moves(acting: Acting, request: RunRequest, records: Records) -> bool:
    view = View(acting, records, access_of(records), acting.now(records))
    return next(due_moves(request, approval_of(view, request), view.now), None) is not None


def _change(acting: Acting, request: RunRequest, work: Callable[[Change, RunRequest], R]) -> R:
    """What *work* returns of *request*, as it is in the transaction, after its changes as the system."""

    def whole(task: Change) -> R:
        return work(task, task.existing(REQUESTS, request.id))

    return change(acting, Action.PROMOTE, whole, environment=request.environments[0])


@dataclass(frozen=True)
class StartRequests:
    """Approved promotions start when every condition holds. The run is for the workers of the request's queue.

    One whose plan was made before another release was verified in the environment gets a new plan first.
    """

    context: Context
    name: str = "start"

    def due(self, now: Now) -> bool:
        """Whether a request could start, or was started by a process that died before its run was recorded."""
        del now
        return any(r.is_startable or r.state is RequestState.STARTED for r in self.context.open_requests())

    def do(self, acting: Acting, now: Now) -> Iterator[str]:
        """Start them, and record their runs."""
        del now
        rules = self.context.rules()
        yield from do_each(self.context.open_requests(), lambda each: self._start(acting, each, rules), _id_of)

    def _start(self, acting: Acting, request: RunRequest, rules: RequestRules) -> Iterator[str]:
        started = request
        if request.is_startable:
            if not acting.register.reading(partial(_may_start, acting, request, rules)):
                return
            planned = renew_plan(acting, self.context, request)
            if planned is not None:
                yield with_reason(f"{planned.id} is {planned.state}", planned.note)
                return
            started = start_request(acting, request.id, rules).request
        recorded = self._submit(acting, started) if started.state is RequestState.STARTED else None
        if recorded is not None:
            yield f"{recorded.id} started as {recorded.run}, for the workers of {recorded.queue}"

    def _submit(self, acting: Acting, request: RunRequest) -> RunRequest | None:
        services, first = self.context.services, request.first[0]
        supersede = first in services.environments and services.environments[first][0].queue.supersede
        return submit_started(services.store, acting, request, Queue(request.queue, supersede))


def _may_start(acting: Acting, request: RunRequest, rules: RequestRules, records: Records) -> bool:
    view = View(acting, records, access_of(records), acting.now(records))
    return start_admission(view, request, acting.actor, rules).may_start


@dataclass(frozen=True)
class SettleRequests:
    """The end of a run ends its request, holds it, or gives it a new plan that needs new votes."""

    context: Context
    name: str = "runs"

    def due(self, now: Now) -> bool:
        """Whether a run of a request may have ended."""
        del now
        return any(request.state is RequestState.STARTED for request in self.context.open_requests())

    def do(self, acting: Acting, now: Now) -> Iterator[str]:
        """Settle what has ended."""
        del now
        started = [each for each in self.context.open_requests() if each.state is RequestState.STARTED]
        yield from do_each(started, lambda each: self._follow(acting, each), _id_of)

    def _follow(self, acting: Acting, request: RunRequest) -> Iterator[str]:
        settled = settle_request(acting, self.context, request)
        if settled is not None:
            yield with_reason(f"{settled.id} is {settled.state}", settled.note)


def settle_request(acting: Acting, context: Context, request: RunRequest) -> RunRequest | None:
    """*request* after the end of its run; None while the run continues, or needs manual intervention."""
    store = context.services.store
    end = end_of(store, request.run)
    event = event_after(end) if end is not None else None
    if end is not None and event is None and is_overtaken(store, request):
        event = RequestEvent.FINISH
    if end is None or event is None:
        return None
    if event is RequestEvent.REPLAN:
        return _replan(acting, context, request, end)
    rules = context.rules()
    note = f"{request.run} ended: {end.state}" if event is RequestEvent.FINISH else f"{request.run} could not start"

    def work(task: Change, current: RunRequest) -> RunRequest:
        if (current.state, current.run) != (RequestState.STARTED, request.run):
            return current
        return advance(task, make_move(task, current, event, f"{note} ({end.code})" if end.code else note), rules)

    return _change(acting, request, work)


def is_overtaken(store: Store, request: RunRequest) -> bool:
    """Whether a later run has ended in the environment: what the run of *request* left is that one's matter."""
    newest = next(iter(store.runs(request.environment, limit=1)), None)
    return newest is not None and newest.id != request.run and newest.ended


def end_of(store: Store, run: str) -> RunEnd | None:
    """How *run* ended; None if it has not, or is not recorded."""
    try:
        found = store.run(run)
    except OrchestratorError:
        return None
    if found.id != run or not found.ended:
        return None
    records = store.records(run)
    failure = recorded_failure(records)
    finished = [r for r in records if r.kind == "step.finished" and r.step == failure.get("step")]
    data = (finished[-1].data.get("data") or {}) if finished else {}
    return RunEnd(found.state, str(failure.get("code") or ""), tuple(data.get("changed") or ()), data.get("now") or "")


def _replan(acting: Acting, context: Context, request: RunRequest, end: RunEnd) -> RunRequest:
    """*request* with the plan that its run made in place of the approved one, which no longer holds."""
    return _with_plan(acting, context, request, plan_store.load_plan(context.services, end.plan), end.changed)


def renew_plan(acting: Acting, context: Context, request: RunRequest) -> RunRequest | None:
    """*request* with a new plan, if another release was verified in its environment since its plan was made.

    Its run would fail, because the plan no longer holds. None if the plan holds, or no other one can be made: the run
    then records why.
    """
    old = _outdated_plan(context.services, request)
    if old is None:
        return None
    try:
        plan = context.makes(request, old)
    except OrchestratorError:
        return None
    changed = differences(old, held(old, plan))
    if not changed or start_refusal(plan) is not None:
        return None
    # without the fence: a plan may take longer than the lease of a scheduler; a request that has moved on is left alone
    return _with_plan(replace(acting, fence=None), context, request, plan, tuple(changed))


def _outdated_plan(services: Services, request: RunRequest) -> Plan | None:
    """The plan of *request*, if another release was verified in its environment since it was made."""
    newest = None if request.rollout is not None or request.rehearsal else last_verified(services, request.environment)
    if newest is None or newest.release.digest == request.package:
        return None
    try:
        plan = plan_store.load_plan(services, request.plan)
    except OrchestratorError:
        return None
    return plan if plan.created_at and parse_moment(newest.at) > parse_moment(plan.created_at) else None


def _with_plan(
    acting: Acting, context: Context, request: RunRequest, plan: Plan, changed: tuple[str, ...]
) -> RunRequest:
    """*request* with *plan* in place of its own, of which *changed* are the differences, unless it has moved on."""
    shown, risk, rules = shown_plan(context.shows, plan), plan_risk(context.services, plan), context.rules()
    raised = request.risk.raised if request.risk is not None else None
    risk = risk.model_copy(update={"raised": raised})
    needed = rules.approvals.requirement(request.name, request.environment, risk.level, request.kind)

    def work(task: Change, current: RunRequest) -> RunRequest:
        if (current.state, current.run, current.plan) != (request.state, request.run, request.plan):
            return current
        task.put(PLAN_TEXTS, shown)
        new = current.replanned(plan.digest, shown.digest, needed, risk, changed)
        noted = new.model_copy(update={"note": f"the plan no longer held: {', '.join(changed)}"})
        task.put(REQUESTS, noted, event="replan", plan=noted.plan, changed=list(changed))
        done = advance(task, noted, rules)
        notify_approvers(task, done)
        return done

    return _change(acting, request, work)


def as_system(acting: Acting) -> Acting:
    """The system at the register of *acting*: for what follows from a run, whichever process detects it."""
    return replace(acting, actor=SYSTEM_ACTOR)
