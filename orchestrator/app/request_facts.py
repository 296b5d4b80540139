"""What run requests are decided by: the votes, the calendar, the reviews and the rules of the project's files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial, reduce

from orchestrator.app.acting import OBJECTS, Acting, Change, View, read_own, unknown
from orchestrator.app.admission import Promotion, facts_at
from orchestrator.app.voters import directory_of, votes_of
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.admission.conditions import Admission, ConditionKind, merged_admission
from orchestrator.domain.admission.may_start import AdmissionFacts, PathFacts, may_start, start_of, subject_of
from orchestrator.domain.approval.policy import ApprovalRules, Requirement, stricter
from orchestrator.domain.approval.request_state import RequestEvent, RequestState
from orchestrator.domain.approval.requests import RunRequest, due_moves
from orchestrator.domain.approval.votes import ApprovalVerdict, approval_everywhere, satisfied
from orchestrator.domain.calendar.fit import Estimate
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import QueueEntry, Run
from orchestrator.domain.notifications import Fact
from orchestrator.domain.register import ENDED, OPEN, OUTBOX, REQUESTS, Message
from orchestrator.domain.risk.kinds import ChangeKind
from orchestrator.domain.text import with_reason
from orchestrator.planning.admission import approval_rules
from orchestrator.planning.durations import estimated_by_ref
from orchestrator.planning.path_facts import path_facts_of_record
from orchestrator.ports.lists import queue_of
from orchestrator.register_ports import Records
from orchestrator.services import Services

MOST_NAMES = 200  # requests from which the nearest name is chosen, and those that are compared with a run
NEAR = 50  # requests just before a run that are compared with it; a page of each run reads others
LAST_KEY = "~"  # after the id of every request
OF_WAVE = frozenset(ConditionKind) - {
    ConditionKind.RIGHT,
    ConditionKind.APPROVAL,
    ConditionKind.SEPARATION,
    ConditionKind.REVIEW,
}
"""The conditions that a run in a later wave checks when its wave has started."""
OF_PROMOTIONS = frozenset(
    {
        ConditionKind.PATH,
        ConditionKind.ROLLED_BACK,
        ConditionKind.SUPERSEDED,
        ConditionKind.REHEARSAL,
        ConditionKind.FIT,
    }
)
"""The conditions that a rehearsal does not have."""


@dataclass(frozen=True)
class RequestRules:
    """What a project brings to every decision about its requests, besides the register.

    *approvals* and *declared* (windows and freezes) come from its files. *path* gives what the journal shows about a
    request, *estimate* how long its run will take.
    """

    approvals: ApprovalRules = field(default_factory=ApprovalRules)
    declared: tuple[CalendarRule, ...] = ()
    path: Callable[[RunRequest], PathFacts] = lambda _request: PathFacts()
    estimate: Callable[[RunRequest], Estimate] | None = None


def project_rules(services: Services, declared: tuple[CalendarRule, ...]) -> RequestRules:
    """The rules of the project of *services*, with the calendar entries that its files have *declared*."""

    def path(request: RunRequest) -> PathFacts:
        found = path_facts_of_record(
            services, request.release, request.environment, allow_rolled_back=bool(request.allow_rolled_back)
        )
        return found if found.lease else replace(found, lease=_run_before(services, request))

    def estimate(request: RunRequest) -> Estimate:
        return estimated_by_ref(services, request.release, request.environment)

    return RequestRules(approval_rules(services), declared, path, estimate)


def _run_before(services: Services, request: RunRequest) -> str:
    """The run that waits for the environment of *request*, which would wait behind it; empty if none does.

    A release of the same name takes the place of those that wait, if its environment has that, and an emergency waits
    with them.
    """
    if request.environment not in services.environments or request.kind is ChangeKind.EMERGENCY:
        return ""
    supersede = services.environments[request.environment][0].queue.supersede
    waiting = (each for each in queue_of(services.store, request.environment) if each.superseded_by is None)
    others = (each for each in waiting if each.run not in {request.id, request.run})
    first = next((each for each in others if not (supersede and _has_name(each, request.name))), None)
    return f"run {first.run} by {first.by} waits for it" if first is not None else ""


def _has_name(entry: QueueEntry, name: str) -> bool:
    return entry.release is not None and entry.release.name == name


def approval_of(view: View, request: RunRequest) -> ApprovalVerdict:
    """Whether the plan of *request* is currently approved."""
    votes = votes_of(view.records, request)
    directory = directory_of(view, request, votes)
    found = [satisfied(part.requirement, votes, subject_of(part), directory, view.now) for part in request.parts]
    return found[0] if request.rollout is None else approval_everywhere(found)


def start_admission(view: View, request: RunRequest, actor: Actor, rules: RequestRules) -> Admission:
    """Every condition for *actor* to start *request* at this time.

    Of a rollout all conditions of the first wave, and rights and votes of the others, whose runs check the rest.
    """
    found: dict[str, Admission] = {}
    for part in request.parts:
        admission = may_start(part, actor, start_facts(view, part, rules), view.now)
        place = part.environment
        ignored = OF_PROMOTIONS if part.rehearsal else frozenset() if place in request.first else OF_WAVE
        kept = tuple(condition for condition in admission.conditions if condition.kind not in ignored)
        found[place] = replace(admission, conditions=kept, opens=admission.opens if place in request.first else None)
    return found[request.environment] if request.rollout is None else merged_admission(found)


def start_facts(view: View, request: RunRequest, rules: RequestRules) -> AdmissionFacts:
    """Everything that the start of *request* is decided by."""
    measure = rules.estimate
    promotion = Promotion(
        request.environment,
        request.release,
        path=rules.path(request),
        estimate=partial(measure, request) if measure is not None else None,
        declared=rules.declared,
        overrun=bool(request.overrun),
    )
    return facts_at(view, promotion, start_of(request), request.requested_by)


def find_request(records: Records, wanted: str) -> RunRequest:
    """The request with the id *wanted*, or the only one whose id starts with it. Raises A110 and R102."""
    exact = records.get(REQUESTS, wanted)
    if exact is not None:
        return exact
    found = _named(records, wanted) if wanted else []
    if len(found) > 1:
        names = ", ".join(request.id for request in found[:6])
        raise OrchestratorError("R102", f"{wanted!r} fits {len(found)} run requests: {names}")
    if not found:
        newest = records.page(REQUESTS, newest_first=True, limit=MOST_NAMES).items
        raise unknown(f"{OBJECTS[REQUESTS.name]} request", wanted, [request.id for request in newest])
    return found[0]


def _named(records: Records, wanted: str) -> list[RunRequest]:
    """The requests whose ids start with *wanted*, or that the run *wanted* executes.

    A run that a request got later has another id. Of the requests that have ended only the newest are compared with it:
    for an unknown id the whole history would be read.
    """
    found = {request.id: request for request in records.page(REQUESTS, prefix=wanted, limit=MOST_NAMES).items}
    found |= {request.id: request for request in records.all(REQUESTS, OPEN) if request.run == wanted}
    if found:
        return list(found.values())
    renamed = renamed_requests(records).get(wanted)
    return [] if renamed is None else [renamed]


def renamed_requests(records: Records, until: str = "") -> dict[str, RunRequest]:
    """The newest requests by their runs: the run of a request that got a new plan has a name of its own.

    With a moment *until*, as `moment_text` has it, these are the last `NEAR` requests that are not newer.
    """
    cursor = f"{until} {LAST_KEY}" if until else None
    newest = records.page(
        REQUESTS, [OPEN, ENDED], newest_first=True, cursor=cursor, limit=NEAR if until else MOST_NAMES
    ).items
    return {request.run: request for request in reversed(newest) if request.run}


def request_of_run(
    records: Records, run: str, root: str = "", renamed: Mapping[str, RunRequest] | None = None
) -> RunRequest | None:
    """The request that *run* executes, or whose rollout has the *root*; None without one.

    *renamed* are the `renamed_requests`, for a caller with many runs.
    """
    for key in (run, root):
        found = records.get(REQUESTS, key) if key else None
        if found is not None:
            return found
    return (renamed_requests(records) if renamed is None else renamed).get(run)


def request_id_of(acting: Acting, run: Run) -> str | None:
    """The id of the request that *run* executes itself; None without one. Few requests are read.

    A request is older than its run. So the run that a request got later is compared with the requests before the run.
    """

    def work(records: Records) -> RunRequest | None:
        started = (request for request in records.all(REQUESTS, OPEN) if request.run == run.id)
        return (
            records.get(REQUESTS, run.id)
            or next(started, None)
            or renamed_requests(records, run.requested_at).get(run.id)
        )

    found = acting.register.reading(work)
    return found.id if found is not None else None


def request_of(acting: Acting, wanted: str) -> RunRequest:
    """The request *wanted*, for a change with a right of its own. Raises A110, or A101 if the actor may view none."""

    def work(view: View) -> RunRequest:
        try:
            return find_request(view.records, wanted)
        except OrchestratorError:
            view.require(Action.VIEW)
            raise

    return read_own(acting, work)


def make_move(task: Change, request: RunRequest, event: RequestEvent, note: str = "") -> RunRequest:
    """Write *request* after *event*, with why. Users are notified of its end, and of votes that are missing."""
    moved = task.put(REQUESTS, request.after(event, note), event=event.value, plan=request.plan)
    if event in ENDS and moved.requester != str(task.acting.actor):
        text = with_reason(f"the promotion of {moved.release} to {moved.environment} is {moved.state}", moved.note)
        _notify(task, moved, f"request.{moved.state}", "", text)
    if event is RequestEvent.LAPSE:
        notify_approvers(task, moved)
    return moved


ENDS = frozenset({RequestEvent.REJECT, RequestEvent.EXPIRE, RequestEvent.SUPERSEDE, RequestEvent.WITHDRAW})
"""The ends of a request before it has a run: the end of a run is a fact of its own."""


REMIND_AFTER = timedelta(hours=24)
"""After which users are reminded of a vote."""


def notify_approvers(task: Change, request: RunRequest) -> None:
    """Notify each user who could give a vote that *request*, which now waits for votes, lacks."""
    if request.state is not RequestState.WAITING:
        return
    text = f"{request.release} needs your approval for {request.environment}, requested by {request.requester}"
    for user in approval_of(task, request).could:
        _notify(task, request, "approval.needed", user, text)


def waits_long(view: View) -> list[RunRequest]:
    """The requests that wait for votes, and were not changed for `REMIND_AFTER`; no rehearsals."""
    since = view.now.earliest - REMIND_AFTER
    found = [each for each in view.records.all(REQUESTS, OPEN) if each.state is RequestState.WAITING]
    found = [each for each in found if not each.rehearsal and each.requested_at <= since]
    changed = {each.id for each in view.records.written_since(REQUESTS, since)} if found else set()
    return [each for each in found if each.id not in changed and _unreminded(view, each)]


def remind_approvers(task: Change, request: RunRequest) -> tuple[str, ...]:
    """Notify each user who could give a vote that *request* still lacks, once for each of its versions. These users."""
    text = f"{request.release} still needs your approval for {request.environment}, requested by {request.requester}"
    users = _unreminded(task, request)
    for user in users:
        message = Message(
            dedup=_reminder(task, request, user),
            at=task.now.earliest,
            to=user,
            kind="approval",
            environment=request.environment,
            text=text,
            by=request.requester,
            object_state=request.state.value,
            path=f"/requests/{request.id}",
        )
        task.put(OUTBOX, message)
    return users


def _unreminded(view: View, request: RunRequest) -> tuple[str, ...]:
    """The users who could give a vote that *request* lacks, and were not reminded of that."""
    could = approval_of(view, request).could
    return tuple(user for user in could if view.records.get(OUTBOX, _reminder(view, request, user)) is None)


def _reminder(view: View, request: RunRequest, user: str) -> str:
    """What identifies the message about this version of *request*."""
    return f"{request.id} {view.records.version(REQUESTS, request.id)} approval {user}"


def _notify(task: Change, request: RunRequest, kind: str, to: str, text: str) -> None:
    """One fact about this version of *request*; none of a rehearsal."""
    if request.rehearsal:
        return
    version = task.records.version(REQUESTS, request.id)
    task.notify(
        Fact(
            id=f"request {request.id} {version} {kind} {to}".strip(),
            kind=kind,
            at=task.now.earliest,
            about=request.id,
            environment=request.environment,
            to=to,
            by=request.requester,
            text=text,
            state=request.state.value,
            cause=request.note,
            path=f"/requests/{request.id}",
        )
    )


NOTES = {
    RequestEvent.EXPIRE: "it was not started within 90 days",
    RequestEvent.LAPSE: "an approval no longer counts",
}


def advance(task: Change, request: RunRequest, rules: RequestRules) -> RunRequest:
    """Make the moves of *request* that are due: expired, rejected, approved, or not approved any more.

    Rules that have become stricter since the request was recorded count from now on.
    """
    if request.has_ended:
        return request
    needed = {part.environment: _current(part, rules) for part in request.parts}
    if any(not _is_same(needed[part.environment], part.requirement) for part in request.parts):
        changed = {**_required(request, needed), "note": "the rules of the project require more approvals"}
        request = task.put(REQUESTS, request.model_copy(update=changed), event="requirement")
    for _ in range(len(RequestEvent)):
        verdict = approval_of(task, request)
        event = next(due_moves(request, verdict, task.now), None)
        if event is None:
            break
        request = make_move(task, request, event, NOTES.get(event, verdict.reason))
    return request


def _current(part: RunRequest, rules: RequestRules) -> Requirement:
    now = rules.approvals.requirement(part.name, part.environment, part.level, part.kind)
    return stricter(part.requirement, now)


def _is_same(needed: Requirement, recorded: Requirement) -> bool:
    return needed.model_copy(update={"rules": recorded.rules}) == recorded


def _required(request: RunRequest, needed: dict[str, Requirement]) -> dict[str, object]:
    """What *request* is changed to, by the requirements of its environments."""
    if request.rollout is None:
        return {"requirement": needed[request.environment]}
    rollout = request.rollout.model_copy(update={"requirements": needed})
    return {"requirement": reduce(stricter, needed.values()), "rollout": rollout}
