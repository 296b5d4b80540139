"""The start of a requested promotion: every condition is checked again, and the run is recorded."""

import secrets
from dataclasses import dataclass, replace
from functools import partial

from orchestrator.app.acting import Acting, Change, View, access_of, change
from orchestrator.app.request_facts import RequestRules, advance, find_request, request_of, start_admission, start_facts
from orchestrator.app.run_requests import action_of, require_everywhere
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import SYSTEM_ACTOR, ActorKind
from orchestrator.domain.admission.conditions import Admission, ConditionKind
from orchestrator.domain.admission.may_start import AdmissionFacts, reasons, subject_of
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.reviews import EmergencyReview, passed_over
from orchestrator.domain.approval.votes import satisfied
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import PROMOTION_KINDS, Kind, QueuedRequest, Run
from orchestrator.domain.register import OPEN, OUTBOX, REQUESTS, REVIEWS, Message
from orchestrator.domain.risk.kinds import ChangeKind
from orchestrator.ports import Store
from orchestrator.register_ports import Records

WITHOUT_LIMIT = 10 * 365 * 86400.0  # seconds, longer than any queue
LATER = frozenset({ConditionKind.LEASE, ConditionKind.START_TIME})
"""Conditions that the queue of the environment, or the start itself, have decided when a run enters."""


@dataclass(frozen=True)
class Start:
    """The *request* after an attempt to start it, and the conditions that were found."""

    request: RunRequest
    admission: Admission
    started: bool


def start_request(acting: Acting, wanted: str, rules: RequestRules) -> Start:
    """Start a request if every condition holds. A second attempt finds it started, and starts nothing."""
    found = request_of(acting, wanted)
    action = Action.PROMOTE if acting.actor.kind is ActorKind.SYSTEM else action_of(found)

    def work(task: Change) -> Start:
        require_everywhere(task, action, found)
        request = advance(task, find_request(task.records, wanted), rules)
        admission = start_admission(task, request, acting.actor, rules)
        if not request.is_startable or not admission.may_start:
            return Start(request, admission, started=False)
        fresh = request.run_named(secrets.token_hex(3))
        started = request.started(fresh if request.run else request.id)
        task.put(REQUESTS, started, event="start", plan=started.plan, run=started.run)
        if started.kind is ChangeKind.EMERGENCY:
            _open_review(task, started, start_facts(task, started, rules), rules)
        return Start(started, admission, started=True)

    return change(acting, action, work, environment=found.environments[0])


def _open_review(task: Change, request: RunRequest, facts: AdmissionFacts, rules: RequestRules) -> None:
    """Record that an emergency is reviewed afterwards, and a message to each user who was passed over."""
    level, environment, now = request.level, request.environment, task.now
    ordinary = rules.approvals.requirement(request.name, environment, level, ChangeKind.NORMAL)
    subject = subject_of(request)
    if (
        task.records.get(REVIEWS, request.id)
        or satisfied(ordinary, facts.votes, subject, facts.directory, now).satisfied
    ):
        return
    review = EmergencyReview(
        run=request.id,
        environment=environment,
        plan=request.plan,
        requirement=ordinary,
        reason=request.reason,
        incident=request.incident,
        opened_at=now.earliest,
        due=now.earliest + rules.approvals.review_within(environment),
    )
    task.put(REVIEWS, review, due=str(review.due))
    text = f"emergency {request.id} of {request.release} by {request.requester}: {request.reason} ({request.incident})"
    for user in passed_over(ordinary, facts.votes, subject, facts.directory, now):
        message = Message(
            dedup=f"{request.id} emergency {user}",
            at=now.earliest,
            to=user,
            kind="emergency",
            environment=environment,
            text=text,
            by=request.requester,
            path=f"/requests/{request.id}",
        )
        task.put(OUTBOX, message)


@dataclass(frozen=True)
class Queue:
    """The workers (*name*) that execute a run; none if empty. With *supersede* it takes the place of older releases."""

    name: str = ""
    supersede: bool = False


NO_QUEUE = Queue()


# -- the run -----------------------------------------------------------------------------------------------------------


def recorded_work(request: RunRequest, queue: str) -> tuple[QueuedRequest, Run]:
    """What the journal and the engine keep of a started *request*, for the workers of *queue* (empty: none)."""
    root, release, rollout = request.root, request.release, request.rollout
    reasons = {"override_reason": request.allow_rolled_back, "overrun": request.overrun}
    about: dict[str, object] = {name: why for name, why in reasons.items() if why}
    if rollout is not None:
        waves = {"rollout": rollout.waves.to_json(), "plans": dict(rollout.plans)}
        about["waves"] = {**waves, **({"redeploy": True} if rollout.redeploy else {})}
    kind: Kind = "rehearsal" if request.rehearsal else "promotion"
    recorded = {
        "root": root,
        "kind": kind,
        "release": release.to_json(),
        "targets": list(request.environments),
        "by": request.requester,
        "plan": request.plan,
        "wait": WITHOUT_LIMIT,
        "retry": None,
        "parameters": about,
        **({"trace": request.trace} if request.trace else {}),
        **({"definition": request.definition} if request.definition else {}),
    }
    run = Run(
        id=request.run,
        root=root,
        kind="waves" if rollout is not None else kind,
        environment=request.environment,
        release=release,
        by=request.requester,
        project_definition=request.definition or None,
    )
    return QueuedRequest(root=root, request=recorded, queue=queue), run


