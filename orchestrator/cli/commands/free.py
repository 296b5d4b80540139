"""`orchestrator free`: find times at which an environment can be booked."""

from datetime import timedelta
from pathlib import Path

import click

from orchestrator.cli.durations import DURATION
from orchestrator.cli.output import ROWS, environment_argument, json_option, out, print_json, table


@click.command("free")
@environment_argument()
@click.option("--for", "length", required=True, type=DURATION, metavar="TIME", help="How long: 30m, 4h, 2d.")
@click.option("--within", type=DURATION, default="30d", metavar="TIME", help="How far ahead (default: 30d).")
@click.option(
    "-n",
    "--limit",
    type=ROWS,
    metavar="N",
    default=5,
    show_default=True,
    help="Maximum number of slots.",
)
@json_option
def command(environment: str, length: float, within: float, limit: int, as_json: bool) -> None:
    """List the next times at which ENVIRONMENT is open and not booked for so long."""
    from orchestrator.domain.moments import minute_text, moment_text
    from orchestrator.management.application import open_managed
    from orchestrator.management.bookings.queries import LONGEST, SHORTEST, find_slots

    if min(length, within) < SHORTEST.total_seconds() or max(length, within) > LONGEST.total_seconds():
        raise click.UsageError("--for and --within must be at least 1m and at most 366d")
    app = open_managed(Path.cwd())
    slots = find_slots(
        app.acting, environment, timedelta(seconds=length), timedelta(seconds=within), app.booking_sources, limit
    )
    if as_json:
        found = [{"start": moment_text(slot.start), "end": moment_text(slot.end)} for slot in slots]
        print_json("FreeSlots", {"environment": environment, "slots": found})
        return
    if not slots:
        out(f"{environment} has no free slot of that length in this time; orchestrator bookings shows who has it")
        return
    out(table(["from", "until"], [[minute_text(slot.start), minute_text(slot.end)] for slot in slots]))
