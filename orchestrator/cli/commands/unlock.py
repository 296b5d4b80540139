"""`orchestrator unlock`: open an environment that a person has locked."""

from pathlib import Path

import click

from orchestrator.cli.output import out


@click.command("unlock")
@click.argument("environment")
def command(environment: str) -> None:
    """Open ENVIRONMENT, which somebody has locked.

    What a run holds is not taken away from it: `orchestrator abort RUN` ends the run, `resume RUN` finishes it.
    """
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    lease = app.unlock(environment)
    out(f"{environment} is open (it was locked by {lease.by}: {lease.reason})" if lease else f"{environment} was open")
