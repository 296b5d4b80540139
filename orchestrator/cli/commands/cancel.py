"""`orchestrator cancel`: stop a run before its next step, and roll back what it has changed."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option


@click.command("cancel")
@click.argument("run", shell_complete=completing.complete_runs)
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the journal.")
@json_option
def command(run: str, message: str, as_json: bool) -> int:
    """Complete the current step of RUN, start no other, and roll back its changes.

    Before the first change the run ends without a rollback. A rollback that has started continues. The exit code is
    that of the run.

    For a promotion in waves, the id of the root cancels all its runs, and no further wave starts. A single cancelled
    run counts as a failure of its environment.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.control import stop_run

    return stop_run(open_application(Path.cwd()), run, "cancel", message, as_json=as_json)
