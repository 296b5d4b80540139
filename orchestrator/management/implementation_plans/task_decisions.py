"""What users record of tasks: start, end, help, decisions. The owner needs no right; others need one and a reason."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.app.acting import Acting, Change, View, change, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.implementation_plans.decisions import put_aborted, require_reason
from orchestrator.management.implementation_plans.evidence import NO_EVIDENCE, EvidenceDraft, with_evidence
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.progress import Step, missing_of
from orchestrator.management.implementation_plans.records import doers, outside_state, put_advanced, put_step
from orchestrator.management.implementation_plans.state import PlanState, TaskEvent, TaskState
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.values import filled_fields, given_values

NO_INPUTS: Mapping[str, Any] = {}
Work = Callable[[Change, ImplementationPlan, Task], ImplementationPlan]


@forwarded
def begin_task(acting: Acting, key: str, name: str, reason: str = "") -> ImplementationPlan:
    """Record the start of a task, or that it continues after it needed help. Raises A101, A110, G101, G403 and G404."""

    def work(task: Change, plan: ImplementationPlan, found: Task) -> ImplementationPlan:
        check_ready(task, plan, found)
        _check_kind(plan, found, "manual", "decision")
        if found.state is TaskState.NEEDS_HELP:
            return _moved(task, plan, found, TaskEvent.RESUME, **found.waits_from(task.now.earliest), note=reason)
        begun = {"started_at": task.now.earliest, **filled_fields(plan, found)}
        return _moved(task, plan, found, TaskEvent.START, **begun)

    return change_task(key, acting, name, work, reason)


@forwarded
def complete_task(
    acting: Acting,
    key: str,
    name: str,
    reason: str = "",
    evidence: EvidenceDraft = NO_EVIDENCE,
    inputs: Mapping[str, Any] = NO_INPUTS,
) -> ImplementationPlan:
    """Record that a manual task is done, with *evidence* and *inputs*. Raises A101, A110, G101, G403 to G405 and G408.

    A task that failed, or that belongs to another user, is completed with a reason.
    """

    def work(task: Change, plan: ImplementationPlan, found: Task) -> ImplementationPlan:
        check_ready(task, plan, found)
        _check_kind(plan, found, "manual")
        if found.state is TaskState.FAILED:
            require_reason(reason, f"{plan.id}:{name} has failed, and is completed")
        valued = found.model_copy(update={"values": given_values(plan.id, found, inputs)})
        return _ended(task, plan, valued, TaskEvent.COMPLETE, reason, evidence)

    return change_task(key, acting, name, work, reason)


@forwarded
def fail_task(
    acting: Acting, key: str, name: str, reason: str, evidence: EvidenceDraft = NO_EVIDENCE
) -> ImplementationPlan:
    """Record that a task failed: nothing that comes after it starts. Raises A101, A110, G101, G403, G404 and G405."""

    def work(task: Change, plan: ImplementationPlan, found: Task) -> ImplementationPlan:
        check_ready(task, plan, found)
        _check_kind(plan, found, "manual")
        require_reason(reason, f"{plan.id}:{name} failed")
        added = with_evidence(task, found, evidence)
        return _moved(task, plan, added, TaskEvent.FAIL, reason, note=reason, due_at=None)

    return change_task(key, acting, name, work, reason)


@forwarded
def retry_task(acting: Acting, key: str, name: str, reason: str = "") -> ImplementationPlan:
    """Make a task that failed ready again. Raises A101, A110, G101 and G403."""

    def work(task: Change, plan: ImplementationPlan, found: Task) -> ImplementationPlan:
        at = task.now.earliest
        fresh = {
            "ready_at": at,
            "started_at": None,
            "ended_at": None,
            "ended_by": "",
            "note": reason,
            "root": "",
            "followed": "",
            "machine": "",
            **filled_fields(plan, found),
        }
        return _moved(task, plan, found, TaskEvent.RETRY, reason, **fresh, **found.waits_from(at))

    return change_task(key, acting, name, work, reason)


@forwarded
def skip_task(acting: Acting, key: str, name: str, reason: str) -> ImplementationPlan:
    """Skip a task: what comes after it starts. It always needs a reason. Raises A101, A110, G101 and G403."""

    def work(task: Change, plan: ImplementationPlan, found: Task) -> ImplementationPlan:
        require_reason(reason, f"{plan.id}:{name} is skipped")
        if found.state in {TaskState.IN_PROGRESS, TaskState.NEEDS_HELP}:
            _check_kind(plan, found, "manual", "decision")
        return _ended(task, plan, found, TaskEvent.SKIP, reason, NO_EVIDENCE)

    return change_task(key, acting, name, work, reason)


@forwarded
def request_help(acting: Acting, key: str, name: str, reason: str = "") -> ImplementationPlan:
    """Record that a task needs help, which notifies its users and the owner of the plan. Its timeout stops.

    Every user who sees the plan may do that. Raises A101, A110, G101 and G404.
    """

    def work(task: Change) -> ImplementationPlan:
        plan, found = find_task(task, key, name)
        check_ready(task, plan, found)
        return _moved(task, plan, found, TaskEvent.REQUEST_HELP, reason, note=reason, due_at=None)

    return change(acting, Action.RUN_IMPLEMENTATIONS, work, reason=reason, unless=sees)


@forwarded
def decide_task(
    acting: Acting,
    key: str,
    name: str,
    *,
    go: bool,
    reason: str = "",
    evidence: EvidenceDraft = NO_EVIDENCE,
    inputs: Mapping[str, Any] = NO_INPUTS,
) -> ImplementationPlan:
    """Decide a task *go*, with *inputs*, or no-go, which needs a reason and aborts the plan.

    Raises A101, A110, G101, G403, G404, G405 and G408.
    """

    def work(task: Change, plan: ImplementationPlan, found: Task) -> ImplementationPlan:
        check_ready(task, plan, found)
        _check_kind(plan, found, "decision")
        if go:
            valued = found.model_copy(update={"values": given_values(plan.id, found, inputs)})
            return _ended(task, plan, valued, TaskEvent.GO, reason, evidence)
        require_reason(reason, f"{plan.id}:{name} is decided no-go")
        done = _ended(task, plan, found, TaskEvent.NO_GO, reason, evidence)
        return put_aborted(task, done, f"{name}: no-go: {reason}")

    return change_task(key, acting, name, work, reason)


@forwarded
def add_evidence(acting: Acting, key: str, name: str, evidence: EvidenceDraft) -> ImplementationPlan:
    """Add evidence to a task, also to one that has ended. Raises A101, A110 and G406."""

    def work(task: Change) -> ImplementationPlan:
        plan, found = find_task(task, key, name)
        after = plan.with_tasks([with_evidence(task, found, evidence)])
        task.put(IMPLEMENTATION_PLANS, after, event="evidence", task=name, state=after.state.value)
        return after

    return change(acting, Action.RUN_IMPLEMENTATIONS, work, unless=lambda view: is_doer(view, key, name))


# -- parts -------------------------------------------------------------------------------------------------------------


def change_task(key: str, acting: Acting, name: str, work: Work, reason: str) -> ImplementationPlan:
    """The plan *key* after *work* on its task *name*, and after everything that is then due."""

    def whole(task: Change) -> ImplementationPlan:
        plan, found = find_task(task, key, name)
        if not is_doer(task, key, name):
            mine = f"group {found.group}" if found.group else plan.owner_of(found)
            require_reason(reason, f"{plan.id}:{name} is a task of {mine}")
        return put_advanced(task, work(task, plan, found))

    return change(
        acting, Action.RUN_IMPLEMENTATIONS, whole, reason=reason, unless=lambda view: is_doer(view, key, name)
    )


def find_task(view: View, key: str, name: str) -> tuple[ImplementationPlan, Task]:
    """The plan *key* and its task *name*. Raises A110."""
    plan = view.existing(IMPLEMENTATION_PLANS, key)
    found = plan.task(name)
    if found is None:
        raise unknown("task", name, [task.name for task in plan.tasks])
    return plan, found


def is_doer(view: View, key: str, name: str) -> bool:
    """Whether the actor does the task: as its owner, or as a member of its group."""
    plan = view.records.get(IMPLEMENTATION_PLANS, key)
    found = plan.task(name) if plan is not None else None
    return plan is not None and found is not None and str(view.acting.actor) in doers(view, plan, found)


def sees(view: View) -> bool:
    """Whether the actor may see the plans of the project."""
    return any(view.verdict(Action.VIEW, place).allowed for place in (None, *view.acting.environments))


def check_ready(view: View, plan: ImplementationPlan, task: Task) -> None:
    """Raise G404 if *task* waits for other tasks, or its plan for its start."""
    if plan.state is PlanState.SCHEDULED:
        raise OrchestratorError("G404", f"{plan.id} has not started")
    if task.state is TaskState.PENDING:
        missing = missing_of(plan, task, lambda key: outside_state(view, key)[0])
        waits = ", ".join(missing) or "its start time"
        raise OrchestratorError("G404", f"{plan.id}:{task.name} waits for {waits}")


def _check_kind(plan: ImplementationPlan, task: Task, *kinds: str) -> None:
    """Raise G405 unless users do with *task* what they do with one of these *kinds*. What failed, any user ends."""
    if task.kind not in kinds and not (task.kind == "automated" and task.state is TaskState.FAILED):
        ways = {
            "decision": "orchestrator implementation decide",
            "manual": "orchestrator implementation done",
            "automated": f"a worker ends it with {task.followed}" if task.followed else "a worker starts it",
        }
        text = f"{plan.id}:{task.name} is a {task.kind} task"
        raise OrchestratorError("G405", text, hint=ways[task.kind])


def _moved(
    task: Change, plan: ImplementationPlan, found: Task, event: TaskEvent, text: str = "", **fields: Any
) -> ImplementationPlan:
    changed = found.after_event(event, plan.id, **fields)
    return put_step(task, Step(plan.with_tasks([changed]), event, found.name, text))


def _ended(
    task: Change, plan: ImplementationPlan, found: Task, event: TaskEvent, reason: str, evidence: EvidenceDraft
) -> ImplementationPlan:
    at = task.now.earliest
    ended = {"ended_at": at, "ended_by": str(task.acting.actor), "note": reason, "due_at": None}
    started = {"started_at": found.started_at or at} if event is not TaskEvent.SKIP else {}
    return _moved(task, plan, with_evidence(task, found, evidence), event, reason, **started, **ended)
