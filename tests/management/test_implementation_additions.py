"""Tasks that are added to a plan that runs: of every kind, with the rights, the order and the limits of a task of its file."""

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Binding, Role
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import ImplementationTemplate
from orchestrator.domain.register import BINDINGS, ROLES
from orchestrator.management.implementation_plans import additions, queries, replanning
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.additions import NewTask
from orchestrator.management.implementation_plans.automation import execute_tasks
from orchestrator.management.implementation_plans.model import MOST_TASKS, ImplementationPlan, Task
from orchestrator.management.implementation_plans.ports import TemplateFile
from orchestrator.management.implementation_plans.replanning import TaskChange
from orchestrator.management.implementation_plans.state import TaskState
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.works import run_task
from orchestrator.register_ports import Register
from tests.app.desk import NOON
from tests.contracts.test_register import opened, register
from tests.management.sources import ImplementationFacts
from tests.management.test_implementation_automation import MemoryExecutions, work
from tests.management.test_implementation_use_cases import Died, Dying, Runbook
from tests.management.test_implementation_works import MemoryWorks

__all__ = ["opened", "register"]  # the fixtures
PLACE = {"environment": "production"}
TOOLS: tuple[dict[str, Any], ...] = (
    {"name": "purge", "title": "Purge ${{ parameters.zone }}", "kind": "automated", "duration": "5m", "timeout": "20m",
     "on_timeout": "skip", "command": {**PLACE, "words": ["bin/purge", "${{ parameters.zone }}"]}},
    {"name": "move", "kind": "automated", "playbook": {**PLACE, "playbook": "move.yml", "package": "shop-${{ parameters.version }}"}},
    {"name": "healthy", "kind": "automated", "after": ["move"], "start": "1h",
     "gate": {**PLACE, "http": {"url": "https://shop.example/health"}, "within": "5m"}},
    {"name": "measure", "inputs": {"type": "object", "properties": {"rows": {"type": "integer"}}}},
    {"name": "tell", "title": "Tell ${{ tasks.measure.rows }}", "after": ["measure"]},
    {"name": "anywhere", "kind": "automated", "playbook": {"environment": "${{ tasks.measure.place }}", "playbook": "move.yml"}},
)  # fmt: skip


@dataclass
class Tools(ImplementationFacts):
    """A project with the template *tools*, which has tasks with parameters."""

    def template(self, name: str) -> TemplateFile:
        if name != "tools":
            raise OrchestratorError("A110", f"there is no implementation file {name}")
        about = {"apiVersion": "orchestrator/v1", "kind": "ImplementationTemplate", "title": "Tools"}
        parameters = {"zone": {"default": "example.org"}, "version": {}}
        data = {**about, "parameters": parameters, "tasks": TOOLS}
        return TemplateFile(name, ImplementationTemplate.from_json(data), f"sha256:{'2' * 64}")


def add(
    book: Runbook, name: str, new: NewTask, reason: str = "as agreed", by: str = "release-manager", **fields: Any
) -> Task:
    plan = additions.add_task(book.acting(by), "IP-1", name, Tools(), TaskChange(**fields), reason, new)
    found = plan.task(name)
    assert found is not None
    return found


def plan_of(book: Runbook) -> ImplementationPlan:
    return queries.show_plan(book.acting("viewer"), "IP-1").plan


def test_a_promotion_is_added_before_a_task_that_waits(register: Register) -> None:
    """On every adapter: a promotion that is added is requested once for the user who added it, and what it was put before waits for it."""
    book, done = Runbook(register), MemoryExecutions()
    new = NewTask(promote="shop-1.5.0", to="production", before=("check",))
    added = add(book, "promote", new, after=("announce",), duration_s=600, timeout_s=3600, on_timeout="fail")
    assert (added.kind, added.work, str(added.actor), added.added_by, added.state) == (
        "automated", "promote shop-1.5.0 to production", "release-manager", "release-manager", "pending"
    )  # fmt: skip
    assert (added.timeout_s, added.on_timeout, added.planned.start - NOON > timedelta(minutes=15)) == (
        3600,
        "fail",
        True,
    )
    tasks.complete_task(book.acting("operator"), "IP-1", "announce")
    assert book.states() == ["done", "pending", "pending", "pending", "ready"]
    work(book, done)
    (task,) = done.requested.values()
    assert (str(task.actor), task.promotion and task.promotion.to) == ("release-manager", "production")
    done.end("done")
    work(book, done)
    assert book.states() == ["done", "ready", "pending", "pending", "done"]
    audit = book.desk.register.reading(lambda records: records.audit())
    (entry,) = [e for e in audit if (e.detail or {}).get("added") == "promote"]
    assert (entry.reason, entry.detail["work"], entry.detail["before"]) == ("as agreed", added.work, ["check"])


