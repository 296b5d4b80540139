"""Deaths at every write of a promotion that goes through an implementation plan, with tasks of each kind and each state.

The flow of the run, the scheduler, workers and users are the real ones, on a register and a journal in memory. Each
order of events is done without a death first. With one at each write, and a second one in what follows, it has to end
in the same way: the same states of run, plans and tasks, and each work as often.
"""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import ImplementationTemplate
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.register import OUTBOX
from orchestrator.flow import promotion
from orchestrator.flow.halt import OwnershipLost
from orchestrator.flow.run_context import RunContext
from orchestrator.management.implementation_plans import decisions as plans
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.additions import NewTask, add_task
from orchestrator.management.implementation_plans.automation import execute_tasks
from orchestrator.management.implementation_plans.duties import advance_plans
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.ports import Execution, TemplateFile
from orchestrator.management.implementation_plans.replanning import TaskChange
from orchestrator.management.implementation_plans.run_steps import JournalRuns, RegisterImplementations, continue_runs
from orchestrator.management.implementation_plans.state import UNDER_WAY
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.works import WorkResult, direct_work, run_task
from tests.app.desk import Desk
from tests.campaigns.deaths import Deaths, DyingRegister, Killed
from tests.campaigns.implementation_commands import check_tasks
from tests.flow.test_promotion import Stage, release
from tests.management.sources import ImplementationFacts

OTHER = {"environment": "production"}
TASKS: dict[str, tuple[dict[str, Any], ...]] = {
    "switch": (
        {"name": "measure", "owner": "operator", "timeout": "1h",
         "inputs": {"type": "object", "properties": {"rows": {"type": "integer"}}, "required": ["rows"]}},
        {"name": "count", "kind": "automated", "after": ["measure"], "timeout": "2h", "on_timeout": "fail",
         "command": {**OTHER, "words": ["count", "${{ tasks.measure.rows }}"]}},
        {"name": "move", "kind": "automated", "after": ["measure"], "playbook": {**OTHER, "playbook": "move.yml"}},
        {"name": "healthy", "kind": "automated", "after": ["move"], "gate": {**OTHER, "command": ["true"]}},
        {"name": "promote", "kind": "automated", "after": ["measure"],
         "promotion": {"package": "search-2.0.0", "to": "production"}},
        {"name": "back", "kind": "automated", "after": ["promote"], "rollback": OTHER},
        {"name": "late", "owner": "viewer", "after": ["measure"], "timeout": "1h", "on_timeout": "continue"},
        {"name": "note", "owner": "viewer", "timeout": "1h", "on_timeout": "skip"},
        {"name": "decide", "kind": "decision", "after": ["count", "healthy", "back", "late"]},
    ),
    "switch-back": ({"name": "names", "owner": "operator"},),
}  # fmt: skip
STEPS: dict[str, Any] = {
    "steps": [
        {"name": "one", "playbook": "one.yml", "undo": "undo-one.yml"},
        {"name": "switch", "implementation": "implementation/switch.yaml", "undo": "implementation/switch-back.yaml"},
    ]
}
DONE = ("tick", "work", "tick", "work", "tick", "end", "tick", "tick", "end", "tick")
"""What workers do until every automated task has ended."""
ORDERS: dict[str, tuple[str, ...]] = {
    "completed": ("run", "begin measure", "done measure", *DONE, "done late", "done note", "go", "tick", "run"),
    "helped, failed and retried": (
        "run", "help measure", "begin measure", "fail measure", "retry measure", "done measure", "tick", "broken work",
        "tick", "retry count", "retry move", "tick", "work", "end", "tick", "tick", "failed end", "tick", "retry back",
        *DONE, "skip late", "done note", "go", "tick", "run",
    ),
    "added to": (
        "run", "add more", "add purge", "done measure", *DONE, "done late", "done note", *DONE, "go", "tick", "run",
    ),
    "late": ("run", "later", "tick", "begin measure", "done measure", "later", "tick", *DONE, "tick", "skip count",
             "done late", "go", "tick", "run"),
    "aborted": ("run", "done measure", "tick", "half work", "abort", "tick", "work", "tick", "run", "tick",
                "done names", "tick", "run"),
    "decided no-go": ("run", "done measure", *DONE, "done late", "no-go", "tick", "run", "done names", "tick", "run"),
    "stopped run": ("run", "done measure", "tick", "cancel", "run", "tick", "work", "tick", "done names", "tick", "run"),
}  # fmt: skip
"""The events of each order, by what becomes of the plan."""


