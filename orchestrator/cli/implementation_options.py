"""The arguments and options that commands of implementation plans share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli import completing
from orchestrator.cli.durations import DURATION
from orchestrator.cli.register_options import MOMENT

if TYPE_CHECKING:
    from orchestrator.management.implementation_plans.additions import NewTask
    from orchestrator.management.implementation_plans.evidence import EvidenceDraft
    from orchestrator.management.implementation_plans.replanning import PlanChange, TaskChange

F = TypeVar("F", bound=Callable[..., Any])
OPTIONS = {"duration_s": "for", "timeout_s": "timeout", "on_timeout": "on-timeout"}
"""Options whose values arrive by other names."""
ON_TIMEOUT = ("needs-help", "fail", "skip", "continue")


def plan_argument(function: F) -> F:
    """The argument PLAN, which arrives as *plan*, with its completion."""
    return click.argument("plan", metavar="PLAN", shell_complete=completing.implementation_plans)(function)


def task_arguments(function: F) -> F:
    """The arguments PLAN and TASK, which arrive as *plan* and *task*, with their completion."""
    task = click.argument("task", metavar="TASK", shell_complete=completing.plan_tasks)
    return plan_argument(task(function))


def task_reason_option(*, required: bool = False) -> Callable[[F], F]:
    """The option `--message`, which arrives as *message*."""
    help_ = "The reason, recorded with the task."
    return click.option("-m", "--message", default="", metavar="WHY", required=required, help=help_)


def evidence_options(function: F) -> F:
    """The options `--evidence`, `--link` and `--file`, which arrive as *texts*, *links* and *files*."""
    file = click.option("--file", "files", multiple=True, metavar="PATH",
                        type=click.Path(exists=True, dir_okay=False, path_type=Path),
                        help="Evidence: a file, at most 640 KiB. May be repeated.")  # fmt: skip
    link = click.option("--link", "links", multiple=True, metavar="URL", help="Evidence: a link. May be repeated.")
    text = click.option("--evidence", "texts", multiple=True, metavar="TEXT", help="Evidence: a text. May be repeated.")
    return text(link(file(function)))


def evidence_of(texts: tuple[str, ...], links: tuple[str, ...], files: tuple[Path, ...]) -> "EvidenceDraft":
    """The evidence that was given."""
    from orchestrator.management.implementation_plans.evidence import EvidenceDraft, file_draft

    return EvidenceDraft(texts, links, tuple(file_draft(file.name, file.read_bytes()) for file in files))


def inputs_option(function: F) -> F:
    """The option `--input`, which arrives as *inputs*."""
    help_ = "The value of an input of the task: a text as it is, another type as JSON. May be repeated."
    return click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help=help_)(function)


def _schema(_context: click.Context, _option: click.Parameter, value: Path | None) -> dict[str, Any] | None:
    """The JSON Schema in the file *value*."""
    if value is None:
        return None
    try:
        found = json.loads(value.read_text())
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{value} has no JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{value} has no JSON object")
    return found


def task_options(function: F) -> F:
    """The options with the fields of a task."""
    options = (
        click.option("--title", metavar="TEXT", help="The title."),
        click.option("--instructions", metavar="TEXT", help="How it is done, as Markdown."),
        click.option("--owner", metavar="USER", help="The user who does it."),
        click.option("--group", metavar="GROUP", help="The group whose members do it."),
        click.option("--after", multiple=True, metavar="TASK",
                     help="What it comes after, such as check, IP-2:check or REL-1:deploy. May be repeated."),
        click.option("--start", type=MOMENT, metavar="TIME", help="The earliest start."),
        click.option("--for", "duration_s", type=DURATION, metavar="TIME", help="Its planned length, such as 30m."),
        click.option("--timeout", "timeout_s", type=DURATION, metavar="TIME",
                     help="How long it may wait for its end; 0s for no limit."),
        click.option("--on-timeout", type=click.Choice(ON_TIMEOUT), help="What happens when its timeout ends."),
        click.option("--inputs", type=click.Path(exists=True, dir_okay=False, path_type=Path), callback=_schema,
                     metavar="FILE", help="The JSON Schema of its inputs; {} removes them."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def new_task_options(function: F) -> F:
    """The options that state what a new task is, and what comes after it."""
    options = (
        click.option("--kind", type=click.Choice(["manual", "decision"]),
                     help="The kind of a task that a user does (default: manual)."),
        click.option("--promote", metavar="PACKAGE", help="Promote this kept package, such as shop-1.5.0."),
        click.option("--to", "to", metavar="ENV", shell_complete=completing.environments,
                     help="The environment of the promotion."),
        click.option("--roll-back", "roll_back", metavar="ENV", shell_complete=completing.environments,
                     help="Roll back this environment."),
        click.option("--to-version", "to_version", metavar="VERSION",
                     help="The version of the rollback (default: the last verified one)."),
        click.option("--from", "source", default="", metavar="TEMPLATE:TASK", shell_complete=completing.template_tasks,
                     help="Add this task of implementation/TEMPLATE.yaml."),
        click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE",
                     help="The value of a parameter of the template (default: that of PLAN). May be repeated."),
        click.option("--before", multiple=True, metavar="TASK", shell_complete=completing.plan_tasks,
                     help="A task of PLAN that comes after the new one. May be repeated."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def new_task(fields: dict[str, Any]) -> "NewTask":
    """What the new task is, by the options of `new_task_options`, which are removed from *fields*."""
    from orchestrator.management.implementation_plans.additions import NewTask

    names = ("kind", "promote", "to", "roll_back", "to_version", "source")
    given: dict[str, Any] = {name: fields.pop(name) or "" for name in names}
    return NewTask(**given, parameters=pairs_of(fields.pop("parameters")), before=fields.pop("before"))


def task_change(fields: dict[str, Any]) -> "TaskChange":
    """The change of a task that was given. Raises a usage error without one."""
    from orchestrator.management.implementation_plans.replanning import TaskChange

    return TaskChange(**{**fields, "after": fields["after"] or None})


def plan_change(fields: dict[str, Any]) -> "PlanChange":
    """The change of a plan that was given. Raises a usage error for a field that only tasks have."""
    from orchestrator.management.implementation_plans.replanning import PlanChange

    own = ("title", "owner", "release", "start")
    other = next((name for name, value in fields.items() if name not in own and value not in (None, ())), None)
    if other is not None:
        raise click.UsageError(f"--{OPTIONS.get(other, other)} is a field of a task: give TASK")
    return PlanChange(**{name: fields[name] for name in own})


def pairs_of(given: tuple[str, ...], option: str = "--parameter") -> dict[str, str]:
    """What was given with *option* as `NAME=VALUE`. Raises a usage error for another text."""
    pairs = [text.partition("=") for text in given]
    wrong = next((name for name, sign, _ in pairs if not sign), None)
    if wrong is not None:
        raise click.UsageError(f"{option} is NAME=VALUE, not {wrong!r}")
    return {name.strip(): value for name, _, value in pairs}
