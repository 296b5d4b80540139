"""`orchestrator contention`: the demand for each environment and week."""

from pathlib import Path

import click

from orchestrator.cli.bookings import WEEK_HEADS, week_row
from orchestrator.cli.output import json_option, out, print_json, screen, table


@click.command("contention")
@click.option(
    "--weeks", type=click.IntRange(1, 52), default=6, show_default=True, metavar="N", help="How many weeks ahead."
)
@json_option
def command(weeks: int, as_json: bool) -> None:
    """Show the demand for each environment in the last week and the next ones.

    Booked and requested hours come from bookings. Used hours are those of runs within bookings. Waited hours are those
    for which promotions waited while others had booked the environment.
    """
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.queries import show_contention

    app = open_managed(Path.cwd())
    found = show_contention(app.acting, app.booking_sources, weeks, booked_only=not as_json)
    if as_json:
        print_json("Contention", {"weeks": [week.to_json() for week in found]})
        return
    busy = [week for week in found if week.booked or week.requested or week.waited or week.unused]
    if not busy:
        out("there are no bookings in these weeks")
        return
    out(table(WEEK_HEADS, [week_row(week) for week in busy], screen()))
