"""`implementation/*.yaml`: the template of an implementation plan, with its parameters and tasks."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, Name
from orchestrator.domain.quantities import Duration
from orchestrator.domain.task_inputs import VALUE_REFERENCE, schema_faults, value_references
from orchestrator.domain.task_work import (
    WORKS,
    CommandTask,
    GateTask,
    PlaybookTask,
    PromotionTask,
    RollbackTask,
    Text,
)
from orchestrator.domain.text import nearest

REFERENCE = re.compile(r"\$\{\{\s*(parameters)\.([a-z0-9][a-z0-9-]*)\s*\}\}")
"""A reference in a text: `${{ parameters.version }}`."""
OPENING = "${{"
Path: TypeAlias = tuple[str | int, ...]

LongText = Annotated[str, StringConstraints(max_length=20_000)]
TaskKind = Literal["manual", "decision", "automated"]
OnTimeout = Literal["needs-help", "fail", "skip", "continue"]
"""What happens when the timeout of a task ends. With `continue` later tasks start, and the task stays open."""


class Parameter(Model):
    """A parameter of the template. Without a *default* a value is required."""

    description: Annotated[str, StringConstraints(max_length=1000)] = ""
    default: str | None = None


class TaskTemplate(Model):
    """A task of the template.

    *owner* is a user, *group* a group, who do it; without both it is the owner of the plan. It comes after the tasks
    *after*: names, or `IP-2:check`, `REL-1:deploy` and `REL-1` for what is in another plan. It does not start before
    *start*, counted from the start of the plan. *inputs* is the JSON Schema of what a user gives when it is done.
    """

    name: Name
    title: Text | None = None
    kind: TaskKind = "manual"
    instructions: LongText = ""
    owner: Text | None = None
    group: Text | None = None
    after: tuple[Text, ...] = ()
    start: Duration | None = None
    duration: Duration = "15m"
    timeout: Duration | None = None
    on_timeout: OnTimeout = "needs-help"
    inputs: dict[str, Any] | None = None
    promotion: PromotionTask | None = None
    rollback: RollbackTask | None = None
    command: CommandTask | None = None
    playbook: PlaybookTask | None = None
    gate: GateTask | None = None

    @model_validator(mode="after")
    def _has_one_work(self) -> Self:
        works = [name for name in WORKS if getattr(self, name) is not None]
        if len(works) != (self.kind == "automated"):
            text = ", ".join(WORKS)
            raise ValueError(f"{text}: an automated task has one of them, and no other task has any")
        if self.kind == "automated" and self.inputs is not None:
            raise ValueError("inputs: a user gives them, and no user does an automated task")
        return self

    @model_validator(mode="after")
    def _has_one_owner(self) -> Self:
        if self.owner is not None and self.group is not None:
            raise ValueError("has an owner and a group: give one of them")
        return self


class ImplementationTemplate(Model):
    """The template of an implementation plan."""

    apiVersion: Literal["orchestrator/v1"]
    kind: Literal["ImplementationTemplate"]
    title: Text
    description: LongText = ""
    parameters: dict[Name, Parameter] = Field(default={})
    tasks: tuple[TaskTemplate, ...] = Field(min_length=1, max_length=500)


def parameters_of(template: ImplementationTemplate, given: Mapping[str, str]) -> dict[str, str]:
    """The value of each parameter of *template*. Raises G401 for a missing or unknown one."""
    known = template.parameters
    for name in given:
        if name not in known:
            hint = nearest(name, sorted(known)) if known else None
            raise OrchestratorError("G401", f"the plan has no parameter {name}", hint=hint)
    values = {name: given.get(name, known[name].default) for name in known}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        hint = " ".join(f"--parameter {name}=…" for name in missing)
        raise OrchestratorError("G401", f"a value is missing for: {', '.join(missing)}", hint=hint)
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Fault:
    """Something wrong at *path* in a file: *text*. *name* was written, *known* are the names that exist."""

    path: Path
    text: str
    name: str = ""
    known: tuple[str, ...] = ()


def each_text(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in plain *data* with its path."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from each_text(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from each_text(value, (*path, index))


def map_texts(data: Any, change: Callable[[str], str]) -> Any:
    """Plain *data* with *change* applied to each of its texts."""
    if isinstance(data, str):
        return change(data)
    if isinstance(data, dict):
        return {key: map_texts(value, change) for key, value in data.items()}
    if isinstance(data, list):
        return [map_texts(value, change) for value in data]
    return data


def template_faults(data: dict[str, Any]) -> Iterator[Fault]:
    """What of a file's plain *data* names a task or a parameter wrongly."""
    listed = data.get("tasks")
    tasks = {i: task for i, task in enumerate(listed if isinstance(listed, list) else ()) if isinstance(task, dict)}
    yield from _task_faults(tasks)
    parameters = data.get("parameters")
    known = tuple(parameters) if isinstance(parameters, dict) else ()
    for index, task in tasks.items():
        for path, text in each_text({key: value for key, value in task.items() if key != "inputs"}, ("tasks", index)):
            yield from reference_faults(path, text, known)
        inputs = task.get("inputs")
        if isinstance(inputs, dict):
            yield from (Fault(("tasks", index, "inputs", *where), text) for where, text in schema_faults(inputs))
    yield from _value_faults(tasks)


