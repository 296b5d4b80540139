"""The use case that adds a task to a plan, also while it runs.

What runs a program, or connects to a server with the secrets of a worker, is a task of a template: who starts plans
chooses among what the project has, and does not write it. A promotion and a rollback need no template, because the
rules of promotions decide about them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from orchestrator.app.acting import Acting, Change, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import REFERENCE, TaskTemplate, each_text, parameters_of
from orchestrator.domain.task_inputs import value_references
from orchestrator.management.implementation_plans.decisions import change_plan, require_reason
from orchestrator.management.implementation_plans.model import MOST_TASKS, ImplementationPlan, Task, TaskSpan
from orchestrator.management.implementation_plans.ports import ImplementationSources, TemplateFile
from orchestrator.management.implementation_plans.replanning import (
    TaskChange,
    checked_task,
    has_begun,
    put_replanned,
    with_change,
)
from orchestrator.management.implementation_plans.templates import task_of
from orchestrator.management.implementation_plans.works import check_inside, work_right


@dataclass(frozen=True)
class NewTask:
    """What a task is that is added: a manual task or a decision (*kind*), or one of the others.

    A promotion of the kept package *promote* to the environment *to*; a rollback of *roll_back* to *to_version*,
    without it to the last verified one; or the task *source* of a template (`tools:purge`) with *parameters*. A
    parameter that is not given has the value of the plan, or its default. The tasks *before* come after the new one.
    """

    kind: Literal["", "manual", "decision"] = ""
    promote: str = ""
    to: str = ""
    roll_back: str = ""
    to_version: str = ""
    source: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()

    def check(self, name: str) -> None:
        """Raise G407 unless what it states belongs together, as *name* is entered."""
        ways = [way for way in (self.kind, self.promote, self.roll_back, self.source) if way]
        faults = {
            "one of kind, promotion, rollback and template is possible": len(ways) > 1,
            "a promotion has a package and an environment": bool(self.promote) != bool(self.to),
            "a version is that of a rollback": bool(self.to_version) and not self.roll_back,
            "parameters are those of a task of a template": bool(self.parameters) and not self.source,
        }
        for text, is_wrong in faults.items():
            if is_wrong:
                raise OrchestratorError("G407", f"{name}: {text}")

    @property
    def work(self) -> dict[str, Any]:
        """The fields of a task that promotes or rolls back; none for another one."""
        if self.promote:
            return {"promotion": {"package": self.promote, "to": self.to}}
        return {"rollback": {"environment": self.roll_back, "to": self.to_version or None}} if self.roll_back else {}


MANUAL = NewTask()


@forwarded
def add_task(
    acting: Acting,
    key: str,
    name: str,
    sources: ImplementationSources,
    wanted: TaskChange,
    reason: str = "",
    new: NewTask = MANUAL,
) -> ImplementationPlan:
    """Add a task to a plan that has not ended. An automated task needs the right to its work, and a reason.

    Raises A101, A110, F-codes, G101, G401 to G403, G407 for a name that is taken, and G410.
    """

    def work(task: Change, plan: ImplementationPlan) -> ImplementationPlan:
        if plan.task(name) is not None:
            raise OrchestratorError("G407", f"{plan.id} has a task {name}")
        if len(plan.tasks) >= MOST_TASKS:
            raise OrchestratorError("G407", f"{plan.id} has {MOST_TASKS} tasks, and no plan has more")
        at = max(task.now.earliest, plan.start_at)
        new.check(f"{plan.id}:{name}")
        made = _from_template(task, plan, name, sources, new, at) if new.source else _plain(task, name, wanted, new, at)
        added = with_change(made, wanted, at).model_copy(update={"added_by": str(task.acting.actor)})
        if added.kind == "automated":
            _check_work(task, plan, added, reason)
        moved = tuple(_behind(plan, each, name) for each in dict.fromkeys(new.before))
        detail = {"work": added.work, "source": added.source, "before": list(new.before)}
        known = {key_: value for key_, value in detail.items() if value}
        return put_replanned(task, plan, (added, *moved), reason, added=name, **known)

    return change_plan(key, acting, work, reason)


def _plain(change: Change, name: str, wanted: TaskChange, new: NewTask, at: datetime) -> Task:
    """The task *name*, which no template has."""
    lasts = 900 if wanted.duration_s is None else round(wanted.duration_s)
    begin = wanted.start or at
    return checked_task(
        name=name,
        title=wanted.title or name,
        kind="automated" if new.work else new.kind or "manual",
        **new.work,
        actor=change.acting.actor if new.work else None,
        duration_s=lasts,
        planned=TaskSpan(start=begin, end=begin + timedelta(seconds=lasts)),
    )


def _from_template(
    change: Change, plan: ImplementationPlan, name: str, sources: ImplementationSources, new: NewTask, at: datetime
) -> Task:
    """The task of a template with its parameters. Its place in the plan is not that in its template."""
    file_name, _, task_name = new.source.partition(":")
    source = sources.template(file_name)
    known = [each.name for each in source.template.tasks]
    found = next((each for each in source.template.tasks if each.name == task_name), None)
    if found is None:
        raise unknown("task", new.source, [f"{file_name}:{each}" for each in known])
    values = _parameters(source, found, plan, new.parameters)
    placed = found.model_copy(update={"name": name, "after": (), "start": None})
    made = task_of(placed, values, at, change.acting.actor)
    return checked_task(**{**dict(made), "source": f"{new.source} ({source.digest})"})


def _parameters(
    source: TemplateFile, found: TaskTemplate, plan: ImplementationPlan, given: Mapping[str, str]
) -> dict[str, str]:
    """The values of the parameters of the task *found*: those *given*, those of *plan*, or defaults. Raises G401."""
    texts = [text for field_, text in each_text(found.to_json()) if field_[0] not in {"name", "after"}]
    used = {match[2] for text in texts for match in REFERENCE.finditer(text)}
    known = {each: about for each, about in source.template.parameters.items() if each in used}
    own = {each: plan.parameters[each] for each in known if each in plan.parameters}
    return parameters_of(source.template.model_copy(update={"parameters": known}), {**own, **given})


def _check_work(change: Change, plan: ImplementationPlan, made: Task, reason: str) -> None:
    """Raise A101 without the right to its work, A110 for an unknown environment, G403 without a reason, and G410."""
    for work in made.works:
        action, environment = work_right(work)
        if not value_references(environment):
            if environment not in change.acting.environments:
                raise unknown("environment", environment, list(change.acting.environments))
            change.require(action, environment)
    require_reason(reason, f"{plan.id}:{made.name}, which would {made.work}, is added")
    if plan.run:
        check_inside(plan.run, plan.environment, (made,))


def _behind(plan: ImplementationPlan, key: str, name: str) -> Task:
    """The task *key* of *plan*, which comes after the new task *name*. Raises A110, and G407 if it has started."""
    found = plan.task(key)
    if found is None:
        raise unknown("task", key, [each.name for each in plan.tasks])
    if found.has_ended or has_begun(found):
        raise OrchestratorError("G407", f"{plan.id}:{key} has started: it cannot come after {name}")
    return checked_task(**{**dict(found), "after": (*found.after, name)})
