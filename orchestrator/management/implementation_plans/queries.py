"""What users see of implementation plans: lists, and one with its expected times and its critical path."""

from dataclasses import dataclass

from orchestrator.app.acting import Acting, View, read_own, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.register import ENDED, OPEN
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.ports import ImplementationSources
from orchestrator.management.implementation_plans.progress import missing_of
from orchestrator.management.implementation_plans.records import doers, outside_of, outside_state
from orchestrator.management.implementation_plans.state import ACTIVE, TaskState
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.times import Schedule, schedule


@dataclass(frozen=True)
class ShownPlan:
    """A *plan* with its expected times and critical path (*schedule*), and what each pending task waits for.

    *mine* are the names of the tasks that the actor does, as their owner or as a member of their group.
    """

    plan: ImplementationPlan
    schedule: Schedule
    waits_for: dict[str, tuple[str, ...]]
    mine: tuple[str, ...] = ()


@forwarded
def list_plans(
    acting: Acting, *, ended: bool = False, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[ImplementationPlan]:
    """A page of the plans, by their start; by default those that have not ended."""
    parts = [OPEN, ENDED] if ended else [OPEN]

    def work(view: View) -> Page[ImplementationPlan]:
        return view.records.page(IMPLEMENTATION_PLANS, parts, cursor=cursor, limit=limit)

    return read_register(acting, Action.VIEW, work)


@forwarded
def show_plan(acting: Acting, key: str) -> ShownPlan:
    """One plan, for users who may view the project, or do a task of the plan. Raises A101 and A110."""
    return read_own(acting, lambda view: view_plan(view, require_sight(view, key)))


def require_sight(view: View, key: str) -> ImplementationPlan:
    """The plan *key*, if the actor may view the project, or does a task of the plan. Raises A101 and A110."""
    plan = view.records.get(IMPLEMENTATION_PLANS, key)
    user = str(view.acting.actor)
    if plan is None or not any(user in doers(view, plan, task) for task in plan.tasks):
        view.require(Action.VIEW)
    return view.existing(IMPLEMENTATION_PLANS, key)


@forwarded
def show_task(acting: Acting, key: str, name: str) -> tuple[ShownPlan, Task]:
    """One plan with its task *name*. Raises A101 and A110."""
    found = show_plan(acting, key)
    task = found.plan.task(name)
    if task is None:
        raise unknown("task", name, [each.name for each in found.plan.tasks])
    return found, task


def view_plan(view: View, plan: ImplementationPlan) -> ShownPlan:
    """*plan* as users see it."""
    pending = [task for task in plan.tasks if task.state is TaskState.PENDING]
    waits = {task.name: missing_of(plan, task, lambda key: outside_state(view, key)[0]) for task in pending}
    at, user = plan.ended_at or view.now.earliest, str(view.acting.actor)
    return ShownPlan(
        plan,
        schedule(plan, at, outside_of(view, plan)),
        {name: keys for name, keys in waits.items() if keys},
        tuple(task.name for task in plan.tasks if user in doers(view, plan, task)),
    )


@forwarded
def list_templates(acting: Acting, sources: ImplementationSources) -> tuple[str, ...]:
    """The names of the templates in `implementation/`. Raises A101."""
    return read_register(acting, Action.VIEW, lambda _: sources.template_names())


@forwarded
def own_tasks(acting: Acting) -> tuple[tuple[ImplementationPlan, Task], ...]:
    """The tasks that wait for the actor, with their plans."""

    def work(view: View) -> tuple[tuple[ImplementationPlan, Task], ...]:
        plans = view.records.all(IMPLEMENTATION_PLANS, OPEN)
        user = str(view.acting.actor)
        return tuple(
            (plan, task)
            for plan in plans
            for task in plan.tasks
            if task.state in ACTIVE and user in doers(view, plan, task)
        )

    return read_own(acting, work)
