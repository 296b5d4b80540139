"""How implementation plans are read and written: with an audit entry for each event, and messages to users."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from orchestrator.app.acting import Change, View, unknown
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import find_circle, is_own
from orchestrator.domain.text import nearest, with_reason
from orchestrator.management.implementation_plans.model import ImplementationPlan, Task
from orchestrator.management.implementation_plans.progress import Step, due_steps
from orchestrator.management.implementation_plans.state import PlanEvent, PlanState, TaskEvent
from orchestrator.management.implementation_plans.store import IMPLEMENTATION_PLANS
from orchestrator.management.implementation_plans.times import Outside
from orchestrator.management.implementation_plans.values import check_inputs
from orchestrator.management.messages import Subject, notify_once
from orchestrator.management.planned_releases.state import ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES

NOUN = "implementation-plan"
RELEASED = frozenset({ReleaseState.RELEASED, ReleaseState.CLOSED})


def outside_state(view: View, key: str) -> tuple[bool, datetime | None]:
    """Whether what has *key* outside of a plan has succeeded, and when it does. The time is None if it is unknown.

    *key* is `IP-2:check`, `REL-1:deploy` or `REL-1`.
    """
    name, _, part = key.partition(":")
    if name.startswith("IP-"):
        plan = view.records.get(IMPLEMENTATION_PLANS, name)
        task = plan.task(part) if plan is not None else None
        return (task.lets_pass, task.ended_at or task.span.end) if task is not None else (False, None)
    release = view.records.get(PLANNED_RELEASES, name)
    if release is None:
        return False, None
    if not part:
        return release.state in RELEASED, release.released_at or release.release_at
    phase = release.phase(part)
    return (phase.completed_at is not None, phase.end) if phase is not None else (False, None)


def outside_of(view: View, plan: ImplementationPlan) -> Outside:
    """When what the tasks of *plan* depend on outside of it ends."""
    keys = {key for task in plan.tasks for key in task.after if not is_own(key)}
    found = {key: outside_state(view, key)[1] for key in keys}
    return {key: moment for key, moment in found.items() if moment is not None}


def put_plan(
    change: Change, after: ImplementationPlan, event: PlanEvent | TaskEvent | str, /, **detail: Any
) -> ImplementationPlan:
    """Write *after*, with the event in the audit stream."""
    before = change.records.get(IMPLEMENTATION_PLANS, after.id)
    was = before.state.value if before is not None else PlanState.SCHEDULED.value
    return change.put(IMPLEMENTATION_PLANS, after, event=str(event), was=was, state=after.state.value, **detail)


def put_step(task: Change, step: Step, **more: Any) -> ImplementationPlan:
    """Write the plan after *step*, and notify the users whom it is about."""
    found = step.plan.task(step.task)
    detail = {"task": step.task, "task_state": found.state.value} if found is not None else {}
    done = put_plan(task, step.plan, step.event, **detail, **more, **({"note": step.note} if step.note else {}))
    text = _text(step, found)
    if text:
        notify_users(task, done, users_about(task, done, found, step.event), text)
    return done


def put_advanced(task: Change, plan: ImplementationPlan) -> ImplementationPlan:
    """Write every step that is due of *plan*, which was written. The plan after them."""
    for step in due_steps(plan, lambda key: outside_state(task, key)[0], task.now.earliest):
        plan = put_step(task, step)
    return plan


def _text(step: Step, task: Task | None) -> str:
    plan = step.plan
    if task is None:
        words = {PlanEvent.COMPLETE: "is completed", PlanEvent.ABORT: "was aborted", PlanEvent.START: "has started"}
        words_of_event = words.get(step.event, "") if isinstance(step.event, PlanEvent) else ""
        return with_reason(f"{plan.id} '{plan.title}' {words_of_event}", step.note) if words_of_event else ""
    words_of_event = {
        TaskEvent.READY: "is ready to be done",
        TaskEvent.REQUEST_HELP: "needs help",
        TaskEvent.FAIL: "failed",
        TaskEvent.PASS: "is late, and later tasks start",
        TaskEvent.RETRY: "is ready to be done again",
    }.get(step.event, "") if isinstance(step.event, TaskEvent) else ""  # fmt: skip
    text = f"{plan.id}:{task.name} '{task.title}' {words_of_event}"
    return with_reason(text, step.note) if words_of_event else ""


def users_about(
    view: View, plan: ImplementationPlan, task: Task | None, event: PlanEvent | TaskEvent
) -> tuple[str, ...]:
    """Who is notified of *event*: those who do the task, and the owner of the plan unless it only became ready."""
    if task is None:
        return tuple(dict.fromkeys([plan.owner, *(user for each in plan.tasks for user in doers(view, plan, each))]))
    mine = doers(view, plan, task)
    return mine if event in {TaskEvent.READY, TaskEvent.RETRY} else tuple(dict.fromkeys([plan.owner, *mine]))


def doers(view: View, plan: ImplementationPlan, task: Task) -> tuple[str, ...]:
    """The users who do *task*: its owner, or the members of its group."""
    if task.group:
        return tuple(user for user, groups in view.directory.groups_of.items() if task.group in groups)
    return (plan.owner_of(task),)


def notify_users(task: Change, plan: ImplementationPlan, users: Iterable[str], text: str) -> None:
    """One message to each of *users* about this version of *plan*; not to the actor, and none in a rehearsal."""
    if plan.rehearsal:
        return
    version = task.records.version(IMPLEMENTATION_PLANS, plan.id)
    path = f"/implementation-plans/{plan.id}"
    notify_once(task, users, Subject(NOUN, plan.id, version, path, plan.state.value), text)


def check_plan(view: View, plan: ImplementationPlan) -> None:
    """Raise A110 for a user, group or planned release that does not exist, and G402 for a wrong dependency.

    Raises G407 for a wrong schema of inputs.
    """
    users, groups = view.directory.users, {group.name for group in view.access.groups}
    for name in dict.fromkeys([plan.owner, *(task.owner for task in plan.tasks if task.owner)]):
        if name not in users and name not in {str(view.acting.actor), plan.created_by}:
            raise unknown("user", name, sorted(users))
    for name in dict.fromkeys(task.group for task in plan.tasks if task.group):
        if name not in groups:
            raise unknown("group", name, sorted(groups))
    if plan.release:
        view.existing(PLANNED_RELEASES, plan.release)
    _check_after(view, plan)
    check_inputs(plan)


def _check_after(view: View, plan: ImplementationPlan) -> None:
    names = {task.name for task in plan.tasks}
    for task in plan.tasks:
        for key in task.after:
            known = key in names if is_own(key) else outside_state(view, key)[1] is not None
            if not known or key in {task.name, f"{plan.id}:{task.name}"}:
                hint = nearest(key, sorted(names - {task.name})) if is_own(key) and len(names) > 1 else None
                text = f"{plan.id}:{task.name} comes after {key}, which does not exist"
                raise OrchestratorError("G402", text, hint=hint)
    circle = find_circle(_graph(view, plan))
    if circle:
        raise OrchestratorError("G402", f"tasks depend on each other: {', '.join(circle)}")


def _graph(view: View, plan: ImplementationPlan) -> dict[str, list[str]]:
    """The tasks of *plan*, and of the plans that it depends on, with what each comes after."""
    found: dict[str, list[str]] = {}
    plans, seen = [plan], {plan.id}
    while plans:
        each = plans.pop()
        for task in each.tasks:
            keys = [f"{each.id}:{key}" if is_own(key) else key for key in task.after]
            found[f"{each.id}:{task.name}"] = keys
            names = {key.partition(":")[0] for key in keys if key.startswith("IP-")} - seen
            others = [view.records.get(IMPLEMENTATION_PLANS, name) for name in names]
            plans += [other for other in others if other is not None]
            seen |= names
    return {name: [key for key in keys if key in found] for name, keys in found.items()}
