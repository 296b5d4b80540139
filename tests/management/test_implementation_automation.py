"""Automated tasks: each is requested once, whenever the process dies, and follows its run request or run to the end."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.implementation_plans import decisions, queries
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.automation import execute_tasks
from orchestrator.management.implementation_plans.model import Task
from orchestrator.management.implementation_plans.ports import Execution
from tests.management.test_implementation_use_cases import Died, Runbook

PROMOTE: dict[str, Any] = {
    "name": "promote",
    "kind": "automated",
    "promotion": {"package": "shop-1.5.0", "to": "production"},
}
AFTER = {"name": "check", "owner": "operator", "after": ["promote"]}


@dataclass
class MemoryExecutions:
    """Requests that are recorded by their roots, as the register does. *dies* is where the process dies next."""

    requested: dict[str, Task] = field(default_factory=dict)
    ended: dict[str, Execution] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    became: str | None = None
    calls: int = 0
    dies: str = ""
    refuses: str = ""

    def begin(self, task: Task) -> Execution:
        self.calls += 1
        if self.refuses:
            raise OrchestratorError(self.refuses, "no")
        self._die("before")
        self.requested.setdefault(task.root, task)
        self._die("after")
        return Execution(f"request-{task.root}")

    def current(self, task: Task) -> Execution:
        return self.ended.get(task.root, Execution(task.followed))

    def stop(self, task: Task, why: str) -> str | None:
        self.stopped[task.root] = why
        return self.became

    def end(self, ended: Any, note: str = "") -> None:
        for root in self.requested:
            self.ended.setdefault(root, Execution(f"request-{root}", ended, note))

    def _die(self, where: str) -> None:
        if self.dies == where:
            self.dies = ""
            raise Died


def work(book: Runbook, executions: MemoryExecutions) -> list[str]:
    return list(execute_tasks(executions, book.acting("system")))


def begun(**how: Any) -> tuple[Runbook, MemoryExecutions]:
    """A plan with a promotion and a check, as IP-2."""
    book = Runbook()
    book.start(PROMOTE, AFTER, **how)
    return book, MemoryExecutions()


def test_a_promotion_is_requested_followed_and_ends_its_task() -> None:
    """A task that is ready is started for the user who started the plan, followed, and done when its run has ended."""
    book, done = begun()
    assert work(book, done) == ["IP-2:promote is in-progress"]
    (task,) = done.requested.values()
    assert (str(task.actor), task.work, book.states("IP-2")) == (
        "release-manager", "promote shop-1.5.0 to production", ["in-progress", "pending"]
    )  # fmt: skip
    assert work(book, done) == []
    assert book.refused(lambda: tasks.complete_task(book.acting("release-manager"), "IP-2", "promote", "x")) == "G405"
    assert book.refused(lambda: tasks.begin_task(book.acting("release-manager"), "IP-2", "promote", "x")) == "G405"
    assert book.refused(lambda: tasks.skip_task(book.acting("release-manager"), "IP-2", "promote", "x")) == "G405"
    done.end("needs-help", "it needs intervention")
    assert work(book, done) == ["IP-2:promote is needs-help: it needs intervention"]
    assert work(book, done) == []
    done.ended.clear()
    done.end("done", "succeeded")
    assert work(book, done) == ["IP-2:promote is done: succeeded"]
    assert (book.states("IP-2"), done.calls) == (["done", "ready"], 1)


def test_what_is_refused_fails_its_task_and_is_retried_under_a_new_key() -> None:
    """A refused or failed promotion fails its task; a retry requests it anew, and a user may end it with a reason."""
    book, done = begun()
    done.refuses = "R106"
    assert work(book, done) == ["IP-2:promote is failed: no (R106)"]
    assert book.states("IP-2") == ["failed", "pending"]
    tasks.retry_task(book.acting("release-manager"), "IP-2", "promote")
    done.refuses = ""
    work(book, done)
    done.end("failed", "rolled back")
    assert work(book, done) == ["IP-2:promote is failed: rolled back"]
    tasks.retry_task(book.acting("release-manager"), "IP-2", "promote")
    work(book, done)
    assert len(done.requested) == 2
    done.end("failed")
    work(book, done)
    tasks.complete_task(book.acting("release-manager"), "IP-2", "promote", "promoted by hand")
    assert book.states("IP-2") == ["done", "ready"]


def test_an_abort_stops_what_was_requested_and_records_what_became_of_it() -> None:
    """After an abort the run is stopped for its reason, and the plan stays open until it is known what became of it."""
    book, done = begun()
    work(book, done)
    (root,) = done.requested
    decisions.abort_plan(book.acting("release-manager"), "IP-2", "wrong day")
    assert work(book, done) == []
    assert done.stopped == {root: "IP-2 was aborted by release-manager: wrong day"}
    assert [plan.id for plan in queries.list_plans(book.acting("viewer")).items] == ["IP-1", "IP-2"]
    done.became = "000002-production rolled-back"
    assert work(book, done) == ["IP-2:promote: 000002-production rolled-back"]
    assert work(book, done) == []
    task = queries.show_plan(book.acting("viewer"), "IP-2").plan.tasks[0]
    assert (task.state, task.evidence[0].text) == (
        "aborted", "promote shop-1.5.0 to production: 000002-production rolled-back"
    )  # fmt: skip
    assert [plan.id for plan in queries.list_plans(book.acting("viewer")).items] == ["IP-1"]


def test_a_rehearsal_executes_nothing() -> None:
    """In a rehearsal an automated task records what it would do, and nothing is requested."""
    book, done = begun(rehearsal=True)
    assert work(book, done) == ["IP-2:promote is done"]
    note = queries.show_plan(book.acting("viewer"), "IP-2").plan.tasks[0].note
    assert (note, done.calls) == ("rehearsal: it would promote shop-1.5.0 to production", 0)


@given(st.lists(st.sampled_from(["", "before", "after"]), max_size=8))
@settings(max_examples=40, deadline=None)
def test_whenever_a_process_dies_a_task_is_requested_once(deaths: list[str]) -> None:
    """Whether the process dies before or after the request, the next one finds it under its key, and one is made."""
    book, done = begun()
    for dies in [*deaths, "", ""]:
        done.dies = dies
        with contextlib.suppress(Died):
            work(book, done)
    assert len(done.requested) == 1
    done.end("done")
    work(book, done)
    assert book.states("IP-2") == ["done", "ready"]
