"""Use cases that change the tasks of a plan, also while it runs. What has ended does not change."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from orchestrator.app.acting import Acting, Change, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import OnTimeout, TaskKind
from orchestrator.domain.model import first_fault
from orchestrator.management.implementation_plans.decisions import change_plan
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task, TaskSpan
from orchestrator.management.implementation_plans.progress import Step
from orchestrator.management.implementation_plans.records import check_plan, outside_of, put_step
from orchestrator.management.implementation_plans.state import PlanEvent, TaskState
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


@forwarded
def replan_task(acting: Acting, key: str, name: str, wanted: TaskChange, reason: str = "") -> ImplementationPlan:
    """Change a task that has not ended. Later tasks move with it. Raises A110, G101, G402 and G407."""

    def work(task: Change, plan: ImplementationPlan) -> ImplementationPlan:
        found = plan.task(name)
        if found is None:
            raise unknown("task", name, [each.name for each in plan.tasks])
        if found.has_ended:
            raise OrchestratorError("G407", f"{plan.id}:{name} is {found.state}")
        if found.started_at is not None and (wanted.start is not None or wanted.after is not None):
            raise OrchestratorError(
                "G407", f"{plan.id}:{name} has started: its start and what it comes after are fixed"
            )
        changed = _with(found, wanted, task.now.earliest)
        names = [each.name for each in fields(wanted) if getattr(wanted, each.name) is not None]
        return _replanned(task, plan, changed, reason, fields=names)

    return change_plan(key, acting, work, reason)


@forwarded
def add_task(
    acting: Acting, key: str, name: str, wanted: TaskChange, reason: str = "", kind: TaskKind = "manual"
) -> ImplementationPlan:
    """Add a task to a plan that has not ended. Raises A110, G101, G402 and G407 for a name that is taken."""

    def work(task: Change, plan: ImplementationPlan) -> ImplementationPlan:
        if plan.task(name) is not None:
            raise OrchestratorError("G407", f"{plan.id} has a task {name}")
        at = max(task.now.earliest, plan.start_at)
        lasts = 900 if wanted.duration_s is None else round(wanted.duration_s)
        span = TaskSpan(start=wanted.start or at, end=(wanted.start or at) + timedelta(seconds=lasts))
        empty = _checked(name=name, title=wanted.title or name, kind=kind, duration_s=lasts, planned=span)
        return _replanned(task, plan, _with(empty, wanted, at), reason, added=name)

    return change_plan(key, acting, work, reason)


def _replanned(task: Change, plan: ImplementationPlan, changed: Task, reason: str, **detail: Any) -> ImplementationPlan:
    after = plan.after_event(PlanEvent.REPLAN).with_tasks([changed])
    check_plan(task, after)
    timed = replanned_times(after, task.now.earliest, outside_of(task, after))
    if plan.task(changed.name) is None:
        timed = timed.with_tasks([_first_planned(timed.task(changed.name) or changed)])
    return put_step(task, Step(timed, PlanEvent.REPLAN, changed.name, reason), **detail)


def _first_planned(new: Task) -> Task:
    """*new* with its first plan in place of the one by which it was entered."""
    return new.model_copy(update={"planned": new.span, "replanned": None})


def _with(found: Task, wanted: TaskChange, now: datetime) -> Task:
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
    return _checked(**{**dict(found), **update})


def _checked(**fields_: Any) -> Task:
    try:
        return Task.model_validate(fields_)
    except ValidationError as error:
        raise OrchestratorError("G407", ": ".join(first_fault(error))) from error
