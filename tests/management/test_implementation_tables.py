"""Implementation plans over all commands, machines and crashes: each recorded move is one of the tables, and happens once."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.app.acting import Acting
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import NOTIFICATIONS, OUTBOX
from orchestrator.management.implementation_plans import decisions, queries, replanning
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.automation import execute_tasks
from orchestrator.management.implementation_plans.evidence import EvidenceDraft, file_draft
from orchestrator.management.implementation_plans.model import ImplementationPlan
from orchestrator.management.implementation_plans.replanning import TaskChange
from orchestrator.management.implementation_plans.state import (
    IMPLEMENTATION_TABLE,
    TASK_TABLE,
    PlanEvent,
    PlanState,
    TaskEvent,
    TaskState,
)
from orchestrator.management.implementation_plans.works import run_task
from orchestrator.register_ports import Register
from tests.management.test_implementation_automation import MemoryExecutions
from tests.management.test_implementation_use_cases import Died, Dying, Runbook
from tests.management.test_implementation_works import MemoryWorks

TASKS: tuple[dict[str, Any], ...] = (
    {"name": "measure", "owner": "operator", "timeout": "1h", "on_timeout": "fail",
     "inputs": {"type": "object", "properties": {"rows": {"type": "integer"}}, "required": ["rows"]}},
    {"name": "move", "kind": "automated", "after": ["measure"], "timeout": "2h",
     "command": {"environment": "production", "words": ["move", "${{ tasks.measure.rows }}"]}},
    {"name": "promote", "kind": "automated", "after": ["measure"],
     "promotion": {"package": "shop-1.5.0", "to": "production"}},
    {"name": "late", "owner": "viewer", "after": ["measure"], "timeout": "1h", "on_timeout": "continue"},
    {"name": "decide", "kind": "decision", "after": ["move", "promote", "late"], "timeout": "1h", "on_timeout": "skip"},
)  # fmt: skip
KEY = "IP-2"
Call = Callable[[Acting, str], object]
FILE = EvidenceDraft(("seen",), files=(file_draft("a", b"a"),))
COMMANDS: dict[str, Call] = {
    "begin": lambda a, n: tasks.begin_task(a, KEY, n, "x"),
    "done": lambda a, n: tasks.complete_task(a, KEY, n, "x", FILE, {"rows": "7"} if n == "measure" else {}),
    "fail": lambda a, n: tasks.fail_task(a, KEY, n, "x"),
    "retry": lambda a, n: tasks.retry_task(a, KEY, n, "x"),
    "skip": lambda a, n: tasks.skip_task(a, KEY, n, "x"),
    "help": lambda a, n: tasks.request_help(a, KEY, n, "x"),
    "go": lambda a, n: tasks.decide_task(a, KEY, n, go=True, reason="x"),
    "no-go": lambda a, n: tasks.decide_task(a, KEY, n, go=False, reason="x"),
    "replan": lambda a, n: replanning.replan_task(a, KEY, n, TaskChange(duration_s=60), "x"),
    "abort": lambda a, _: decisions.abort_plan(a, KEY, "x"),
}
WORKERS = ("schedule", "work on one", "work on two", "end the run", "fail the run")
NAMES = st.sampled_from([made["name"] for made in TASKS])
STEPS = st.tuples(st.sampled_from([*sorted(COMMANDS), *WORKERS]), NAMES, st.integers(0, 90), st.booleans())


class World:
    """A plan, the processes that work for it on two machines, and a promotion that ends when it is told to."""

    def __init__(self) -> None:
        self.book = Runbook()
        self.book.start(*TASKS)
        self.runs, self.machines = MemoryExecutions(), {name: MemoryWorks(name) for name in ("one", "two")}
        self.runs.became = "stopped"

    def plan(self) -> ImplementationPlan:
        return queries.show_plan(self.book.acting("viewer"), KEY).plan

    def step(self, name: str, wanted: str, *, crash: bool) -> None:
        acting = self.book.acting("system" if name == "schedule" else "release-manager")
        if crash:
            acting = replace(acting, register=cast("Register", Dying(self.book.desk.register)))
        with contextlib.suppress(OrchestratorError, Died):
            if name in COMMANDS:
                COMMANDS[name](acting, wanted)
            elif name == "schedule":
                list(execute_tasks(self.runs, acting))
            elif name.startswith("work on"):
                task = self.plan().task("move")
                assert task is not None
                run_task(acting, task.root, self.machines[name.removeprefix("work on ")])
            else:
                self.runs.end("done" if name == "end the run" else "failed")


@given(st.lists(STEPS, max_size=20))
@settings(max_examples=80, deadline=None)
def test_each_recorded_move_is_one_of_the_tables(steps: list[tuple[str, str, int, bool]]) -> None:
    """Whatever users, workers and time do, and wherever processes die, the audit stream has only moves of the tables."""
    world = World()
    for name, wanted, minutes, crash in steps:
        world.step(name, wanted, crash=crash)
        world.book.tick(minutes * timedelta(minutes=1))
    records = world.book.desk.register.reading(
        lambda found: (found.audit(), found.all(OUTBOX), found.all(NOTIFICATIONS))
    )
    states = dict.fromkeys((made["name"] for made in TASKS), TaskState.PENDING)
    plan = PlanState.SCHEDULED
    for entry in records[0]:
        detail = entry.detail or {}
        event = detail.get("event")
        if entry.object != f"implementation-plan:{KEY}":
            continue
        if "task_state" in detail and event in set(TaskEvent):
            name = str(detail["task"])
            assert TASK_TABLE.moves[states[name]][TaskEvent(str(event))] == detail["task_state"], (name, detail)
            states[name] = TaskState(str(detail["task_state"]))
        elif event in set(PlanEvent):
            plan = IMPLEMENTATION_TABLE.moves[plan][PlanEvent(str(event))]
            if plan is PlanState.ABORTED:
                states = {
                    each: state if state in TASK_TABLE.ends else TASK_TABLE.moves[state][TaskEvent.ABORT]
                    for each, state in states.items()
                }
    found = world.plan()
    assert (found.state, {each.name: each.state for each in found.tasks}) == (plan, states)
    assert len(records[1]) == len({message.dedup for message in records[1]})
    assert len(records[2]) == len({sent.id for sent in records[2]})
    move = found.task("move")
    assert move is not None
    starts = [root for works in world.machines.values() for root in works.started]
    assert len(starts) == len(set(starts)), "the work of one start has run twice"
    assert not any(task.stopping for task in found.tasks if not found.has_ended)