def test_a_command_a_playbook_and_a_gate_are_those_of_a_template() -> None:
    """A task of a template is added with its work, length and timeout, and not with its place; options replace fields."""
    book = Runbook()
    purge = add(book, "purge", NewTask(source="tools:purge", parameters={"zone": "example.com"}))
    assert purge.command is not None
    assert (purge.title, purge.command.words, purge.duration_s, purge.timeout_s, purge.on_timeout) == (
        "Purge example.com", ("bin/purge", "example.com"), 300, 1200, "skip"
    )  # fmt: skip
    assert purge.source == f"tools:purge (sha256:{'2' * 64})"
    healthy = add(book, "well", NewTask(source="tools:healthy"), title="All is well", after=("announce",), timeout_s=60)
    assert healthy.gate is not None
    assert (healthy.title, healthy.after, healthy.not_before, healthy.timeout_s) == (
        "All is well",
        ("announce",),
        None,
        60,
    )
    moved = add(book, "move", NewTask(source="tools:move", parameters={"version": "1.5.0"}))
    assert moved.playbook is not None
    assert (moved.playbook.package, moved.state) == ("shop-1.5.0", "ready")
    assert add(book, "purge-again", NewTask(source="tools:purge")).title == "Purge example.org"
    assert add(book, "measure", NewTask(source="tools:measure"), reason="").kind == "manual"
    assert (
        add(book, "tell", NewTask(source="tools:tell"), reason="", after=("measure",)).title
        == "Tell ${{ tasks.measure.rows }}"
    )


def test_a_parameter_of_the_plan_counts_for_what_is_added() -> None:
    """A parameter that is not given has the value of the plan, if the plan has it."""
    book = Runbook()
    known = plan_of(book).model_copy(update={"parameters": {"version": "2.0.0", "other": "x"}})
    book.desk.write(IMPLEMENTATION_PLANS, known)
    found = add(book, "move", NewTask(source="tools:move"))
    assert found.playbook is not None
    assert found.playbook.package == "shop-2.0.0"


def test_what_does_not_fit_is_refused() -> None:
    """Unknown templates, tasks, parameters and places, mixed kinds, a missing reason, and inputs without a user are refused."""
    book = Runbook()
    promote = NewTask(promote="shop-1.5.0", to="production")
    wrong: tuple[tuple[NewTask, str, dict[str, Any]], ...] = (
        (NewTask(source="tool:purge"), "A110", {}),
        (NewTask(source="tools:sweep"), "A110", {}),
        (NewTask(source="tools:move"), "G401", {}),
        (NewTask(source="tools:purge", parameters={"version": "1"}), "G401", {}),
        (NewTask(source="tools:tell"), "G402", {}),
        (NewTask(promote="shop-1.5.0", to="moon"), "A110", {}),
        (NewTask(promote="shop-1.5.0"), "G407", {}),
        (NewTask(promote="x" * 300, to="production"), "G407", {}),
        (NewTask(to_version="1.0.0"), "G407", {}),
        (NewTask(parameters={"zone": "x"}), "G407", {}),
        (replace(promote, kind="decision"), "G407", {}),
        (replace(promote, roll_back="production"), "G407", {}),
        (promote, "G403", {"reason": " "}),
        (NewTask(source="tools:purge"), "G403", {"reason": ""}),
        (promote, "G407", {"inputs": {"type": "object", "properties": {"a": {}}}}),
        (promote, "A110", {"owner": "nobody"}),
        (NewTask(before=("nothing",)), "A110", {}),
        (NewTask(before=("announce",)), "G402", {"after": ("close",)}),
    )
    for new, code, more in wrong:
        assert (new, book.refused(lambda new=new, more=more: add(book, "more", new, **more))) == (new, code)  # type: ignore[misc]
    assert plan_of(book).task("more") is None
    schema = {"type": "object", "properties": {"rows": {"type": "integer"}}}
    add(book, "promote", promote)
    code = book.refused(
        lambda: replanning.replan_task(book.acting("release-manager"), "IP-1", "promote", TaskChange(inputs=schema))
    )
    assert code == "G407"


@pytest.mark.parametrize(
    ("new", "needed"),
    [
        (NewTask(promote="shop-1.5.0", to="production"), "promote in production"),
        (NewTask(roll_back="production"), "rollback in production"),
        (NewTask(source="tools:purge"), "promote in production"),
        (NewTask(source="tools:move", parameters={"version": "1"}), "promote in production"),
        (NewTask(source="tools:healthy"), "environment:observe in production"),
    ],
)
def test_an_automated_task_needs_the_right_to_its_work(new: NewTask, needed: str) -> None:
    """Who runs plans and may not do the work adds no task that does it, and adds manual tasks."""
    book = Runbook()
    book.desk.write(ROLES, Role(name="coordinator", actions=(Action.RUN_IMPLEMENTATIONS, Action.VIEW)))
    book.desk.write(BINDINGS, Binding(role="coordinator", to="user:viewer", environment="*"))
    with pytest.raises(OrchestratorError) as error:
        add(book, "more", new, by="viewer")
    assert (error.value.code, needed.partition(" ")[0] in str(error.value)) == ("A101", True)
    assert add(book, "more", NewTask(), by="viewer").added_by == "viewer"


