"""Commands, playbooks and gates of tasks: done once for the user who entered them, also if processes die in between."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.access.principals import Binding
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import BINDINGS
from orchestrator.management.implementation_plans import decisions, queries
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.automation import execute_tasks
from orchestrator.management.implementation_plans.evidence import EvidenceDraft, read_evidence
from orchestrator.management.implementation_plans.model import Task
from orchestrator.management.implementation_plans.works import WorkResult, run_task
from orchestrator.register_ports import Register
from tests.contracts.test_register import opened, register
from tests.management.test_implementation_automation import MemoryExecutions
from tests.management.test_implementation_use_cases import Died, Dying, Runbook

__all__ = ["opened", "register"]  # the fixtures
COMMAND: dict[str, Any] = {
    "name": "migrate",
    "kind": "automated",
    "command": {"environment": "production", "words": ["bin/migrate", "--all"]},
}
GATE: dict[str, Any] = {**COMMAND, "command": None, "gate": {"environment": "production", "command": ["true"]}}
DONE = WorkResult("done", "all rows", b"moved 7 rows\n")
AFTER = {"name": "check", "owner": "operator", "after": ["migrate"]}


@dataclass
class MemoryWorks:
    """Work on a machine that counts how often each job was started: a second call finds the first one. *dies* after it."""

    machine: str = "one"
    started: list[str] = field(default_factory=list)
    result: WorkResult = DONE
    stopped: list[str] = field(default_factory=list)
    dies: bool = False
    during: Callable[[], object] = lambda: None

    def stop(self, plan: str, task: Task) -> bytes:
        del plan
        self.stopped.append(task.root)
        return b"half\n"

    def perform(self, plan: str, task: Task, stopped: Callable[[], bool]) -> WorkResult:
        del plan
        if task.root not in self.started:
            self.started.append(task.root)
        if self.dies:
            self.dies = False
            raise Died
        self.during()
        return replace(self.result, ended="stopped", note="was stopped") if stopped() else self.result


def begun(register: Register | None = None, *more: dict[str, Any]) -> tuple[Runbook, str]:
    """A plan with a command as IP-2, whose work was requested; its root."""
    book = Runbook(register)
    book.start(*(more or (COMMAND, AFTER)))
    list(execute_tasks(MemoryExecutions(), book.acting("system")))
    return book, found(book).root


def found(book: Runbook) -> Task:
    return queries.show_plan(book.acting("viewer"), "IP-2").plan.tasks[0]


def test_work_is_done_once_and_its_output_is_kept(register: Register) -> None:
    """On every adapter: the plan names the work before it starts, its user does it, and the output is a log of the task."""
    book, root = begun(register)
    works, manager = MemoryWorks(), book.acting("release-manager")
    assert (found(book).work, found(book).state) == ("run bin/migrate --all for production", "in-progress")
    assert book.refused(lambda: run_task(book.acting("viewer"), root, works)) == "A101"
    book.desk.write(BINDINGS, Binding(role="release-manager", to="user:operator"))
    assert book.refused(lambda: run_task(book.acting("operator"), root, works)) == "G405"
    assert book.refused(lambda: run_task(manager, "0000", works)) == "A110"
    assert book.refused(lambda: run_task(manager, "", works)) == "A110"
    run_task(manager, root, works)
    run_task(manager, root, works)
    assert (book.states("IP-2"), works.started, found(book).machine) == (["done", "ready"], [root], "one")
    assert read_evidence(book.acting("viewer"), "IP-2", "migrate", "output.log").data == b"moved 7 rows\n"
    assert len(found(book).evidence) == 1


def test_what_another_machine_has_started_is_known_to_be_interrupted() -> None:
    """A second machine starts nothing again: the task fails, says where it was interrupted, and a user decides."""
    book, root = begun()
    manager, first, second = book.acting("release-manager"), MemoryWorks(dies=True), MemoryWorks("two")
    with pytest.raises(Died):
        run_task(manager, root, first)
    run_task(manager, root, second)
    assert (second.started, found(book).state) == ([], "failed")
    assert found(book).note == "interrupted on one: it is not known what was done"
    tasks.retry_task(manager, "IP-2", "migrate", "checked: nothing was done")
    list(execute_tasks(MemoryExecutions(), book.acting("system")))
    assert (found(book).root != root, found(book).machine) == (True, "")
    run_task(manager, found(book).root, second)
    assert book.states("IP-2") == ["done", "ready"]


def test_a_gate_is_checked_again_by_another_machine() -> None:
    """A gate changes nothing: another machine checks it again."""
    book, root = begun(None, GATE)
    with pytest.raises(Died):
        run_task(book.acting("release-manager"), root, MemoryWorks(dies=True))
    run_task(book.acting("release-manager"), root, MemoryWorks("two"))
    assert found(book).state == "done"


def test_an_abort_ends_the_work_and_records_what_became_of_it() -> None:
    """While the work runs the plan is aborted: the work is stopped, and the task has its end as evidence."""
    book, root = begun()
    works = MemoryWorks(during=lambda: decisions.abort_plan(book.acting("release-manager"), "IP-2", "wrong day"))
    run_task(book.acting("release-manager"), root, works)
    task = found(book)
    assert (task.state, task.evidence[0].text) == ("aborted", "run bin/migrate --all for production: was stopped")
    assert read_evidence(book.acting("viewer"), "IP-2", "migrate", "output.log").data == b"moved 7 rows\n"
    assert book.refused(lambda: run_task(book.acting("release-manager"), root, works)) == "A110"


@pytest.mark.parametrize(
    ("before", "machine", "said"),
    [
        (False, "one", "did not start"),
        (True, "one", "was stopped"),
        (True, "two", "interrupted on one: it is not known what was done"),
    ],
)
def test_work_of_an_aborted_plan_is_ended_and_not_started(*, before: bool, machine: str, said: str) -> None:
    """After an abort a call starts nothing: it ends the job that this machine has, and records what is known."""
    book, root = begun()
    if before:
        with pytest.raises(Died):
            run_task(book.acting("release-manager"), root, MemoryWorks(dies=True))
    decisions.abort_plan(book.acting("release-manager"), "IP-2", "wrong day")
    assert [plan.id for plan in queries.list_plans(book.acting("viewer")).items] == ["IP-1", "IP-2"]
    works = MemoryWorks(machine)
    run_task(book.acting("release-manager"), root, works)
    assert works.started == []
    assert works.stopped == ([root] if said == "was stopped" else [])
    assert found(book).evidence[0].text == f"run bin/migrate --all for production: {said}"
    assert [plan.id for plan in queries.list_plans(book.acting("viewer")).items] == ["IP-1"]


def test_a_failure_fails_the_task() -> None:
    """Work that fails fails its task, and nothing after it starts."""
    book, root = begun()
    run_task(book.acting("release-manager"), root, MemoryWorks(result=WorkResult("failed", "ended with 3")))
    assert (book.states("IP-2"), found(book).note) == (["failed", "pending"], "ended with 3")


def test_the_end_of_work_names_each_host_and_fits() -> None:
    """What a playbook did on each host is a text of evidence; a task that is full of evidence ends all the same."""
    hosts = tuple(f"web{number}: failed, may have been changed: {'x' * 90}" for number in range(300))
    book, root = begun()
    run_task(book.acting("release-manager"), root, MemoryWorks(result=WorkResult("failed", "no", b"x\n", hosts)))
    text, file = found(book).evidence
    assert (text.text.splitlines()[:2], file.kind) == (list(hosts[:2]), "file")
    assert text.text.splitlines()[-1] == "… of 300 hosts, as many as fit"
    full = EvidenceDraft(tuple(str(number) for number in range(97)))
    tasks.add_evidence(book.acting("release-manager"), "IP-2", "migrate", full)
    for _ in range(2):
        tasks.retry_task(book.acting("release-manager"), "IP-2", "migrate")
        list(execute_tasks(MemoryExecutions(), book.acting("system")))
        result = WorkResult("failed", "no", b"x\n", ("web1: failed, not changed",))
        run_task(book.acting("release-manager"), found(book).root, MemoryWorks(result=result))
        assert (found(book).state, len(found(book).evidence)) == ("failed", 100)


CRASHES = st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(["", "work", "commit"])), max_size=6)


@given(CRASHES)
@settings(max_examples=40, deadline=None)
def test_whenever_processes_die_no_work_is_started_twice(crashes: list[tuple[str, str]]) -> None:
    """Whichever machine takes the call, and wherever it dies, the work starts at most once over all machines."""
    book, root = begun()
    machines = {name: MemoryWorks(name) for name in ("one", "two")}
    for name, dies in [*crashes, ("one", "")]:
        works, acting = machines[name], book.acting("release-manager")
        works.dies = dies == "work"
        if dies == "commit":
            acting = replace(acting, register=cast("Register", Dying(book.desk.register)))
        with contextlib.suppress(Died, OrchestratorError):
            run_task(acting, root, works)
    starts = [root for works in machines.values() for root in works.started]
    assert len(starts) <= 1
    assert found(book).state in {"done", "failed"}
    assert (found(book).state == "done") is (len(starts) == 1 and "interrupted" not in found(book).note)
