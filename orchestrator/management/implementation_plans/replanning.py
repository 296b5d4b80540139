"""Use cases that change the tasks of a plan, also while it runs. What has ended does not change."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from orchestrator.app.acting import Acting, Change, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import OnTimeout
from orchestrator.domain.model import first_fault
from orchestrator.management.implementation_plans.decisions import change_plan
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.progress import Step
from orchestrator.management.implementation_plans.records import check_plan, outside_of, put_step
from orchestrator.management.implementation_plans.state import UNDER_WAY, PlanEvent, PlanState, TaskState
from orchestrator.management.implementation_plans.times import replanned_times


@dataclass(frozen=True)
class TaskChange:
    """What changes of a task; None: it stays. Times are in seconds; a *timeout_s* of 0 removes the timeout.

    *inputs* is the JSON Schema of the inputs; an empty one removes them.
    """

    title: str | None = None
    instructions: str | None = None
    owner: str | None = None
    group: str | None = None
    after: tuple[str, ...] | None = None
    start: datetime | None = None
    duration_s: float | None = None
    timeout_s: float | None = None
    on_timeout: OnTimeout | None = None
    inputs: dict[str, Any] | None = None


@dataclass(frozen=True)
class PlanChange:
    """What changes of a plan; None: it stays. *start* is its start, and an empty *release* removes the release."""

    title: str | None = None
    owner: str | None = None
    release: str | None = None
    start: datetime | None = None


@forwarded
def replan_plan(acting: Acting, key: str, wanted: PlanChange, reason: str = "") -> ImplementationPlan:
    """Change a plan that has not ended. A new start moves every task. Raises A110, G101, and G407 after its start."""

    def work(task: Change, plan: ImplementationPlan) -> ImplementationPlan:
        given = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
        changed = {name: value for name, value in given.items() if value is not None}
        start = changed.pop("start", None)
        if start is not None and plan.state is not PlanState.SCHEDULED:
            raise OrchestratorError("G407", f"{plan.id} has started: re-plan its tasks")
        after = _changed(plan.after_event(PlanEvent.REPLAN), changed)
        after = _started_at(after, start) if start is not None else after
        check_plan(task, after)
        timed = replanned_times(after, task.now.earliest, outside_of(task, after))
        names = [*changed, *(["start"] if start is not None else [])]
        return put_step(task, Step(timed, PlanEvent.REPLAN, note=reason), fields=names)

    return change_plan(key, acting, work, reason)


def _changed(plan: ImplementationPlan, fields_: dict[str, Any]) -> ImplementationPlan:
    try:
        return ImplementationPlan.model_validate({**dict(plan), **fields_})
    except ValidationError as error:
        raise OrchestratorError("G407", ": ".join(first_fault(error))) from error


def _started_at(plan: ImplementationPlan, start: datetime) -> ImplementationPlan:
    """*plan* with another start: what does not start before a time after it moves with it."""
    later = start - plan.start_at
    moved = [
        task.model_copy(update={"not_before": task.not_before + later})
        for task in plan.tasks
        if task.not_before is not None and not task.has_ended
    ]
    return plan.model_copy(update={"start_at": start}).with_tasks(moved)


@forwarded
def replan_task(acting: Acting, key: str, name: str, wanted: TaskChange, reason: str = "") -> ImplementationPlan:
    """Change a task that has not ended. Later tasks move with it. Raises A110, G101, G402 and G407."""

    def work(task: Change, plan: ImplementationPlan) -> ImplementationPlan:
        found = plan.task(name)
        if found is None:
            raise unknown("task", name, [each.name for each in plan.tasks])
        if found.has_ended:
            raise OrchestratorError("G407", f"{plan.id}:{name} is {found.state}")
        if has_begun(found) and (wanted.start is not None or wanted.after is not None):
            raise OrchestratorError(
                "G407", f"{plan.id}:{name} has started: its start and what it comes after are fixed"
            )
        changed = with_change(found, wanted, task.now.earliest)
        names = [each.name for each in fields(wanted) if getattr(wanted, each.name) is not None]
        return put_replanned(task, plan, (changed,), reason, fields=names)

    return change_plan(key, acting, work, reason)


def has_begun(task: Task) -> bool:
    """Whether *task* was started, or needed help before its start: what it comes after is fixed."""
    return task.started_at is not None or task.state in UNDER_WAY


def put_replanned(
    task: Change, plan: ImplementationPlan, tasks: tuple[Task, ...], reason: str, **detail: Any
) -> ImplementationPlan:
    """Write *plan* with *tasks*, the first of which the change is about, and with new planned times.

    Raises A110, G101, G402 and G407.
    """
    changed = tasks[0]
    after = plan.after_event(PlanEvent.REPLAN).with_tasks(tasks)
    check_plan(task, after)
    timed = replanned_times(after, task.now.earliest, outside_of(task, after))
    if plan.task(changed.name) is None:
        timed = timed.with_tasks([_first_planned(timed.task(changed.name) or changed)])
    return put_step(task, Step(timed, PlanEvent.REPLAN, changed.name, reason), **detail)


def _first_planned(new: Task) -> Task:
    """*new* with its first plan in place of the one by which it was entered."""
    return new.model_copy(update={"planned": new.span, "replanned": None})


def with_change(found: Task, wanted: TaskChange, now: datetime) -> Task:
    """*found* after the change *wanted* at the time *now*. Raises G407."""
    update: dict[str, Any] = {
        name: getattr(wanted, name)
        for name in ("title", "instructions", "owner", "group", "after", "on_timeout")
        if getattr(wanted, name) is not None
    }
    if wanted.owner:
        update["group"] = ""
    if wanted.group:
        update["owner"] = ""
    if wanted.start is not None:
        update["not_before"] = wanted.start
    if wanted.inputs is not None:
        update["inputs"] = wanted.inputs or None
    if wanted.duration_s is not None:
        update["duration_s"] = round(wanted.duration_s)
    if wanted.timeout_s is not None:
        update["timeout_s"] = round(wanted.timeout_s) or None
        waits = found.state in {TaskState.READY, TaskState.IN_PROGRESS}
        update["due_at"] = now + timedelta(seconds=wanted.timeout_s) if waits and update["timeout_s"] else None
    return checked_task(**{**dict(found), **update})


def checked_task(**fields_: Any) -> Task:
    """A task with these fields. Raises G407 with the first one that is wrong."""
    try:
        return Task.model_validate(fields_)
    except ValidationError as error:
        raise OrchestratorError("G407", ": ".join(first_fault(error))) from error
