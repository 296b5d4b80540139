"""`orchestrator line`: stop all promotions to one or all environments, and resume them."""

from datetime import datetime

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, out, print_json, table
from orchestrator.cli.register_options import MOMENT, open_project


@click.group("line")
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
@click.option("--all", "every", is_flag=True, help="All environments.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, shown to other users (required).")
@click.option("--until", type=MOMENT, metavar="TIME", help="The end (default: `line resume`).")
@json_option
def stop(environment: str | None, every: bool, message: str, until: datetime | None, as_json: bool) -> None:
    """Stop promotions to ENV."""
    from orchestrator.app.calendar import stop_line
    from orchestrator.domain.moments import minute_text

    place = _place(environment, every)
    if not message.strip():
        raise click.UsageError("give the reason with -m: it is shown to every user whose promotion is refused")
    found = stop_line(open_project().acting, place, message.strip(), until)
    if as_json:
        print_json("LineStops", {"line_stops": [found.to_json()]})
        return
    where = "all environments" if every else str(environment)
    end = f"until {minute_text(until)}" if until else f"until `orchestrator line resume {environment or '--all'}`"
    out(f"promotions to {where} are stopped {end}")


@command.command("resume")
@click.argument("environment", required=False, metavar="[ENV]", shell_complete=completing.environments)
@click.option("--all", "every", is_flag=True, help="The stops of all environments together.")
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def resume(environment: str | None, every: bool, message: str, as_json: bool) -> None:
    """End the stops of ENV. A stop of all environments is ended with --all."""
    from orchestrator.app.calendar import resume_line

    found = resume_line(open_project().acting, _place(environment, every), message)
    if as_json:
        print_json("LineStops", {"line_stops": [stop.to_json() for stop in found]})
        return
    out(f"promotions to {'all environments' if every else environment} are resumed")


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """List the stops that are not resumed."""
    from orchestrator.app.calendar import show_calendar
    from orchestrator.domain.moments import minute_text

    stops = show_calendar(open_project().acting).line_stops
    if as_json:
        print_json("LineStops", {"line_stops": [stop.to_json() for stop in stops]})
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
