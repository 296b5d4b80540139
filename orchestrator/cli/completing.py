"""What a shell completes: environments, lists of waves, runs, releases, steps and error codes.

A file that is wrong, or a journal that cannot be read, completes nothing, and prints nothing.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orchestrator.app.application import Application

RECENT = 50  # runs that are offered
Offers = Sequence["str | CompletionItem"]
Complete = Callable[[click.Context, click.Parameter, str], Offers]


def _quietly(offer: Complete) -> Complete:
    """*offer*, which offers nothing where it raises."""

    @functools.wraps(offer)
    def quiet(context: click.Context, parameter: click.Parameter, begun: str) -> Offers:
        with contextlib.suppress(Exception):
            return offer(context, parameter, begun)
        return []

    return quiet


@_quietly
def environments(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The environments of the project."""
    from orchestrator.app.project_files import environment_names

    return _fitting(environment_names(Path.cwd()), begun)


@_quietly
def places(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The environments of the project, and its lists of waves."""
    from orchestrator.app.project_files import place_names

    return _fitting(place_names(Path.cwd()), begun)


@_quietly
def complete_runs(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The newest runs, each with what it is."""
    from click.shell_completion import CompletionItem

    app = _app()
    found = [run for run in app.queries.recent_runs(app.actor, RECENT) if run.id.startswith(begun)]
    return [CompletionItem(run.id, help=f"{run.kind} of {run.release or run.environment}") for run in found]


@_quietly
def run_requests(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The run requests that have not ended, each with what it is."""
    from click.shell_completion import CompletionItem

    from orchestrator.domain.register import OPEN, REQUESTS

    found = _app().register.reading(lambda records: records.all(REQUESTS, OPEN))
    return [
        CompletionItem(request.id, help=f"{request.state}: {request.release} → {request.environment}")
        for request in found
        if request.id.startswith(begun)
    ]


@_quietly
def change_requests(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The change requests that have not ended, the highest rank first, each with what it is."""
    from click.shell_completion import CompletionItem

    from orchestrator.management.change_requests.queries import list_changes

    found = list_changes(_app().acting, limit=RECENT).items
    return [
        CompletionItem(request.id, help=f"{request.state}: {request.title}")
        for request in found
        if request.id.lower().startswith(begun.lower())
    ]


@_quietly
def reviews(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The open reviews, each with what it is of."""
    from click.shell_completion import CompletionItem

    from orchestrator.management.reviews.queries import list_reviews

    found = list_reviews(_app().acting, limit=RECENT).items
    return [CompletionItem(each.id, help=each.title) for each in found if each.id.startswith(begun)]


@_quietly
def review_actions(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The open actions, each with what it is."""
    from click.shell_completion import CompletionItem

    from orchestrator.management.reviews.queries import list_actions

    found = list_actions(_app().acting, limit=RECENT).items
    return [CompletionItem(each.id, help=each.title) for each in found if each.id.lower().startswith(begun.lower())]


@_quietly
def planned_releases(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The planned releases that have not ended, each with what it is."""
    from click.shell_completion import CompletionItem

    from orchestrator.management.planned_releases.queries import list_planned_releases

    found = list_planned_releases(_app().acting, limit=RECENT).items
    return [
        CompletionItem(release.id, help=f"{release.state}: {release.title}")
        for release in found
        if release.id.lower().startswith(begun.lower())
    ]


@_quietly
def implementation_plans(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The implementation plans that have not ended, each with what it is."""
    from click.shell_completion import CompletionItem

    from orchestrator.management.implementation_plans.queries import list_plans

    found = list_plans(_app().acting, limit=RECENT).items
    return [
        CompletionItem(plan.id, help=f"{plan.state}: {plan.title}")
        for plan in found
        if plan.id.lower().startswith(begun.lower())
    ]


@_quietly
def plan_tasks(context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The tasks of the implementation plan that the command line names, each with its state."""
    from click.shell_completion import CompletionItem

    from orchestrator.management.implementation_plans.queries import show_plan

    wanted = context.params.get("plan") or context.args[0]
    found = show_plan(_app().acting, str(wanted)).plan.tasks
    return [
        CompletionItem(task.name, help=f"{task.state}: {task.title}") for task in found if task.name.startswith(begun)
    ]


@_quietly
def evidence_files(context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The files that are evidence of the task that the command line names."""
    from orchestrator.management.implementation_plans.queries import show_task

    _, task = show_task(_app().acting, str(context.params["plan"]), str(context.params["task"]))
    return _fitting([each.text for each in task.evidence if each.kind == "file"], begun)


@_quietly
def plan_templates(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The names of the templates of implementation plans."""
    from orchestrator.app.project_files import template_names

    return _fitting(template_names(Path.cwd()), begun)


@_quietly
def template_tasks(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The tasks of the templates of implementation plans, as TEMPLATE:TASK."""
    from orchestrator.app.project_files import task_names

    return _fitting(task_names(Path.cwd()), begun)


@_quietly
def trains(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The trains that have not ended, each with what it is."""
    from click.shell_completion import CompletionItem

    from orchestrator.domain.moments import minute_text
    from orchestrator.management.trains.queries import list_trains

    found = list_trains(_app().acting, limit=RECENT).items
    return [
        CompletionItem(train.id, help=f"{train.state}: {train.line}, {minute_text(train.departs_at)}")
        for train in found
        if train.id.lower().startswith(begun.lower())
    ]


@_quietly
def train_lines(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The train lines."""
    from orchestrator.management.trains.queries import list_lines

    return _fitting((line.name for line in list_lines(_app().acting)), begun)


@_quietly
def packages_aboard(context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The packages aboard the train that the command line names."""
    from orchestrator.management.trains.queries import show_train

    wanted = context.params.get("train") or context.args[0]
    return _fitting((member.name for member in show_train(_app().acting, str(wanted)).aboard), begun)


@_quietly
def definitions(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The project definitions, by the starts of their digests."""
    app = _app()
    found = app.definitions.kept(app.actor, limit=RECENT).items
    return _fitting((each.digest[7:19] for each in found), begun)


@_quietly
def hooks(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The hooks."""
    from orchestrator.management.hooks.queries import list_hooks

    return _fitting((hook.name for hook in list_hooks(_app().acting)), begun)


@_quietly
def bookings(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The bookings that have not ended, each with what it is."""
    from click.shell_completion import CompletionItem

    from orchestrator.management.bookings.queries import list_bookings

    found = list_bookings(_app().acting, limit=RECENT).items
    return [
        CompletionItem(booking.id, help=f"{booking.state}: {booking.environment}, {booking.purpose}")
        for booking in found
        if booking.id.lower().startswith(begun.lower())
    ]


@_quietly
def releases(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The kept packages, and the release folders of the project."""
    app = _app()
    folders = sorted(file.parent for file in (app.root / app.project.releases).glob("*/release.yaml"))
    kept = [f"{ref.name}-{ref.version}" for ref in app.releases.kept_refs(app.actor)]
    return _fitting([*kept, *(str(folder.relative_to(app.root)) for folder in folders)], begun)


@_quietly
def steps(context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The steps of the run that the command line names."""
    app = _app()
    wanted = context.params.get("run") or context.args[0]  # click leaves it there while an option has no value yet
    reader = app.queries.reader(app.actor)
    records = reader.records(reader.run(str(wanted)).id)
    return _fitting((record.step for record in records if record.kind == "step.started"), begun)


@_quietly
def codes(_context: click.Context, _parameter: click.Parameter, begun: str) -> Offers:
    """The codes of the catalogue of errors, each with its title."""
    from click.shell_completion import CompletionItem

    from orchestrator.domain.errors import catalogue

    found = [error for code, error in catalogue().items() if code.startswith(begun.upper())]
    return [CompletionItem(error.code, help=error.title) for error in found]


def _app() -> "Application":
    from orchestrator.app.opening import open_application

    return open_application(Path.cwd())


def _fitting(names: Iterable[str], begun: str) -> list[str]:
    return list(dict.fromkeys(name for name in names if name.startswith(begun)))
