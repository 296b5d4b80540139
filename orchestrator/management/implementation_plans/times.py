"""The times of tasks: what is expected now, and the critical path. Pure functions over one plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from graphlib import TopologicalSorter

from orchestrator.management.implementation_plans.model import ImplementationPlan, Task, TaskSpan

Outside = Mapping[str, datetime]
"""When what is outside of a plan ends or is expected to end, by its key such as `IP-2:check`."""


@dataclass(frozen=True)
class Schedule:
    """The *expected* times of the tasks of a plan, and the names of those that its end depends on, in their order.

    A task is on the *critical* path if the plan ends later when it does.
    """

    expected: Mapping[str, TaskSpan]
    critical: tuple[str, ...]

    @property
    def end(self) -> datetime:
        """When the plan is expected to end."""
        return max(span.end for span in self.expected.values())


def task_order(tasks: Mapping[str, Task]) -> tuple[str, ...]:
    """The names of *tasks*, each one behind those of the plan that it comes after. They have no circle."""
    graph = {name: [key for key in task.after if key in tasks] for name, task in tasks.items()}
    return tuple(TopologicalSorter(graph).static_order())


def schedule(plan: ImplementationPlan, now: datetime, outside: Outside) -> Schedule:
    """The expected times of *plan* at *now*. What has started or ended has its actual times.

    A task that waits starts when everything that it comes after has ended, but not before its planned start, the start
    of the plan, or *now*.
    """
    tasks = {task.name: task for task in plan.tasks}
    order = task_order(tasks)
    expected: dict[str, TaskSpan] = {}
    for name in order:
        expected[name] = _expected(plan, tasks[name], now, expected, outside)
    return Schedule(expected, tuple(_critical(tasks, order, expected)))


def _expected(
    plan: ImplementationPlan, task: Task, now: datetime, expected: Mapping[str, TaskSpan], outside: Outside
) -> TaskSpan:
    lasts = timedelta(seconds=task.duration_s)
    if task.has_ended:
        end = task.ended_at or now
        return TaskSpan(start=min(task.started_at or task.ready_at or end, end), end=end)
    begun = task.started_at or task.ready_at
    if begun is not None:
        return TaskSpan(start=begun, end=max(begun + lasts, now))
    ends = [expected[key].end if key in expected else outside.get(key, now) for key in task.after]
    own = [moment for moment in (task.not_before, task.replanned.start if task.replanned else None) if moment]
    start = max([*ends, *own, plan.start_at, now])
    return TaskSpan(start=start, end=start + lasts)


def _critical(tasks: Mapping[str, Task], order: tuple[str, ...], expected: Mapping[str, TaskSpan]) -> Iterator[str]:
    """The tasks without slack: those whose end is the end of the plan, and what decides when these start."""
    last = max(span.end for span in expected.values())
    found: set[str] = set()
    for name in reversed(order):
        if expected[name].end == last:
            found.add(name)
        if name in found:
            found |= {key for key in tasks[name].after if key in expected and expected[key].end >= expected[name].start}
    yield from (name for name in order if name in found)


def planned_times(plan: ImplementationPlan, outside: Outside) -> ImplementationPlan:
    """*plan*, which has not started, with the planned times of its tasks."""
    made = schedule(plan, plan.start_at, outside).expected
    return plan.with_tasks(task.model_copy(update={"planned": made[task.name]}) for task in plan.tasks)


def replanned_times(plan: ImplementationPlan, now: datetime, outside: Outside) -> ImplementationPlan:
    """*plan* with new planned times for tasks that have not started, where they differ from those they have."""
    made = schedule(plan, now, outside).expected
    waiting = [task for task in plan.tasks if task.started_at is None and not task.has_ended]
    moved = [task for task in waiting if made[task.name] != task.span]
    return plan.with_tasks(task.model_copy(update={"replanned": made[task.name]}) for task in moved)