def test_no_task_that_has_started_comes_after_a_new_one() -> None:
    """A ready task waits again for one that was put before it; a task that was started, needs help or has ended does not."""
    book = Runbook()
    add(book, "first", NewTask(before=("announce",)))
    assert book.states() == ["pending", "pending", "pending", "pending", "ready"]
    tasks.complete_task(book.acting("release-manager"), "IP-1", "first")
    tasks.request_help(book.acting("operator"), "IP-1", "announce")
    assert book.refused(lambda: add(book, "more", NewTask(before=("announce",)))) == "G407"
    tasks.begin_task(book.acting("operator"), "IP-1", "announce")
    assert book.refused(lambda: add(book, "more", NewTask(before=("check", "announce")))) == "G407"
    tasks.complete_task(book.acting("operator"), "IP-1", "announce")
    assert book.refused(lambda: add(book, "more", NewTask(before=("announce",)))) == "G407"
    assert book.states() == ["done", "ready", "pending", "pending", "done"]


def test_a_plan_has_a_largest_number_of_tasks() -> None:
    """A task beyond the limit is refused with its code."""
    book = Runbook()
    found = plan_of(book)
    many = [found.tasks[3].model_copy(update={"name": f"more-{number}"}) for number in range(MOST_TASKS - 4)]
    book.desk.write(IMPLEMENTATION_PLANS, found.with_tasks(many))
    assert book.refused(lambda: add(book, "one", NewTask())) == "G407"


def test_a_plan_of_a_run_gets_no_task_for_its_environment() -> None:
    """A run holds its environment until its plan has ended: what would change it, or a place that is not known, is refused."""
    book = Runbook()
    inside = {"run": "0000aa-production", "environment": "production", "step": "implement.switch", "waiting": True}
    book.desk.write(IMPLEMENTATION_PLANS, plan_of(book).model_copy(update=inside))
    schema = {"type": "object", "properties": {"place": {"type": "string"}}}
    add(book, "measure", NewTask(), inputs=schema)
    for new in (
        NewTask(promote="shop-1.5.0", to="production"),
        NewTask(roll_back="production"),
        NewTask(source="tools:move", parameters={"version": "1"}),
        NewTask(source="tools:anywhere"),
    ):
        assert book.refused(lambda new=new: add(book, "more", new, after=("measure",))) == "G410"  # type: ignore[misc]
    add(book, "elsewhere", NewTask(promote="shop-1.5.0", to="staging"))
    add(book, "gate", NewTask(source="tools:healthy"))
    add(book, "command", NewTask(source="tools:purge"))


def test_a_rehearsal_does_not_execute_what_is_added() -> None:
    """In a rehearsal an automated task that is added records what it would do."""
    book, done = Runbook(rehearsal=True), MemoryExecutions()
    add(book, "back", NewTask(roll_back="production", to_version="1.4.0"))
    work(book, done)
    found = plan_of(book).task("back")
    assert found is not None
    assert (found.note, done.calls) == ("rehearsal: it would roll back production to 1.4.0", 0)


NEW = (
    NewTask(before=("check",)),
    NewTask(kind="decision", before=("announce", "close")),
    NewTask(promote="shop-1.5.0", to="production", before=("decide",)),
    NewTask(roll_back="production"),
    NewTask(source="tools:purge", before=("announce",)),
    NewTask(source="tools:healthy", before=("check", "close")),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "done", "begin", "skip", "work", "run", "end"]), st.integers(0, 5), st.booleans()
    ),
    max_size=18,
)
OPEN = {TaskState.PENDING, TaskState.READY}


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_whenever_processes_die_an_added_task_is_whole_and_done_once(steps: list[tuple[str, int, bool]]) -> None:
    """A task is added with its order or not at all, comes before nothing that has started, and its work starts once."""
    book, runs, machine = Runbook(), MemoryExecutions(), MemoryWorks()
    for name, number, crash in steps:
        acting = book.acting("system" if name == "work" else "release-manager")
        if crash:
            acting = replace(acting, register=cast("Register", Dying(book.desk.register)))
        before = plan_of(book)
        names = [task.name for task in before.tasks]
        with contextlib.suppress(OrchestratorError, Died):
            if name == "add":
                new = NEW[number]
                additions.add_task(acting, "IP-1", f"more-{number}", Tools(), TaskChange(), "x", new)
            elif name == "work":
                list(execute_tasks(runs, acting))
            elif name == "run":
                roots = [task.root for task in before.tasks if task.root and (task.command or task.gate)]
                run_task(acting, roots[number % len(roots)] if roots else "", machine)
            elif name == "end":
                runs.end("done")
            else:
                call = {"done": tasks.complete_task, "begin": tasks.begin_task, "skip": tasks.skip_task}[name]
                call(acting, "IP-1", names[(number * 3) % len(names)], "x")
        after = plan_of(book)
        for task in after.tasks:
            was = before.task(task.name)
            if was is None:
                assert not crash
                assert all(task.name in (after.task(each) or task).after for each in NEW[number].before)
            elif was.after != task.after:
                assert was.state in OPEN
                assert was.started_at is None
                assert task.state in OPEN, "what comes after a new task has not started"
    assert len(machine.started) == len(set(machine.started))
    by_root = [task.root for task in plan_of(book).tasks if task.root]
    assert len(by_root) == len(set(by_root))