def submit_started(store: Store, acting: Acting, request: RunRequest, queue: Queue = NO_QUEUE) -> RunRequest | None:
    """Record the run of a started *request*; None if it was recorded before. A crash before it is repaired by this.

    With a *queue* the run is in the queue of its environment from now on. The result has another run if the name of the
    first one was taken meanwhile.
    """
    while True:
        work, run = recorded_work(request, queue.name)
        if _is_recorded(store, work):
            return None
        if store.submit(work, run.model_copy(update={"requested_at": acting.clock.now()})):
            break
        request = _renamed(acting, request)
    if queue.name and request.rollout is None:  # each environment of a rollout is queued once its wave has started
        enqueue_run(store, run, supersede=queue.supersede)
    return request


def enqueue_run(store: Store, run: Run, *, supersede: bool) -> None:
    """Give a recorded *run* its place in the queue of its environment, unless another process has executed it since."""
    store.enqueue(run.environment, run, supersede=supersede)
    if store.run(run.id).ended:
        store.dequeue(run.environment, run.id)


def _is_recorded(store: Store, work: QueuedRequest) -> bool:
    """Whether the journal has the run, as it was started or as a retry: it executes the same plan in the same place."""
    try:
        request = store.work(work.root).request
    except OrchestratorError:
        return False
    return (request["plan"], list(request["targets"])) == (work.request["plan"], work.request["targets"])


def _renamed(acting: Acting, request: RunRequest) -> RunRequest:
    """*request* with another name for its run."""

    def work(task: Change) -> RunRequest:
        current = task.existing(REQUESTS, request.id)
        if current.run != request.run:
            return current
        fresh = request.run_named(secrets.token_hex(3))
        return task.put(REQUESTS, current.model_copy(update={"run": fresh}), event="rename", run=fresh)

    return change(replace(acting, actor=SYSTEM_ACTOR), Action.PROMOTE, work, environment=request.environments[0])


# -- the entrance of an environment ----------------------------------------------------------------------------------


def attempts_of(store: Store, run: Run) -> list[str]:
    """*run*, and the runs that it is a retry of, the first one last."""
    found, root = [run.id], run.root
    while (retry := store.work(root).request.get("retry")) is not None:
        found.append(str(retry["run"]))
        root = store.run(found[-1]).root
    return found


def admit_run(store: Store, acting: Acting, run: Run, plan: str | None, rules: RequestRules) -> bool:
    """Check that *run*, which enters its environment now, is one that may; whether a request decided it.

    A promotion into an environment whose rules may need votes enters only as the run of a request that was started,
    with exactly its plan. All conditions are checked again. A retry completes what was started. Of a
    rollout the runs of later waves check the conditions of their environment. Raises the code of the first condition
    that does not hold, and A201 without a request. Rollbacks never come here.
    """
    attempts = attempts_of(store, run)
    request = acting.register.reading(partial(_of_run, [run.root, *attempts]))
    if request is None:
        name = run.release.name if run.release is not None else ""
        if run.kind in PROMOTION_KINDS and rules.approvals.govern(name, run.environment):
            raise without_request(name, run)
        return False
    planned = request.plan_in(run.environment)
    if planned is None or planned != plan:
        raise OrchestratorError("A224", f"{run.id} has another plan than its request {request.id}: {planned}")
    if len(attempts) > 1 and request.rollout is None:
        _follow_retry(acting, request, run.id)
    if len(attempts) > 1 or run.environment not in request.first:
        return False

    def work(records: Records) -> Admission:
        view = View(acting, records, access_of(records), acting.now(records))
        return start_admission(view, request.part(run.environment), SYSTEM_ACTOR, rules)

    missing = [found for found in acting.register.reading(work).missing if found.kind not in LATER]
    if missing:
        raise OrchestratorError(missing[0].code, f"{request.id} may not start any more: {reasons(missing)}")
    return True


def _of_run(attempts: list[str], records: Records) -> RunRequest | None:
    """The started request whose run is one of *attempts*."""
    started = [request for request in records.all(REQUESTS, OPEN) if request.state is RequestState.STARTED]
    return next((request for request in started if request.run in attempts), None)


def _follow_retry(acting: Acting, request: RunRequest, run: str) -> None:
    """Record *run*, a retry, as the one that executes the plan of *request*."""

    def work(task: Change) -> None:
        current = task.existing(REQUESTS, request.id)
        if current.run != run:
            task.put(REQUESTS, current.model_copy(update={"run": run}), event="retry", run=run)

    change(acting, Action.PROMOTE, work, environment=request.environment)


def without_request(name: str, run: Run) -> OrchestratorError:
    """The error of *run*, which promotes or rehearses the package *name*, and which no request has started."""
    where, what = run.environment, "rehearse" if run.kind == "rehearsal" else "promote"
    text = f"{run.id} has no approved request, and {where} requires approvals"
    release = f"{name}-{run.release.version}" if run.release is not None else "RELEASE"
    to = "--in" if run.kind == "rehearsal" else "--to"
    return OrchestratorError("A201", text, hint=f"orchestrator {what} {release} {to} {where}")
