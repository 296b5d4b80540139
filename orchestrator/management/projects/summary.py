"""The summary of one project for one user: every part is read by a use case, with the rights of that user."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.app.acting import Acting, View, read_own
from orchestrator.app.run_requests import RequestView, list_requests
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import parse_moment
from orchestrator.management.implementation_plans.queries import list_plans
from orchestrator.management.implementation_plans.state import ACTIVE
from orchestrator.management.planned_releases.pending import FOLLOWED
from orchestrator.management.planned_releases.queries import show_schedule
from orchestrator.management.projects.model import DueWork, OpenWork, ProjectHealth, ProjectSummary, WaitingWork
from orchestrator.management.projects.onboarding import onboarding
from orchestrator.management.reviews.queries import list_actions, list_reviews

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

DUE_WITHIN = timedelta(days=7)
MOST = 200
"""How many objects of each kind are read, those that are due first."""
OPEN_RUNS = RunFilter(is_open=True)


def may_view(app: "ManagedApplication", actor: Actor) -> bool:
    """Whether *actor* may view the project, or an environment of it. Raises S-codes."""
    acting = app.acting_as(actor)

    def work(view: View) -> bool:
        return any(view.verdict(Action.VIEW, place).allowed for place in (None, *acting.environments))

    return read_own(acting, work)


def summary_of(app: "ManagedApplication", path: str, actor: Actor) -> ProjectSummary:
    """The project for *actor*, who may view it. A project that cannot be read is described by the error."""
    try:
        return _readable(app, path, actor)
    except (OrchestratorError, OrchestratorErrors) as found:
        first = found.errors[0] if isinstance(found, OrchestratorErrors) else found
        error = f"{first.code} {first.message}"
        return ProjectSummary(name=app.project.name, path=path, health=ProjectHealth.UNREADABLE, error=error)


def _readable(app: "ManagedApplication", path: str, actor: Actor) -> ProjectSummary:
    acting, names = app.acting_as(actor), tuple(app.environments)
    facts = app.queries.facts_of_all(actor, names)
    problems = [f"{found.environment}: {found.text}" for each in facts for found in each.problems]
    runs = app.queries.run_page(actor, OPEN_RUNS, None, MOST).items
    waiting = [_waiting(each) for each in list_requests(acting, app.request_rules()).items]
    has_worker = app.scheduler_runs()
    idle = (runs or waiting) and not has_worker
    if idle:
        problems.append("no worker is running, and work waits for one")
    return ProjectSummary(
        name=app.project.name,
        path=path,
        health=ProjectHealth.PROBLEMS if problems else ProjectHealth.GOOD,
        has_worker=has_worker,
        environments=len(names),
        problems=tuple(problems),
        open_runs=tuple(
            OpenWork(
                run=run.id,
                text=f"{run.release or run.kind} → {run.environment}",
                activity=str(run.activity),
                by=run.by or "unknown",
            )
            for run in runs
        ),
        waiting=tuple(waiting),
        due=_due(acting),
        onboarding=onboarding(app, actor, facts),
    )


def _waiting(seen: RequestView) -> WaitingWork:
    """A request with the users who can give what is missing, or with the first condition that is not met."""
    about, missing = seen.request, seen.admission.missing
    reason = missing[0].reason if missing and not seen.could else seen.approval.reason
    text = f"{about.name} {about.version} → {about.environment}"
    return WaitingWork(request=about.id, text=text, on=seen.could, reason=reason)


def _due(acting: Acting) -> tuple[DueWork, ...]:
    """What is late or due soon, by its time."""
    now = parse_moment(acting.clock.now())
    found = (*_actions(acting), *_reviews(acting), *_tasks(acting), *_phases(acting))
    soon = sorted(each for each in found if each[0] <= now + DUE_WITHIN)
    return tuple(
        DueWork(text=text, path=path, owner=owner, due=due, is_late=due < now) for due, text, path, owner in soon
    )


Due = Iterator[tuple[datetime, str, str, str]]


def _actions(acting: Acting) -> Due:
    for each in list_actions(acting, limit=MOST).items:
        yield each.due, f"{each.id} {each.title}", f"/reviews/{each.review}#{each.id}", each.owner


def _reviews(acting: Acting) -> Due:
    for each in list_reviews(acting, limit=MOST).items:
        yield each.due, f"review of {each.title}", f"/reviews/{each.id}", each.lead


def _tasks(acting: Acting) -> Due:
    for plan in list_plans(acting, limit=MOST).items:
        for task in plan.tasks:
            if task.state in ACTIVE and task.due_at is not None:
                path = f"/implementation-plans/{plan.id}/tasks/{task.name}"
                yield task.due_at, f"{plan.id} {task.title}", path, task.owner or task.group


def _phases(acting: Acting) -> Due:
    for release in show_schedule(acting):
        if release.state not in FOLLOWED:
            continue
        for phase in release.phases:
            if phase.progress != "completed":
                at = phase.span.end if phase.progress == "active" else phase.span.start
                what = "ends" if phase.progress == "active" else "starts"
                text = f"{release.id} {release.title}: {phase.name} {what}"
                yield at, text, f"/planned-releases/{release.id}", phase.responsible or release.owner
