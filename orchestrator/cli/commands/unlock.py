"""`orchestrator unlock`: open an environment that a person has locked."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, out, print_json


@click.command("unlock")
@click.argument("environment", shell_complete=completing.environments)
@json_option
def command(environment: str, as_json: bool) -> None:
    """Remove the lock of ENVIRONMENT.

    This does not affect a run that holds the environment: `orchestrator abort RUN` stops the run, `resume RUN`
    completes it.
    """
    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    lease = app.control.unlock(app.actor, environment)
    if as_json:
        print_json("Unlocked", {"environment": environment, "lease": lease.to_json() if lease else None})
        return
    out(f"{environment} is open (it was locked by {lease.by}: {lease.reason})" if lease else f"{environment} was open")