class DyingStore(MemoryStore):
    """A journal whose process dies at one of its writes."""

    deaths = Deaths()

    def append(self, run: str, entries: Any, fence: int = 0) -> int:
        """As that of memory, or death."""
        return self.deaths.around(lambda: MemoryStore.append(self, run, entries, fence))


class Outside:
    """What tasks cause: requests of runs, and work on a machine, each under the key of its task."""

    machine = "one"

    def __init__(self) -> None:
        self.deaths, self.begun, self.started = Deaths(), dict[str, Task](), dict[str, str]()
        self.ended, self.result = dict[str, Execution](), WorkResult("done", "all rows", b"7 rows\n")

    def begin(self, task: Task) -> Execution:
        """A run request or a call that is recorded once for each key."""
        self.deaths.around(lambda: self.begun.setdefault(task.root, task))
        return Execution(f"request-{task.root}")

    def current(self, task: Task) -> Execution:
        """Its run, or its call."""
        return self.ended.get(task.root, Execution(task.followed))

    def stop(self, task: Task, why: str) -> str | None:
        """Runs are stopped at once, and calls by their worker."""
        del why
        if direct_work(task) is None:
            return "rolled back" if task.root in self.begun else "was not requested"
        return None if task.root in self.begun else "did not start"

    def end(self, ended: Any) -> None:
        """The runs that were requested end."""
        for root, task in self.begun.items():
            if direct_work(task) is None:
                self.ended.setdefault(root, Execution(f"request-{root}", ended))

    def perform(self, plan: str, task: Task, stopped: Callable[[], bool]) -> WorkResult:
        """The job of a task, which the next process finds."""
        del plan
        self.deaths.around(lambda: self.started.setdefault(task.root, task.name))
        return replace(self.result, ended="stopped") if stopped() else self.result

    def end_job(self, root: str) -> bytes:
        """What a job has printed until it was ended."""
        return b"half\n" if root in self.started else b""


class Machine:
    """The `TaskWorks` of the machine of *outside*."""

    def __init__(self, outside: Outside) -> None:
        self._outside, self.machine = outside, outside.machine

    def perform(self, plan: str, task: Task, stopped: Callable[[], bool]) -> WorkResult:
        """Do the work."""
        return self._outside.perform(plan, task, stopped)

    def stop(self, plan: str, task: Task) -> bytes:
        """End the work."""
        del plan
        return self._outside.end_job(task.root)


@dataclass(frozen=True)
class End:
    """What is left of an order: states of the run, of plans and tasks, and how often each work was caused."""

    run: str
    plans: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    requested: tuple[tuple[str, int], ...]
    started: tuple[tuple[str, int], ...]
    plays: tuple[str, ...]


