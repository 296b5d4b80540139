"""`orchestrator lock`: keep runs out of an environment, and list the holders."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.durations import DURATION
from orchestrator.cli.output import Cell, json_option, out, out_folded, print_json, table

if TYPE_CHECKING:
    from orchestrator.app.application import Application


@click.command("lock")
@click.argument("environment", metavar="ENV|status", shell_complete=completing.environments)
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, shown to other users (required).")
@click.option("--for", "duration", type=DURATION, metavar="TIME", help="Let the lock expire after TIME (30m, 4h, 2d).")
@json_option
def command(environment: str, message: str, duration: float | None, as_json: bool) -> None:
    """Lock ENV until `orchestrator unlock ENV`, or for a TIME; `lock status` lists the locks and holders.

    A lock does not interrupt a run that holds the environment: the environment is then busy, and nothing is locked.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.situation import calendar_data, calendars_of
    from orchestrator.cli.words import when

    app = open_application(Path.cwd())
    if environment == "status":
        _status(app, as_json=as_json)
        return
    if not message.strip():
        raise click.UsageError("give the reason with -m: every user who is blocked sees it")
    lease = app.control.lock(app.actor, environment, message, duration)
    if as_json:
        print_json("Lease", {**lease.to_json(), "calendar": calendar_data(calendars_of(app, [environment]))})
    else:
        end = f" until {when(lease.until)}" if lease.until else ""
        out(f"{environment} is locked{end}; orchestrator unlock {environment} opens it")


def _status(app: "Application", *, as_json: bool) -> None:
    from orchestrator.cli.situation import calendar_data, calendars_of, closed_lines
    from orchestrator.cli.words import when

    leased = app.queries.leases(app.actor, tuple(app.environments))
    held = {name: leased.get(name) for name in app.environments}
    calendars = calendars_of(app, app.environments)
    if as_json:
        leases = {name: lease.to_json() if lease else None for name, lease in held.items()}
        print_json("LockStatus", {"environments": leases, "calendar": calendar_data(calendars)})
        return
    rows: list[list[Cell]] = []
    for name, lease in held.items():
        if lease is None:
            rows.append([name, ("free", "green"), *["–"] * 5, ""])
            continue
        state: Cell = ("locked", "yellow") if lease.locked else ("held", "cyan")
        run = "–" if lease.locked else lease.holder
        rows.append([name, state, run, lease.by, when(lease.since), when(lease.until), lease.host, lease.reason])
    out(table(["environment", "state", "run", "by", "since", "until", "from", "why"], rows))
    for line in closed_lines(calendars):
        out_folded(line)
