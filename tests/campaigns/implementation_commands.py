"""Commands about implementation plans, for random stories: users, a worker, and what becomes of commands and gates."""

from collections.abc import Callable, Iterable
from typing import Any

from orchestrator.domain.audit.chain import AuditEntry
from orchestrator.management.implementation_plans import decisions as plans
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.additions import NewTask, add_task
from orchestrator.management.implementation_plans.automation import execute_tasks
from orchestrator.management.implementation_plans.decisions import PlanStart
from orchestrator.management.implementation_plans.duties import advance_plans
from orchestrator.management.implementation_plans.model import ImplementationPlan
from orchestrator.management.implementation_plans.replanning import TaskChange
from orchestrator.management.implementation_plans.state import TASK_TABLE, PlanEvent, TaskState
from tests.management.sources import ImplementationFacts
from tests.management.test_implementation_automation import MemoryExecutions

PLACE = {"environment": "staging"}
TASKS: tuple[dict[str, Any], ...] = (
    {"name": "announce", "owner": "operator", "timeout": "2h"},
    {"name": "count", "kind": "automated", "after": ["announce"], "command": {**PLACE, "words": ["count"]}},
    {"name": "move", "kind": "automated", "timeout": "3h", "playbook": {**PLACE, "playbook": "move.yml"}},
    {"name": "healthy", "kind": "automated", "after": ["move"], "gate": {**PLACE, "command": ["true"]}},
    {"name": "decide", "kind": "decision", "after": ["count", "healthy"]},
)
NAMES = tuple(str(task["name"]) for task in TASKS)
LIBRARY = ImplementationFacts(TASKS)
ADDED = (
    NewTask(),
    NewTask(kind="decision", before=("decide",)),
    NewTask(promote="shop-1.5.0", to="production", before=("announce", "move")),
    NewTask(roll_back="staging", before=("healthy",)),
    *(NewTask(source=f"launch:{name}", before=("decide",)) for name in ("count", "move", "healthy")),
)
"""What is added: a task of each kind, before tasks that may have started."""
ENDS = ("done", "failed", "needs-help")
QUIET = frozenset({"schedule", "evidence", "follow", "run", "stopped", "continue run", str(PlanEvent.REPLAN)})
"""The events that change the state of no task."""


def start(acting: Any, number: int) -> object:
    """Start a plan, or its rehearsal."""
    return plans.start_plan(acting, "launch", ImplementationFacts(TASKS), PlanStart(rehearsal=number % 5 == 4))


def advance(acting: Any, executions: MemoryExecutions) -> object:
    """The scheduler starts what is due, and follows it."""
    return (advance_plans(acting), list(execute_tasks(executions, acting)))


def end_work(executions: MemoryExecutions, number: int) -> object:
    """What tasks have started ends, or what an abort stops has stopped."""
    executions.became = "was stopped"
    executions.end(ENDS[number % len(ENDS)])
    return None


def _on(work: Callable[[Any, str, str], object]) -> Callable[[Any, int], object]:
    """A command about a task of one of two plans, chosen by a number."""
    return lambda acting, number: work(acting, f"IP-{number % 2 + 1}", NAMES[number % len(NAMES)])


COMMANDS: dict[str, Callable[[Any, int], object]] = {
    "start plan": start,
    "begin task": _on(lambda a, key, name: tasks.begin_task(a, key, name, "x")),
    "task done": _on(lambda a, key, name: tasks.complete_task(a, key, name, "x")),
    "task failed": _on(lambda a, key, name: tasks.fail_task(a, key, name, "x")),
    "retry task": _on(lambda a, key, name: tasks.retry_task(a, key, name, "x")),
    "skip task": _on(lambda a, key, name: tasks.skip_task(a, key, name, "x")),
    "task needs help": _on(lambda a, key, name: tasks.request_help(a, key, name, "x")),
    "go": lambda a, n: tasks.decide_task(a, f"IP-{n % 2 + 1}", "decide", go=n % 3 > 0, reason="x"),
    "add task": lambda a, n: add_task(
        a, f"IP-{n % 2 + 1}", f"more-{n}", LIBRARY, TaskChange(owner="operator"), "x", ADDED[n % len(ADDED)]
    ),
    "skip added": lambda a, n: tasks.skip_task(a, f"IP-{n % 2 + 1}", f"more-{n}", "x"),
    "retry added": lambda a, n: tasks.retry_task(a, f"IP-{n % 2 + 1}", f"more-{n}", "x"),
    "abort plan": lambda a, n: plans.abort_plan(a, f"IP-{n % 2 + 1}", "x"),
}
"""What the release manager does."""


def check_tasks(entries: Iterable[AuditEntry], plan: ImplementationPlan) -> None:
    """The *entries* of a plan move its tasks by their table, and lead to the states that it has."""
    states = {task.name: TaskState.PENDING for task in plan.tasks}
    for entry in entries:
        event, name = str(entry.detail.get("event")), str(entry.detail.get("task") or "")
        if event in QUIET:
            continue
        if not name:
            ended = {task for task, state in states.items() if state in TASK_TABLE.ends}
            states |= {task: TaskState.ABORTED for task in states.keys() - ended if event == str(PlanEvent.ABORT)}
            continue
        moves = {str(each): after for each, after in TASK_TABLE.moves[states[name]].items()}
        assert event in moves, (plan.id, name, states[name], event)
        states[name] = moves[event]
        assert entry.detail.get("task_state") == str(states[name]), entry
    assert states == {task.name: task.state for task in plan.tasks}, plan.id
