"""`orchestrator abort`: stop what a run does now, and roll back what it has changed."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import confirm, json_option, yes_option


@click.command("abort")
@click.argument("run", shell_complete=completing.complete_runs)
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the journal.")
@yes_option
@json_option
def command(run: str, message: str, yes: bool, as_json: bool) -> int:
    """Stop the engines of RUN at once, with all their processes on this machine, and roll back its changes.

    Hosts may be interrupted in the middle of a task; the rollback restores them. A rollback that is aborted ends with
    `needs intervention`. The exit code is that of the run.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.control import going, stop_run

    app = open_application(Path.cwd())
    going(app, run)
    confirm(f"Cut off what {run} does now?", yes)
    return stop_run(app, run, "abort", message, as_json=as_json)
