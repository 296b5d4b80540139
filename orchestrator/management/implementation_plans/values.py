"""The values that users give for the inputs of tasks, and their use in the texts of later tasks."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import each_text, is_own, map_texts, tasks_before, wrong_reference
from orchestrator.domain.model import Model
from orchestrator.domain.task_inputs import schema_faults, typed_values, value_references, with_values
from orchestrator.domain.task_work import WORKS
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task

M = TypeVar("M", bound=Model)
LONGEST_TITLE, LONGEST_INSTRUCTIONS = 200, 20_000


def filled_fields(plan: ImplementationPlan, task: Task) -> dict[str, Any]:
    """The fields of *task* whose texts refer to inputs, with the values that are known at this time."""
    values = {each.name: each.values for each in plan.tasks}

    def filled(text: str) -> str:
        return with_values(text, values)

    found: dict[str, Any] = {}
    for name, longest in (("title", LONGEST_TITLE), ("instructions", LONGEST_INSTRUCTIONS)):
        before: str = getattr(task, name)
        if value_references(before):
            found[name] = _clipped(filled(before).strip(), longest) or task.name
    for name in WORKS:
        work: Model | None = getattr(task, name)
        if work is not None and _references(work):
            found[name] = _filled_work(work, filled)
    return found


def _clipped(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _filled_work(work: M, filled: Callable[[str], str]) -> M:
    """*work* with its references filled; as it is if a value does not fit where it is used."""
    try:
        return type(work).from_json(map_texts(work.to_json(), filled))
    except ValidationError:
        return work


def _references(data: Any) -> tuple[tuple[str, str], ...]:
    plain = data.to_json() if isinstance(data, Model) else data
    return tuple(found for _, text in each_text(plain) for found in value_references(text))


def missing_values(task: Task) -> tuple[str, ...]:
    """The inputs to which the work of *task* refers, and which have no value that fits: `measure.rows`."""
    found = [reference for name in WORKS for reference in _references(getattr(task, name))]
    return tuple(dict.fromkeys(f"{other}.{name}" for other, name in found))


def given_values(plan: str, task: Task, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the inputs of *task*. Raises G408."""
    if task.inputs is None:
        if inputs:
            raise OrchestratorError("G408", f"{plan}:{task.name} has no inputs")
        return {}
    try:
        return typed_values(task.inputs, inputs)
    except ValueError as error:
        names = [f"--input {name}=…" for name in task.inputs["properties"]]
        raise OrchestratorError("G408", f"{plan}:{task.name}: {error}", hint=" ".join(names[:10])) from error


def _schema_fault(task: Task) -> str:
    """The first fault of the schema of the inputs of *task*; empty if it has none, or has ended."""
    if task.inputs is None or task.has_ended:
        return ""
    if task.kind == "automated":
        return "no user does an automated task, and gives inputs"
    return next((fault for _, fault in schema_faults(task.inputs)), "")


def check_inputs(plan: ImplementationPlan) -> None:
    """Raise G407 for a wrong schema of inputs, and G402 for a reference to an input that no task before has."""
    named = {task.name: {"after": tuple(filter(is_own, task.after)), "inputs": task.inputs} for task in plan.tasks}
    for task in plan.tasks:
        fault = _schema_fault(task)
        if fault:
            raise OrchestratorError("G407", f"{plan.id}:{task.name}: {fault}")
        before = tasks_before(named[task.name], named)
        used = (task.title, task.instructions, *(getattr(task, name) for name in WORKS))
        for other, name in (found for each in used if each is not None for found in _references(each)):
            text = wrong_reference(task.name, other, name, before, named) if not task.has_ended else ""
            if text:
                raise OrchestratorError("G402", f"{plan.id}: {text}")
