"""`orchestrator retry`: go on with a run that needs a person, from one of its steps."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option


@click.command("retry")
@click.argument("run", shell_complete=completing.runs)
@click.option(
    "--step",
    metavar="NAME",
    shell_complete=completing.steps,
    help="Begin with this step; by default with the last one that was not good.",
)
@json_option
def command(run: str, step: str | None, as_json: bool) -> int:
    """Go on with RUN, which needs a person, once what stood in its way is put right.

    A new run takes what came before the step as it was, does the step again, and everything after it. In a run that
    was rolling back, that is the rest of the rollback; with --step an earlier step, it is the promotion from there.
    """
    from orchestrator.cli.recovery import recover
    from orchestrator.cli.walk import do
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    recover(app)
    return do(app, app.again(app.store.run(run), step), as_json=as_json)