class Scene:
    """A promotion to staging whose second step is the plan *switch*; the processes and users that work for it."""

    def __init__(self, folder: Path) -> None:
        register, self.outside = DyingRegister(), Outside()
        self.desk, self.stage, self.register = Desk(register), Stage(folder, store=DyingStore()), register
        self.stage.promote("1.0.0", "staging")
        self.stage.world.ledger.clear()
        package = self.stage.packages.put(release("1.1.0", **STEPS))
        about = {"id": "r9-staging", "root": "r9", "kind": "promotion", "environment": "staging"}
        self.run = Run.from_json({**about, "release": package.ref.to_json(), "by": "release-manager"})
        self.stage.store.create(self.run)
        self.answers = dict[str, Any]()

    def kill(self, deaths: Deaths) -> None:
        """The next process dies by *deaths*."""
        self.deaths = self.register.deaths = self.outside.deaths = deaths
        self.stage.store.deaths = deaths  # type: ignore[attr-defined]

    def acting(self, name: str) -> Any:
        """The user *name*, or the system."""
        found = self.desk.acting(name)
        return replace(found, actor=SYSTEM_ACTOR) if name == "system" else found

    @property
    def open_plan(self) -> ImplementationPlan | None:
        """The newest plan."""
        found = self.register.reading(lambda records: records.all(IMPLEMENTATION_PLANS))
        return found[-1] if found else None

    def do(self, event: str) -> None:
        """Do *event*. What is refused changes nothing: a command that died after its commit is repeated."""
        word, _, name = event.partition(" ")
        done: dict[str, Callable[[], object]] = {
            "run": self.execute, "tick": self.tick, "work": self.work, "half": self.half_work,
            "broken": lambda: self.work(WorkResult("failed", "ended with 3")),
            "end": lambda: self.outside.end("done"), "failed": lambda: self.outside.end("failed"),
            "cancel": self.cancel, "later": lambda: None,
        }  # fmt: skip
        with contextlib.suppress(OrchestratorError):
            (done.get(word) or (lambda: self.command(word, name)))()

    def command(self, word: str, name: str) -> object:
        """What a release manager does with the newest plan, or its task *name*."""
        plan = self.open_plan
        if plan is None:
            return None
        manager, about = self.acting("release-manager"), (plan.id, name, "x")
        if word == "add":
            new = NewTask(promote="search-2.0.0", to="production", before=("decide",))
            new = new if name == "more" else NewTask(source="switch:healthy", before=("decide",))
            facts = ImplementationFacts(TASKS["switch"])
            return add_task(manager, plan.id, name, facts, TaskChange(after=("measure",)), "x", new)
        if word in {"go", "no-go"}:
            return tasks.decide_task(manager, plan.id, "decide", go=word == "go", reason="x")
        inputs = {"rows": 7} if name == "measure" else {}
        calls: dict[str, Callable[[], object]] = {
            "begin": lambda: tasks.begin_task(manager, *about),
            "done": lambda: tasks.complete_task(manager, *about, inputs=inputs),
            "fail": lambda: tasks.fail_task(manager, *about),
            "retry": lambda: tasks.retry_task(manager, *about),
            "skip": lambda: tasks.skip_task(manager, *about),
            "help": lambda: tasks.request_help(manager, *about),
            "abort": lambda: plans.abort_plan(manager, plan.id, "x"),
        }
        return calls[word]()

    def execute(self) -> None:
        """A worker executes the run until it waits or has ended, unless it is paused."""
        run = self.stage.store.run(self.run.id)
        if run.ended or run.control == "pause":
            return
        services = replace(self.stage.services(), implementations=self.implementations)
        durable = MemoryDurable(self.answers, lambda _name, _when: self.deaths.around(lambda: None))
        with contextlib.suppress(OwnershipLost):
            promotion(RunContext(services, durable, run))

    @property
    def implementations(self) -> RegisterImplementations:
        """The plans of the run, whose templates are in its package."""
        return RegisterImplementations(lambda: self.acting("system"), template)

    def tick(self) -> None:
        """The scheduler does its duties once."""
        system = self.acting("system")
        advance_plans(system)
        list(execute_tasks(self.outside, system))
        list(continue_runs(JournalRuns(self.stage.store), system))

    def work(self, result: WorkResult | None = None) -> None:
        """A worker takes each call whose task is under way or is stopped."""
        self.outside.result = result or WorkResult("done", "all rows", b"7 rows\n")
        for task in self.called():
            run_task(self.acting("release-manager"), task.root, Machine(self.outside))

    def half_work(self) -> None:
        """A worker starts the jobs, and dies."""
        for task in self.called():
            self.outside.perform("", task, lambda: False)

    def called(self) -> Iterator[Task]:
        """The tasks for which a worker has a call."""
        for plan in self.register.reading(lambda records: records.all(IMPLEMENTATION_PLANS)):
            for task in plan.tasks:
                open_ = task.stopping or task.state in UNDER_WAY
                if open_ and task.root in self.outside.begun and direct_work(task) is not None:
                    yield task

    def cancel(self) -> None:
        """An operator cancels the run, which a worker then takes."""
        if not self.stage.store.run(self.run.id).ended and self.stage.store.run(self.run.id).control != "cancel":
            self.stage.store.append(self.run.id, [Entry(kind="control", data={"control": "cancel", "by": "ann"})])

    def settle(self) -> None:
        """What workers still do, without a death."""
        self.kill(Deaths())
        for _ in range(6):
            for event in ("tick", "work", "run"):
                self.do(event)

    def end(self) -> End:
        """What is left. Raises `AssertionError` for moves that the tables do not have, and for a second message."""
        found = self.register.reading(
            lambda records: (records.all(IMPLEMENTATION_PLANS), records.audit(), records.all(OUTBOX))
        )
        for plan in found[0]:
            check_tasks([entry for entry in found[1] if entry.object == f"implementation-plan:{plan.id}"], plan)
        steps = [(plan.run, plan.step) for plan in found[0]]
        assert len(steps) == len(set(steps)), "a step has started two plans"
        assert len(found[2]) == len({message.dedup for message in found[2]})
        return End(
            str(self.stage.store.run(self.run.id).state),
            tuple((p.step, str(p.state), tuple((t.name, str(t.state)) for t in p.tasks)) for p in found[0]),
            tuple(sorted(Counter(task.name for task in self.outside.begun.values()).items())),
            tuple(sorted(Counter(self.outside.started.values()).items())),
            tuple(dict.fromkeys(line.split(" ")[0] for line in self.stage.world.ledger)),
        )


