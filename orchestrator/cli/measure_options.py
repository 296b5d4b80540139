"""Options that the commands of measures share."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli import completing
from orchestrator.cli.register_options import MOMENT

if TYPE_CHECKING:
    from orchestrator.management.measures.model import Measures

F = TypeVar("F", bound=Callable[..., Any])
MEASURES = (
    "deployment-frequency",
    "lead-time",
    "change-failure-rate",
    "recovery-time",
    "rework-rate",
    "failed-before",
)


def period_options(function: F) -> F:
    """The options `--since`, `--until` and `--environment`, which arrive as *since*, *until* and *environments*."""
    ends = (
        "An environment that counts as the end of the path (default: those that no other one follows). May be repeated."
    )
    environment = click.option(
        "--environment", "environments", multiple=True, metavar="ENV", shell_complete=completing.environments, help=ends
    )
    until = click.option("--until", type=MOMENT, metavar="TIME", help="The end of the period (default: now).")
    since = click.option(
        "--since", type=MOMENT, metavar="TIME", help="The start of the period (default: 90 days before its end)."
    )
    return since(until(environment(function)))


def project_measures(since: datetime | None, until: datetime | None, environments: tuple[str, ...]) -> "Measures":
    """The measures of this project. Raises A110, and a usage error for a period that ends before its start."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.measures.queries import MeasureFilter, show_measures

    if since is not None and until is not None and until <= since:
        raise click.UsageError("--until is not after --since")
    app = open_managed(Path.cwd())
    return show_measures(app.acting, app.measure_sources, MeasureFilter(since, until, tuple(environments)))
