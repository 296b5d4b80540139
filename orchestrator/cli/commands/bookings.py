"""`orchestrator bookings`: list the bookings of environments."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.bookings import HEADS, booking_row
from orchestrator.cli.output import json_option, note, out, page_options, print_json, screen, table


@click.command("bookings")
@click.option("--environment", metavar="ENV", shell_complete=completing.environments, help="Only of this environment.")
@click.option("--mine", is_flag=True, help="Only those that you hold or have made.")
@click.option("--all", "ended", is_flag=True, help="Include bookings that have ended.")
@page_options("bookings")
@json_option
def command(environment: str | None, mine: bool, ended: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List bookings by their end: those that hold an environment, and those that wait for one."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.queries import BookingFilter, list_bookings
    from orchestrator.management.documents import booking_item

    page = list_bookings(open_managed(Path.cwd()).acting, BookingFilter(environment, mine, ended), cursor, limit)
    if as_json:
        print_json("Bookings", {"bookings": [booking_item(each) for each in page.items], "cursor": page.cursor})
        return
    if not page.items:
        out("there are no such bookings; make one with: orchestrator book ENV --from TIME --for 4h --purpose TEXT")
        return
    out(table(HEADS, [booking_row(booking) for booking in page.items], screen()))
    if page.cursor:
        note(f"more: orchestrator bookings --cursor '{page.cursor}'")