def template(file: Path) -> TemplateFile:
    """The template in *file* of the package."""
    about = {"apiVersion": "orchestrator/v1", "kind": "ImplementationTemplate", "title": file.stem}
    return TemplateFile(
        file.stem, ImplementationTemplate.from_json({**about, "tasks": TASKS[file.stem]}), f"sha256:{'3' * 64}"
    )


def follow(order: Sequence[str], deaths: Iterator[Deaths]) -> tuple[End, int, int]:
    """Do *order* with one process after the other, each of which dies as *deaths* gives it.

    Returns what is left, the deaths, and the writes of the last process.
    """
    with tempfile.TemporaryDirectory(prefix="plan-sweep-") as folder:
        scene, died = Scene(Path(folder)), 0
        scene.kill(next(deaths, Deaths()))
        for event in order:
            if event == "later":
                scene.desk.clock.sleep(timedelta(hours=1, minutes=1).total_seconds())
            while True:
                try:
                    scene.do(event)
                    break
                except Killed:
                    died += 1
                    scene.kill(next(deaths, Deaths()))
        writes = scene.deaths.writes
        scene.settle()
        return scene.end(), died, writes


def sweep(second: int = 0, names: Sequence[str] = tuple(ORDERS)) -> tuple[int, int]:
    """Every death of every order, and after each of them one at each of the next *second* writes.

    Returns how often an order was done, and how many deaths there were.
    """
    done = died = 0
    for name in names:
        wanted, _, writes = follow(ORDERS[name], iter(()))
        for at, after in ((at, after) for at in range(1, writes + 1) for after in (False, True)):
            for more in range(second + 1):
                deaths = [Deaths(at, after=after), *([Deaths(more, after=bool(more % 2))] if more else [])]
                found, count, _ = follow(ORDERS[name], iter(deaths))
                assert found == wanted, (name, at, after, more, found, wanted)
                done, died = done + 1, died + count
    return done, died
