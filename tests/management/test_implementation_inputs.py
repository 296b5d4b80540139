"""Typed inputs of tasks: their values are recorded when a task is done, and later tasks use them."""

from functools import partial
from typing import Any

import pytest

from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.implementation_plans import additions, queries, replanning
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.implementation_plans.replanning import TaskChange
from orchestrator.register_ports import Register
from tests.contracts.test_register import opened, register
from tests.management.sources import ImplementationFacts
from tests.management.test_implementation_automation import MemoryExecutions, work
from tests.management.test_implementation_use_cases import Runbook

__all__ = ["opened", "register"]  # the fixtures
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"version": {"type": "string"}, "rows": {"type": "integer"}},
    "required": ["version"],
}
MEASURE: dict[str, Any] = {"name": "measure", "owner": "operator", "inputs": SCHEMA}
TELL: dict[str, Any] = {
    "name": "tell",
    "owner": "viewer",
    "after": ["measure"],
    "title": "Announce ${{ tasks.measure.version }}",
    "instructions": "It has ${{ tasks.measure.rows }} rows.",
}
PROMOTE: dict[str, Any] = {
    "name": "promote",
    "kind": "automated",
    "after": ["tell"],
    "promotion": {"package": "shop-${{ tasks.measure.version }}", "to": "production"},
}


def shown(book: Runbook, name: str, key: str = "IP-2") -> Any:
    found = queries.show_plan(book.acting("viewer"), key).plan.task(name)
    assert found is not None
    return found


def test_values_are_recorded_and_used_by_later_tasks(register: Register) -> None:
    """On every adapter: values are checked and typed, and fill the texts and the work of later tasks once those are ready."""
    book = Runbook(register)
    book.start(MEASURE, TELL, PROMOTE)
    operator = book.acting("operator")
    for wrong in ({}, {"version": "1.5.0", "rows": "many"}, {"version": "1.5.0", "row": "1"}):
        assert book.refused(partial(tasks.complete_task, operator, "IP-2", "measure", inputs=wrong)) == "G408"
    assert shown(book, "tell").title == "Announce ${{ tasks.measure.version }}"
    tasks.complete_task(operator, "IP-2", "measure", inputs={"version": "1.5.0", "rows": "7"})
    assert shown(book, "measure").values == {"version": "1.5.0", "rows": 7}
    assert (shown(book, "tell").title, shown(book, "tell").instructions) == ("Announce 1.5.0", "It has 7 rows.")
    assert "IP-2:tell 'Announce 1.5.0' is ready to be done" in book.messages("viewer")
    assert (
        book.refused(lambda: tasks.complete_task(book.acting("viewer"), "IP-2", "tell", inputs={"version": "1"}))
        == "G408"
    )
    tasks.complete_task(book.acting("viewer"), "IP-2", "tell")
    assert shown(book, "promote").work == "promote shop-1.5.0 to production"
    done = MemoryExecutions()
    work(book, done)
    (task,) = done.requested.values()
    assert task.promotion is not None
    assert task.promotion.package == "shop-1.5.0"


def test_an_automated_task_without_its_value_fails_and_starts_nothing() -> None:
    """A skipped task gives no values: what would use them in its work fails by name, and requests nothing."""
    book, done = Runbook(), MemoryExecutions()
    book.start(MEASURE, {**PROMOTE, "after": ["measure"]})
    tasks.skip_task(book.acting("operator"), "IP-2", "measure", "not measured")
    assert work(book, done) == ["IP-2:promote is failed: no value that fits was given for measure.version"]
    assert done.calls == 0


def test_a_decision_has_inputs_when_it_is_go() -> None:
    """A decision go is recorded with its inputs, and a no-go without any."""
    book = Runbook()
    operator = book.acting("operator")
    for key in ("IP-2", "IP-3"):
        book.start({**MEASURE, "kind": "decision"})
        assert book.refused(partial(tasks.decide_task, operator, key, "measure", go=True)) == "G408"
    tasks.decide_task(book.acting("operator"), "IP-2", "measure", go=True, inputs={"version": "2"})
    assert shown(book, "measure").values == {"version": "2"}
    assert tasks.decide_task(book.acting("operator"), "IP-3", "measure", go=False, reason="red").has_ended


def test_inputs_are_edited_while_a_plan_runs() -> None:
    """Inputs are added and removed; a secret, and a reference to what no task before has, are refused."""
    book = Runbook()
    manager = book.acting("release-manager")
    book.start(MEASURE, TELL)

    def code(name: str, change: TaskChange) -> str:
        with pytest.raises(OrchestratorError) as error:
            replanning.replan_task(manager, "IP-2", name, change)
        return error.value.code

    assert code("measure", TaskChange(inputs={})) == "G402"
    assert code("measure", TaskChange(inputs={"type": "object", "properties": {"password": {}}})) == "G407"
    assert code("measure", TaskChange(title="x ${{ tasks.tell.version }}")) == "G402"
    assert code("tell", TaskChange(title="x ${{ tasks.measure.version }}", after=("measure", "nothing"))) == "G402"
    replanning.replan_task(manager, "IP-2", "tell", TaskChange(title="Tell", instructions=""))
    replanning.replan_task(manager, "IP-2", "measure", TaskChange(inputs={}))
    assert shown(book, "measure").inputs is None
    additions.add_task(manager, "IP-2", "count", ImplementationFacts(), TaskChange(inputs=SCHEMA))
    assert shown(book, "count").inputs == SCHEMA


def test_a_value_that_does_not_fit_is_cut_or_refused() -> None:
    """A value that is too long is cut in a title, and is not used in the work of a task, which fails then."""
    book, done = Runbook(), MemoryExecutions()
    book.start(MEASURE, TELL, {**PROMOTE, "after": ["measure"]})
    tasks.complete_task(book.acting("operator"), "IP-2", "measure", inputs={"version": "9" * 300})
    assert len(shown(book, "tell").title) == 200
    work(book, done)
    assert (shown(book, "promote").state, done.calls) == ("failed", 0)
