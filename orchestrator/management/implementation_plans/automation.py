"""Automated tasks: a worker starts each once, follows what it has requested, and records its end.

A start is recorded with an idempotency key before anything is requested, so that a process that dies in between leaves
a task that the next one continues under the same key.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.app.acting import Acting, Change, change, read_own
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STORE_FAILURES
from orchestrator.domain.moments import Now
from orchestrator.domain.register import OPEN
from orchestrator.domain.text import with_reason
from orchestrator.management.implementation_plans.evidence import EvidenceDraft, with_fitting
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.ports import Execution, Executions
from orchestrator.management.implementation_plans.progress import Step
from orchestrator.management.implementation_plans.records import put_advanced, put_step
from orchestrator.management.implementation_plans.state import UNDER_WAY, PlanState, TaskEvent, TaskState
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.values import filled_fields, missing_values
from orchestrator.register_ports import Records

FOLLOWED = UNDER_WAY
EVENTS = {"done": TaskEvent.COMPLETE, "failed": TaskEvent.FAIL, "needs-help": TaskEvent.REQUEST_HELP}


def automated_tasks(records: Records) -> Iterator[tuple[ImplementationPlan, Task]]:
    """The automated tasks that are to be started or followed, with their plans."""
    for plan in records.all(IMPLEMENTATION_PLANS, OPEN):
        yield from ((plan, task) for task in plan.tasks if task.stopping)
        if plan.state is PlanState.RUNNING:
            for task in plan.tasks:
                begun = task.state in FOLLOWED and bool(task.root)
                if task.kind == "automated" and (begun or task.state is TaskState.READY):
                    yield plan, task


def execute_tasks(executions: Executions, acting: Acting) -> Iterator[str]:
    """Start the automated tasks that are ready, and record what became of others. A phrase for each that changed."""
    for plan, task in acting.register.reading(lambda records: tuple(automated_tasks(records))):
        if task.stopping:
            yield from _stopped(executions, acting, plan, task)
            continue
        current = _started(acting, plan, task) if task.state is TaskState.READY else task
        if current is None or current.has_ended:
            yield f"{plan.id}:{task.name} is {current.state if current else task.state}"
            continue
        found = executions.current(current) if current.followed else _begun(executions, current)
        if found.followed != current.followed or _event(current, found) is not None:
            after = _record(acting, plan.id, current, found)
            yield with_reason(f"{plan.id}:{task.name} is {after.state}", after.note)


def _stopped(executions: Executions, acting: Acting, plan: ImplementationPlan, task: Task) -> Iterator[str]:
    """Have ended what *task* of an aborted plan has started, and record what became of it."""
    note = executions.stop(task, f"{plan.id} was aborted by {task.ended_by}: {plan.note}")
    if note is None:
        return

    def work(change_: Change) -> None:
        current = change_.existing(IMPLEMENTATION_PLANS, plan.id)
        found = current.task(task.name)
        if found is None or not found.stopping:
            return
        text = f"{task.work}: {note}"[:2000]
        told = with_fitting(change_, found, EvidenceDraft((text,))).model_copy(update={"stopping": False})
        change_.put(IMPLEMENTATION_PLANS, current.with_tasks([told]), event="stopped", task=task.name, note=note)

    change(acting, Action.RUN_IMPLEMENTATIONS, work)
    yield f"{plan.id}:{task.name}: {note}"


def _begun(executions: Executions, task: Task) -> Execution:
    """What *task* has requested. What is refused fails it; a database that is away is waited for."""
    if missing := missing_values(task):
        return Execution(ended="failed", note=f"no value that fits was given for {', '.join(missing)}")
    try:
        return executions.begin(task)
    except OrchestratorError as error:
        if error.code in STORE_FAILURES:
            raise
        return Execution(ended="failed", note=f"{error.message} ({error.code})")


def _event(task: Task, found: Execution) -> TaskEvent | None:
    """The event that *found* means for *task*; None if it has it already."""
    event = EVENTS[found.ended] if found.ended is not None else None
    return None if event is TaskEvent.REQUEST_HELP and task.state is TaskState.NEEDS_HELP else event


def _started(acting: Acting, plan: ImplementationPlan, task: Task) -> Task | None:
    """*task* after its start; of a rehearsal after its end, with what it would do. None if it is not ready any more."""

    def work(change_: Change, current: ImplementationPlan, found: Task) -> ImplementationPlan:
        if found.state is not TaskState.READY:
            return current
        at = change_.now.earliest
        begun = {"started_at": at, "root": secrets.token_hex(3), **filled_fields(current, found)}
        after = _moved(change_, current, found, TaskEvent.START, **begun)
        if not current.rehearsal:
            return after
        note = f"rehearsal: it would {(after.task(found.name) or found).work}"
        ended: dict[str, Any] = {"ended_at": at, "ended_by": "system", "note": note, "due_at": None}
        return _moved(change_, after, after.task(found.name) or found, TaskEvent.COMPLETE, note, **ended)

    found = _change(acting, plan.id, task.name, work).task(task.name)
    return found if found is not None and found.state is not TaskState.READY else None


def _record(acting: Acting, key: str, task: Task, found: Execution) -> Task:
    """Write what became of *task*, unless it was started again meanwhile."""

    def work(change_: Change, current: ImplementationPlan, now: Task) -> ImplementationPlan:
        if now.root != task.root or now.state not in FOLLOWED:
            return current
        followed = now.model_copy(update={"followed": found.followed})
        event = _event(now, found)
        if event is None:
            after = current.with_tasks([followed])
            change_.put(IMPLEMENTATION_PLANS, after, event="follow", task=now.name, followed=found.followed)
            return after
        fields: dict[str, Any] = {"note": found.note, "due_at": None}
        if event is TaskEvent.COMPLETE:
            fields |= {"ended_at": change_.now.earliest, "ended_by": "system"}
        return _moved(change_, current.with_tasks([followed]), followed, event, found.note, **fields)

    return _change(acting, key, task.name, work).task(task.name) or task


def _moved(
    change_: Change, plan: ImplementationPlan, task: Task, event: TaskEvent, text: str = "", **fields: Any
) -> ImplementationPlan:
    changed = task.after_event(event, plan.id, **fields)
    return put_step(change_, Step(plan.with_tasks([changed]), event, task.name, text))


def _change(acting: Acting, key: str, name: str, work: Any) -> ImplementationPlan:
    """The plan *key* after *work*, and after everything that is then due."""

    def whole(task: Change) -> ImplementationPlan:
        plan = task.existing(IMPLEMENTATION_PLANS, key)
        found = plan.task(name)
        return put_advanced(task, work(task, plan, found)) if found is not None else plan

    return change(acting, Action.RUN_IMPLEMENTATIONS, whole)


@dataclass
class ExecuteTasks:
    """The scheduler's duty."""

    acting: Acting
    executions: Executions
    name: str = "automated tasks"

    def due(self, now: Now) -> bool:
        """Whether an automated task is to be started or followed."""
        del now
        return read_own(self.acting, lambda view: next(automated_tasks(view.records), None) is not None)

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Start them, and follow them."""
        del now
        return execute_tasks(self.executions, acting)
