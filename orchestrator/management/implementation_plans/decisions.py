"""Use cases that start, change and end implementation plans. Each change has an entry in the audit stream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.app.acting import Acting, Change, change
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import parameters_of
from orchestrator.management.implementation_plans.model import ImplementationPlan
from orchestrator.management.implementation_plans.ports import ImplementationSources, TemplateFile
from orchestrator.management.implementation_plans.progress import Step
from orchestrator.management.implementation_plans.records import (
    NOUN,
    check_plan,
    outside_of,
    put_advanced,
    put_plan,
    put_step,
)
from orchestrator.management.implementation_plans.state import UNDER_WAY, PlanEvent, TaskEvent
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.templates import task_of, with_parameters
from orchestrator.management.implementation_plans.times import planned_times
from orchestrator.management.numbers import next_number


@dataclass(frozen=True)
class PlanStart:
    """How a plan starts: with *parameters*, at a time (None: now), for a planned *release*, or as a *rehearsal*.

    *owner* is responsible for it, by default the actor.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    start_at: datetime | None = None
    owner: str = ""
    release: str = ""
    rehearsal: bool = False


@forwarded
def start_plan(acting: Acting, name: str, sources: ImplementationSources, how: PlanStart) -> ImplementationPlan:
    """Start a plan from the template called *name*, or schedule it. Raises A110, G401, G402 and F-codes."""

    def work(task: Change) -> ImplementationPlan:
        return put_new(task, plan_of(task, sources.template(name), how, task.acting.actor))

    return change(acting, Action.RUN_IMPLEMENTATIONS, work)


def plan_of(task: Change, source: TemplateFile, how: PlanStart, actor: Actor) -> ImplementationPlan:
    """The plan that *actor* starts from *source*, which is not written yet. Raises G401."""
    at, template = task.now.earliest, source.template
    values, start_at = parameters_of(template, how.parameters), how.start_at or at
    return ImplementationPlan(
        number=next_number(task.records, NOUN),
        title=with_parameters(template.title, values),
        description=with_parameters(template.description, values),
        template=source.name,
        digest=source.digest,
        parameters=values,
        owner=how.owner or str(actor),
        release=how.release,
        rehearsal=how.rehearsal,
        start_at=start_at,
        created_at=at,
        created_by=str(actor),
        tasks=tuple(task_of(each, values, start_at, actor) for each in template.tasks),
    )


def put_new(task: Change, made: ImplementationPlan) -> ImplementationPlan:
    """Write the new plan *made*, and what is due of it at once. Raises A110, G402 and G407."""
    check_plan(task, made)
    put_plan(task, planned_times(made, outside_of(task, made)), "schedule", template=made.digest)
    return put_advanced(task, task.existing(IMPLEMENTATION_PLANS, made.id))


@forwarded
def abort_plan(acting: Acting, key: str, reason: str) -> ImplementationPlan:
    """End a plan with every task that has not ended. Raises A110, G101, and G403 without a reason.

    A worker ends what its tasks have started, and records what became of it.
    """

    def work(task: Change) -> ImplementationPlan:
        require_reason(reason, f"{key} is aborted")
        return put_aborted(task, task.existing(IMPLEMENTATION_PLANS, key), reason)

    return change(acting, Action.RUN_IMPLEMENTATIONS, work, reason=reason)


def put_aborted(task: Change, plan: ImplementationPlan, reason: str) -> ImplementationPlan:
    """Write the end of *plan* with all of its tasks."""
    at, by = task.now.earliest, str(task.acting.actor)
    ended = {"ended_at": at, "ended_by": by, "due_at": None}
    tasks = [
        each.after_event(TaskEvent.ABORT, plan.id, **ended, stopping=bool(each.root) and each.state in UNDER_WAY)
        for each in plan.tasks
        if not each.has_ended
    ]
    after = plan.with_tasks(tasks).after_event(PlanEvent.ABORT, ended_at=at, note=reason)
    return put_step(task, Step(after, PlanEvent.ABORT, note=reason))


def require_reason(reason: str, what: str) -> None:
    """Raise G403 unless there is a *reason* for *what*."""
    if not reason.strip():
        raise OrchestratorError("G403", f"{what}: give the reason", hint="-m WHY")


Work = Callable[[Change, ImplementationPlan], ImplementationPlan]


def change_plan(key: str, acting: Acting, work: Work, reason: str = "") -> ImplementationPlan:
    """The plan *key* after *work*, and after everything that is then due. Raises A110."""

    def whole(task: Change) -> ImplementationPlan:
        return put_advanced(task, work(task, task.existing(IMPLEMENTATION_PLANS, key)))

    return change(acting, Action.RUN_IMPLEMENTATIONS, whole, reason=reason)