def _task_faults(tasks: dict[int, dict[str, Any]]) -> Iterator[Fault]:
    names = tuple(task["name"] for task in tasks.values() if isinstance(task.get("name"), str))
    for index, task in tasks.items():
        name = task.get("name")
        if name in [other.get("name") for place, other in tasks.items() if place < index]:
            yield Fault(("tasks", index, "name"), f"the task {name} appears twice")
        yield from _after_faults(index, task, tuple(other for other in names if other != name))
    yield from _circle_faults(tasks)


def _after_faults(index: int, task: dict[str, Any], others: tuple[str, ...]) -> Iterator[Fault]:
    for place, other in enumerate(_after(task)):
        if is_own(other) and other not in others:
            text = f"{task.get('name')} comes after {other}, which is not another task"
            yield Fault(("tasks", index, "after", place), text, other, others)


def _circle_faults(tasks: dict[int, dict[str, Any]]) -> Iterator[Fault]:
    graph = {str(task.get("name")): _after(task) for task in tasks.values()}
    circle = find_circle({name: [a for a in needs if a in graph and a != name] for name, needs in graph.items()})
    if circle:
        first = next(index for index, task in tasks.items() if task.get("name") == circle[0])
        yield Fault(("tasks", first, "after"), f"tasks depend on each other: {', '.join(circle)}")


VALUED = frozenset({"title", "instructions", *WORKS})
"""The fields of a task whose texts can refer to the inputs of tasks before it."""


def _value_faults(tasks: dict[int, dict[str, Any]]) -> Iterator[Fault]:
    """References to inputs that no task before has, and in fields that have none."""
    named = {str(task.get("name")): task for task in tasks.values()}
    for index, task in tasks.items():
        for path, text in each_text(task, ("tasks", index)):
            references = value_references(text) if path[2] != "inputs" else ()
            if references and path[2] not in VALUED:
                yield Fault(path, f"{path[2]} cannot refer to the inputs of a task: they are given while the plan runs")
            for other, name in references:
                wrong = wrong_reference(str(task.get("name")), other, name, tasks_before(task, named), named)
                if wrong:
                    yield Fault(path, wrong)


def tasks_before(task: dict[str, Any], named: dict[str, dict[str, Any]]) -> set[str]:
    """The names of the tasks among *named* that end before *task* starts."""
    found, left = set[str](), _after(task)
    while left:
        name = left.pop()
        if name in named and name not in found:
            found.add(name)
            left += _after(named[name])
    return found


def wrong_reference(task: str, other: str, name: str, before: set[str], named: dict[str, dict[str, Any]]) -> str:
    """What is wrong with the reference of *task* to the input *name* of the task *other*; empty if nothing is."""
    if other not in named:
        return f"{task} uses an input of {other}, which is not another task"
    if other not in before:
        return f"{task} uses an input of {other}, but does not come after it"
    properties = (named[other].get("inputs") or {}).get("properties")
    return "" if isinstance(properties, dict) and name in properties else f"{other} has no input {name}"


def _after(task: dict[str, Any]) -> list[str]:
    after = task.get("after")
    return [other for other in after if isinstance(other, str)] if isinstance(after, (list, tuple)) else []


def is_own(after: str) -> bool:
    """Whether *after* names a task of the same plan, and by nothing but its name."""
    return OPENING not in after and re.match(r"^(IP|REL)-[0-9]+", after) is None


def find_circle(graph: dict[str, list[str]]) -> list[str]:
    """The names of *graph*, each with those it depends on, that depend on each other; empty without any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])[1:]
    return []


def reference_faults(path: Path, text: str, parameters: tuple[str, ...]) -> Iterator[Fault]:
    """What references in *text* name wrongly."""
    found = list(REFERENCE.finditer(text))
    if text.count(OPENING) > len(found) + len(VALUE_REFERENCE.findall(text)):
        text = f"a reference is written {OPENING} parameters.NAME }}}}, or {OPENING} tasks.TASK.INPUT }}}}"
        yield Fault(path, text)
    for match in found:
        name = match[2]
        if name not in parameters:
            yield Fault(path, f"there is no parameter {name}", name, parameters)


def step_parameters(
    template: ImplementationTemplate, given: Mapping[str, str], environment: str, version: str, *, undoes: bool
) -> dict[str, str]:
    """The parameters of a plan that a step starts, from those *given* in its release, with *environment* and *version*.

    If it *undoes* the plan of the step, it gets those of them that it has. Raises G401.
    """
    known = {"environment": environment, "version": version, **(given if undoes else {})}
    found = {name: value for name, value in known.items() if name in template.parameters}
    return parameters_of(template, {**found, **({} if undoes else given)})
