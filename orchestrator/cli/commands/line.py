"""`orchestrator line`: stop all promotions to one or all environments, and resume them."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, out, print_json, table
from orchestrator.cli.register_options import MOMENT, open_project

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.domain.calendar.verdict import LineStop


@click.group("line", cls=SubcommandGroup)
def command() -> None:
    """Stop or resume all promotions to one or all environments. Rollbacks are exempt.

    A new promotion is refused. One that waits or runs is held before its first change, and continues when the line is
    resumed. One that has changed something completes or is rolled back.
    """


def _place(environment: str | None, every: bool) -> str:
    if (environment is None) != every:
        raise click.UsageError("name an environment, or use --all")
    return environment or "*"


@command.command("stop")
@click.argument("environment", required=False, metavar="[ENV]", shell_complete=completing.environments)
@click.option("--all", "every", is_flag=True, help="Stop promotions to all environments.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, shown to other users (required).")
@click.option("--until", type=MOMENT, metavar="TIME", help="The end (default: when the line is resumed).")
@json_option
def stop(environment: str | None, every: bool, message: str, until: datetime | None, as_json: bool) -> None:
    """Stop promotions to ENV."""
    from orchestrator.app.calendar import stop_line
    from orchestrator.domain.moments import minute_text

    place = _place(environment, every)
    if not message.strip():
        raise click.UsageError("give the reason with -m: it is shown to every user whose promotion is refused")
    app = open_project()
    found = stop_line(app.acting, place, message.strip(), until)
    if as_json:
        _print(app, (found,))
        return
    where = "all environments" if every else str(environment)
    end = f"until {minute_text(until)}" if until else f"until `orchestrator line resume {environment or '--all'}`"
    out(f"promotions to {where} are stopped {end}")


@command.command("resume")
@click.argument("environment", required=False, metavar="[ENV]", shell_complete=completing.environments)
@click.option("--all", "every", is_flag=True, help="End the stop of all environments.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def resume(environment: str | None, every: bool, message: str, as_json: bool) -> None:
    """End the stops of ENV, or with --all the stop of all environments."""
    from orchestrator.app.calendar import resume_line

    app = open_project()
    found = resume_line(app.acting, _place(environment, every), message)
    if as_json:
        _print(app, found)
        return
    out(f"promotions to {'all environments' if every else environment} are resumed")


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """List the stops that have not ended."""
    from orchestrator.app.calendar import show_calendar
    from orchestrator.domain.moments import minute_text

    app = open_project()
    stops = show_calendar(app.acting).line_stops
    if as_json:
        _print(app, stops)
        return
    rows = [
        [
            "all" if stop.environment == "*" else stop.environment,
            stop.stopped_by,
            minute_text(stop.stopped_at),
            minute_text(stop.until) if stop.until else "–",
            stop.reason,
        ]
        for stop in stops
    ]
    out(table(["environment", "stopped by", "since", "until", "reason"], rows) if rows else "no line is stopped")


def _print(app: "Application", stops: "Iterable[LineStop]") -> None:
    from orchestrator.cli.situation import calendar_data, calendars_of

    calendar = calendar_data(calendars_of(app, app.environments))
    print_json("LineStops", {"line_stops": [stop.to_json() for stop in stops], "calendar": calendar})
