"""What time and the ends of tasks require of a plan: a pure function, which is applied until nothing is due."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.state import ACTIVE, PlanEvent, PlanState, TaskEvent, TaskState
from orchestrator.management.implementation_plans.values import filled_fields

Satisfied = Callable[[str], bool]
"""Whether what has this key outside of a plan, such as `IP-2:check` or `REL-1:deploy`, has succeeded."""
TIMED_OUT = "the timeout of the task has ended"


@dataclass(frozen=True)
class Step:
    """An *event* of the *plan*, or of its *task* if that is named, and the plan after it."""

    plan: ImplementationPlan
    event: PlanEvent | TaskEvent
    task: str = ""
    note: str = ""


def next_plan_step(plan: ImplementationPlan, satisfied: Satisfied, now: datetime) -> Step | None:
    """The next step that is due; None if nothing is."""
    if plan.state is PlanState.SCHEDULED and plan.start_at <= now:
        return Step(plan.after_event(PlanEvent.START, started_at=now), PlanEvent.START)
    if plan.state is not PlanState.RUNNING:
        return None
    for step in _task_steps(plan, satisfied, now):
        return step
    if all(task.has_ended for task in plan.tasks):
        return Step(plan.after_event(PlanEvent.COMPLETE, ended_at=now), PlanEvent.COMPLETE)
    return None


def due_steps(plan: ImplementationPlan, satisfied: Satisfied, now: datetime) -> Iterator[Step]:
    """Every step that is due, one after the other; each plan follows from the previous one."""
    while (step := next_plan_step(plan, satisfied, now)) is not None:
        plan = step.plan
        yield step


def missing_of(plan: ImplementationPlan, task: Task, satisfied: Satisfied) -> tuple[str, ...]:
    """The keys of what *task* waits for."""
    own = {each.name: each for each in plan.tasks}
    return tuple(key for key in task.after if not (own[key].lets_pass if key in own else satisfied(key)))


def _task_steps(plan: ImplementationPlan, satisfied: Satisfied, now: datetime) -> Iterator[Step]:
    for task in plan.tasks:
        if task.state in ACTIVE and task.due_at is not None and task.due_at <= now:
            yield _timed_out(plan, task, now)
        elif task.state is TaskState.PENDING:
            early = task.not_before is not None and task.not_before > now
            if not early and not missing_of(plan, task, satisfied):
                fields = {**filled_fields(plan, task), **task.waits_from(now)}
                yield _step(plan, task, TaskEvent.READY, ready_at=now, **fields)
        elif task.state is TaskState.READY and missing_of(plan, task, satisfied):
            yield _step(plan, task, TaskEvent.WAIT, ready_at=None, due_at=None)


def _timed_out(plan: ImplementationPlan, task: Task, now: datetime) -> Step:
    """What the task states for the end of its timeout."""
    if task.on_timeout == "fail":
        return _step(plan, task, TaskEvent.FAIL, TIMED_OUT, due_at=None, note=TIMED_OUT)
    if task.on_timeout == "skip":
        ended = {"ended_at": now, "ended_by": "system", "note": TIMED_OUT}
        return _step(plan, task, TaskEvent.SKIP, TIMED_OUT, due_at=None, **ended)
    if task.on_timeout == "continue":
        return _step(plan, task, TaskEvent.PASS, TIMED_OUT, due_at=None, passed=True, note=TIMED_OUT)
    return _step(plan, task, TaskEvent.REQUEST_HELP, TIMED_OUT, due_at=None, note=TIMED_OUT)


def _step(plan: ImplementationPlan, task: Task, event: TaskEvent, text: str = "", **fields: object) -> Step:
    changed = task.after_event(event, plan.id, **fields)
    return Step(plan.with_tasks([changed]), event, task.name, text)
