"""`orchestrator book`: book an environment."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.bookings import print_booking
from orchestrator.cli.durations import DURATION
from orchestrator.cli.output import environment_argument, json_option
from orchestrator.cli.register_options import MOMENT

if TYPE_CHECKING:
    from orchestrator.management.bookings.model import BookingDraft


@click.command("book")
@environment_argument()
@click.option("--from", "start", required=True, type=MOMENT, metavar="TIME", help="The start.")
@click.option("--for", "length", required=True, type=DURATION, metavar="TIME", help="How long: 30m, 4h, 2d.")
@click.option("--purpose", required=True, metavar="TEXT", help="What it is for, shown to those who wait.")
@click.option(
    "--holder",
    metavar="HOLDER",
    help="user:NAME, team:NAME, release:ID or train:ID (default: you). The holder's promotions pass.",
)
@click.option(
    "--grace",
    type=DURATION,
    default="30m",
    metavar="TIME",
    help="Expire if it was not used so long after its start (default: 30m).",
)
@click.option("--wait", is_flag=True, help="Wait for the time if it cannot be booked.")
@json_option
def command(
    environment: str,
    start: datetime,
    length: float,
    purpose: str,
    holder: str | None,
    grace: float,
    wait: bool,
    as_json: bool,
) -> None:
    """Book ENVIRONMENT. Only promotions of the holder start in that time; rollbacks always do.

    A time that is booked, closed or beyond a quota is refused with every reason and the next free slot (G301). The
    first promotion of the holder is the check-in.
    """
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.decisions import book
    from orchestrator.management.bookings.model import EnvironmentBooking

    if length <= 0 or length > timedelta(days=90).total_seconds():
        raise click.UsageError("--for is at most 90d")
    draft: BookingDraft = {
        "environment": environment,
        "start": start,
        "end": start + timedelta(seconds=length),
        "purpose": purpose.strip(),
        "grace_minutes": max(1, round(grace / 60)),
    }
    if holder:
        draft["holder"] = holder
    _check(EnvironmentBooking, draft)
    app = open_managed(Path.cwd())
    print_booking(book(app.acting, draft, app.booking_sources, wait=wait), as_json=as_json)


def _check(model: type, draft: "BookingDraft") -> None:
    """Raise a usage error that names a wrong field of *draft*."""
    from pydantic import ValidationError

    try:
        model(**{"holder": "user:any", **draft, "number": 1, "owner": "any", "created_at": draft["start"]})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "booking"
        raise click.UsageError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
