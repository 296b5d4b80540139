"""`orchestrator unlock`: unlock an environment that an operator has locked."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, out, print_json


@click.command("unlock")
@click.argument("environment", shell_complete=completing.environments)
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the audit stream.")
@json_option
def command(environment: str, message: str, as_json: bool) -> None:
    """Remove the lock of ENVIRONMENT.

    This does not affect a run that holds the environment: `orchestrator abort RUN` stops the run, `resume RUN`
    completes it.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.situation import calendar_data, calendars_of

    app = open_application(Path.cwd())
    lease = app.control.unlock(app.actor, environment, message)
    if as_json:
        calendar = calendar_data(calendars_of(app, [environment]))
        data = {"environment": environment, "lease": lease.to_json() if lease else None, "calendar": calendar}
        print_json("Unlocked", data)
        return
    out(f"{environment} is open (it was locked by {lease.by}: {lease.reason})" if lease else f"{environment} was open")
