"""`orchestrator booking`: show, extend, hand over, end and cancel a booking."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.cli import completing
from orchestrator.cli.bookings import print_booking
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option
from orchestrator.cli.register_options import MOMENT

F = TypeVar("F", bound=Callable[..., Any])


@click.group("booking", cls=SubcommandGroup)
def command() -> None:
    """Show, extend, hand over, end and cancel a booking.

    The owner and the holder change a booking; others need the right `bookings:manage`.
    """


def booking_argument(function: F) -> F:
    """The argument BOOKING, which arrives as *booking*, with its completion."""
    return click.argument("booking", metavar="BOOKING", shell_complete=completing.bookings)(function)


def why_option(function: F) -> F:
    """The option `--message`, which arrives as *message*."""
    return click.option("-m", "--message", default="", metavar="WHY", help="The reason.")(function)


@command.command("show")
@booking_argument
@json_option
def show(booking: str, as_json: bool) -> None:
    """Show BOOKING with its use and its former holders."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.queries import show_booking

    print_booking(show_booking(open_managed(Path.cwd()).acting, booking), as_json=as_json)


@command.command("extend")
@booking_argument
@click.option("--until", required=True, type=MOMENT, metavar="TIME", help="The new end.")
@json_option
def extend(booking: str, until: datetime, as_json: bool) -> None:
    """Let BOOKING end later, if that time is free."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.decisions import extend_booking

    app = open_managed(Path.cwd())
    print_booking(extend_booking(app.acting, booking, until, app.booking_sources), as_json=as_json)


@command.command("hand-over")
@booking_argument
@click.option("--to", "holder", required=True, metavar="HOLDER", help="user:NAME, team:NAME, release:ID or train:ID.")
@why_option
@json_option
def hand_over_command(booking: str, holder: str, message: str, as_json: bool) -> None:
    """Give BOOKING with its time to another holder. Users who wait for it are notified."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.decisions import hand_over_booking

    app = open_managed(Path.cwd())
    print_booking(hand_over_booking(app.acting, booking, holder, app.booking_sources, message.strip()), as_json=as_json)


@command.command("end")
@booking_argument
@why_option
@json_option
def end(booking: str, message: str, as_json: bool) -> None:
    """Release the environment of BOOKING before its end."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.decisions import end_booking

    app = open_managed(Path.cwd())
    print_booking(end_booking(app.acting, booking, app.booking_sources, message.strip()), as_json=as_json)


@command.command("cancel")
@booking_argument
@why_option
@json_option
def cancel(booking: str, message: str, as_json: bool) -> None:
    """Cancel BOOKING, which was not used or waits."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.decisions import cancel_booking

    app = open_managed(Path.cwd())
    print_booking(cancel_booking(app.acting, booking, app.booking_sources, message.strip()), as_json=as_json)
