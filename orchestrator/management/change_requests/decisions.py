"""Change requests are entered, assessed, decided and ranked here. Each change has an entry in the audit stream."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from orchestrator.app.acting import Acting, Change, View, change
from orchestrator.app.calendar import calendar_of
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.calendar.verdict import Calendar
from orchestrator.domain.drift import Finding
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.domain.text import few, with_reason
from orchestrator.management.change_requests.checks import Surroundings, assessment
from orchestrator.management.change_requests.imports import ChangeImport, Incoming, compare_import
from orchestrator.management.change_requests.model import ChangeDraft, ChangeRequest, RankOverride, Source
from orchestrator.management.change_requests.ports import ChangeSources
from orchestrator.management.change_requests.risk import ChangeFacts, change_risk
from orchestrator.management.change_requests.state import ChangeEvent, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS, imported_before
from orchestrator.management.messages import Subject, notify_once
from orchestrator.management.numbers import next_number

NOUN = "change-request"


@forwarded
def add_change(acting: Acting, draft: ChangeDraft, sources: ChangeSources, *, submit: bool = False) -> ChangeRequest:
    """Enter a draft; with *submit* it is assessed at once."""
    incoming = Incoming(source=Source.CLI, source_ref="", draft=draft)

    def work(task: Change) -> ChangeRequest:
        made = add_incoming(task, incoming, sources)
        return submit_incoming(task, made, sources) if submit else made

    return change(acting, Action.EDIT_REQUESTS, work)


@forwarded
def edit_change(
    acting: Acting, key: str, fields: dict[str, Any], sources: ChangeSources, expected: ChangeRequest | None = None
) -> ChangeRequest:
    """Change *fields* of a draft. Raises A110, and G102 for a request that is not a draft.

    Raises N145 if the request is not as *expected*: another user has changed it since it was read.
    """

    def work(task: Change) -> ChangeRequest:
        request = _own(task, key)
        if expected is not None and request != expected:
            raise OrchestratorError("N145", f"{request.id} has changed since it was read")
        if request.state is not ChangeState.DRAFT:
            hint = f"orchestrator request revise {request.id}" if request.state is ChangeState.ASSESSING else None
            raise OrchestratorError("G102", f"{request.id} is {request.state}, and only drafts change", hint=hint)
        return _edit(task, request, {**_fields(request), **fields}, sources)

    return change(acting, Action.EDIT_REQUESTS, work)


@forwarded
def submit_change(acting: Acting, key: str, sources: ChangeSources) -> ChangeRequest:
    """Have a draft assessed. Raises A110 and G101."""
    return change(acting, Action.EDIT_REQUESTS, lambda task: submit_incoming(task, _own(task, key), sources))


@forwarded
def revise_change(acting: Acting, key: str, reason: str = "") -> ChangeRequest:
    """Make a request that is assessed a draft again, to correct it. Raises A110 and G101."""

    def work(task: Change) -> ChangeRequest:
        request = _own(task, key)
        after = request.after(ChangeEvent.REVISE, note=reason, checks=())
        return _move(task, request, after, ChangeEvent.REVISE)

    return change(acting, Action.EDIT_REQUESTS, work, reason=reason)


@forwarded
def withdraw_change(acting: Acting, key: str, reason: str = "") -> ChangeRequest:
    """End a request that is not planned. Raises A110 and G101."""

    def work(task: Change) -> ChangeRequest:
        return _decide(task, _own(task, key), ChangeEvent.WITHDRAW, reason)

    return change(acting, Action.EDIT_REQUESTS, work, reason=reason)


@forwarded
def accept_change(acting: Acting, key: str, sources: ChangeSources, reason: str = "") -> ChangeRequest:
    """Accept a request. Its checks run again, and G103 is raised unless each of them holds."""

    def work(task: Change) -> ChangeRequest:
        request = task.existing(CHANGE_REQUESTS, key)
        after = request.after(ChangeEvent.ACCEPT)
        checked = _assessed(task, request, sources)
        if checked.failing:
            why = "; ".join(f"{check.name}: {check.text}" for check in checked.failing)
            raise OrchestratorError("G103", f"the assessment of {request.id} is not clean: {why}")
        return _decide(task, checked, ChangeEvent.ACCEPT, reason, after=after)

    return change(acting, Action.DECIDE_REQUESTS, work, reason=reason)


@forwarded
def reject_change(acting: Acting, key: str, reason: str) -> ChangeRequest:
    """Reject a request, with a *reason*. Raises A110 and G101."""

    def work(task: Change) -> ChangeRequest:
        return _decide(task, task.existing(CHANGE_REQUESTS, key), ChangeEvent.REJECT, reason)

    return change(acting, Action.DECIDE_REQUESTS, work, reason=reason)


@forwarded
def defer_change(acting: Acting, key: str, reason: str, until: datetime | None = None) -> ChangeRequest:
    """Defer a request: it is assessed again at *until*, or when it is reopened. Raises A110 and G101."""

    def work(task: Change) -> ChangeRequest:
        return _decide(task, task.existing(CHANGE_REQUESTS, key), ChangeEvent.DEFER, reason, until=until)

    return change(acting, Action.DECIDE_REQUESTS, work, reason=reason)


@forwarded
def reopen_change(acting: Acting, key: str, sources: ChangeSources, reason: str = "") -> ChangeRequest:
    """Assess a deferred request again. Raises A110 and G101."""

    def work(task: Change) -> ChangeRequest:
        return _reopen(task, task.existing(CHANGE_REQUESTS, key), sources, reason)

    return change(acting, Action.DECIDE_REQUESTS, work, reason=reason)


@forwarded
def close_change(acting: Acting, key: str, reason: str = "") -> ChangeRequest:
    """Close a request that was released. Raises A110 and G101."""

    def work(task: Change) -> ChangeRequest:
        return _decide(task, task.existing(CHANGE_REQUESTS, key), ChangeEvent.CLOSE, reason)

    return change(acting, Action.DECIDE_REQUESTS, work, reason=reason)


@forwarded
def override_rank(acting: Acting, key: str, rank: float | None, reason: str = "") -> ChangeRequest:
    """Set the rank of an open request by hand; None: the formula counts again. Raises A110 and G102."""

    def work(task: Change) -> ChangeRequest:
        request = task.existing(CHANGE_REQUESTS, key)
        if request.has_ended:
            raise OrchestratorError("G102", f"{request.id} is {request.state}, and its rank does not change any more")
        by, at = str(task.acting.actor), task.now.earliest
        override = None if rank is None else RankOverride(rank=rank, by=by, at=at, reason=reason)
        why = f"set to {rank:.2f} by {by}: {reason}" if rank is not None else f"by the formula again, by {by}"
        ranked = request.ranked(at, why, override=override)
        return task.put(CHANGE_REQUESTS, ranked, event="rank", rank=f"{ranked.rank:.2f}")

    return change(acting, Action.DECIDE_REQUESTS, work, reason=reason)


@forwarded
def import_changes(acting: Acting, incoming: Iterable[Incoming], sources: ChangeSources) -> ChangeImport:
    """Add what is new, and change drafts. The same import again changes nothing."""
    drafts = tuple(incoming)

    def work(task: Change) -> ChangeImport:
        found = compare_import(imported_before(task.records, drafts), drafts)
        for each in found.added:
            add_incoming(task, each, sources)
        for request, each in found.changed:
            _edit(task, _own(task, request.id), each.draft.to_json(), sources)
        if not (found.added or found.changed):
            task.record(f"project:{task.acting.project}", detail={"imported": 0})
        return found

    return change(acting, Action.EDIT_REQUESTS, work)


# -- parts, also for the duties of the system --------------------------------------------------------------------------


def follow_release(task: Change, key: str, event: ChangeEvent, release: str, reason: str) -> ChangeRequest:
    """The request *key* after *event* of the planned release *release*, which contains it. Raises A110 and G101."""
    request = task.existing(CHANGE_REQUESTS, key)
    after = request.after(event, release="" if event is ChangeEvent.UNPLAN else release)
    about = {"note": reason, "until": None, "decided_by": str(task.acting.actor), "decided_at": task.now.earliest}
    return _move(task, request, after.model_copy(update=about), event)


def resolve_change(task: Change, request: ChangeRequest, reason: str) -> ChangeRequest:
    """Close a *request* because what it is about no longer exists. Raises G101."""
    return _decide(task, request, ChangeEvent.RESOLVE, reason)


def recomputed(view: View, request: ChangeRequest, facts: ChangeFacts, sources: ChangeSources) -> ChangeRequest:
    """*request* by the current *facts*: its rank, and while it is assessed its checks."""
    after = request.ranked(view.now.earliest, _why_moved(request, facts), facts=facts)
    return _assessed(view, after, sources) if after.state is ChangeState.ASSESSING else after


def recompute(task: Change, key: str, facts: ChangeFacts, sources: ChangeSources) -> ChangeRequest:
    """The request *key* by the current facts, or assessed again after the end of its deferral."""
    request = task.existing(CHANGE_REQUESTS, key)
    if is_over(request, task.now):
        return _reopen(task, request, sources, "the deferral has ended")
    after = recomputed(task, request, facts, sources)
    moved = {"rank": f"{after.rank:.2f}", "risk": after.risk.risk, "failing": len(after.failing)}
    return task.put(CHANGE_REQUESTS, after, event="facts", **moved) if after != request else request


def is_over(request: ChangeRequest, now: Now) -> bool:
    """Whether the deferral of *request* has ended."""
    return request.state is ChangeState.DEFERRED and request.until is not None and now.has_reached(request.until)


def _fields(request: ChangeRequest) -> dict[str, Any]:
    return {name: value for name, value in request.to_json().items() if name in ChangeDraft.model_fields}


def _own(task: Change, key: str) -> ChangeRequest:
    """A request that the actor may change: their own, or with the right to decide any."""
    request = task.existing(CHANGE_REQUESTS, key)
    if request.reporter != str(task.acting.actor):
        task.require(Action.DECIDE_REQUESTS)
    return request


def add_incoming(
    task: Change, incoming: Incoming, sources: ChangeSources, findings: tuple[Finding, ...] = ()
) -> ChangeRequest:
    """Add the draft of *incoming*, with the *findings* that it is about."""
    now = task.now.earliest
    made = ChangeRequest.from_json(
        {
            **incoming.draft.to_json(),
            "number": next_number(task.records, NOUN),
            "reporter": str(task.acting.actor),
            "created_at": now.isoformat(),
            "source": incoming.source.value,
            "source_ref": incoming.source_ref,
            "findings": [each.to_json() for each in findings],
        }
    )
    ranked = made.ranked(now, "entered", facts=sources.change_facts(made.packages, made.environments))
    return task.put(CHANGE_REQUESTS, ranked, event="add", source=incoming.source.value)


def _edit(task: Change, request: ChangeRequest, fields: dict[str, Any], sources: ChangeSources) -> ChangeRequest:
    draft = ChangeDraft.from_json(fields)
    changed = {name: getattr(draft, name) for name in ChangeDraft.model_fields}
    names = [name for name, value in changed.items() if value != getattr(request, name)]
    facts = sources.change_facts(draft.packages, draft.environments)
    why = f"changed: {few(names)}"
    return task.put(CHANGE_REQUESTS, request.ranked(task.now.earliest, why, facts=facts, **changed), event="edit")


def submit_incoming(task: Change, request: ChangeRequest, sources: ChangeSources) -> ChangeRequest:
    """Have a draft assessed. Raises G101."""
    return _move(task, request, _assessed(task, request.after(ChangeEvent.SUBMIT), sources), ChangeEvent.SUBMIT)


def _reopen(task: Change, request: ChangeRequest, sources: ChangeSources, reason: str) -> ChangeRequest:
    after = request.after(ChangeEvent.REOPEN, note=reason, until=None)
    return _move(task, request, _assessed(task, after, sources), ChangeEvent.REOPEN)


def _decide(
    task: Change,
    request: ChangeRequest,
    event: ChangeEvent,
    reason: str,
    *,
    until: datetime | None = None,
    after: ChangeRequest | None = None,
) -> ChangeRequest:
    decided = request.model_copy(update={"state": after.state}) if after is not None else request.after(event)
    about = {"note": reason, "until": until, "decided_by": str(task.acting.actor), "decided_at": task.now.earliest}
    return _move(task, request, decided.model_copy(update=about), event)


def _move(task: Change, before: ChangeRequest, after: ChangeRequest, event: ChangeEvent) -> ChangeRequest:
    """Write *after*, with the event in the audit stream and one message to the reporter, unless that is the actor."""
    actor = str(task.acting.actor)
    done = task.put(CHANGE_REQUESTS, after, event=event.value, was=before.state.value, state=after.state.value)
    number, state = task.records.version(CHANGE_REQUESTS, after.id), after.state.value
    text = with_reason(f"{after.id} '{after.title}' is {state} by {actor}", after.note)
    notify_once(task, [after.reporter], Subject(NOUN, after.id, number, f"/change-requests/{after.id}", state), text)
    return done


def _assessed(view: View, request: ChangeRequest, sources: ChangeSources) -> ChangeRequest:
    """*request* with the current results of its checks."""
    dated = request.due is not None
    calendar = calendar_of(view, sources.declared_rules(), request.environments) if dated else Calendar()
    found = Surroundings(view.acting.environments, sources.known_packages(), calendar)
    return request.model_copy(update={"checks": assessment(request, found, view.now)})


def _why_moved(request: ChangeRequest, facts: ChangeFacts) -> str:
    """The lines of the risk that differ, as the reason of a move."""
    after = change_risk(facts)
    lines = [str(new) for old, new in zip(request.risk.lines, after.lines, strict=True) if old != new]
    return "; ".join(lines) or "its facts changed"
