"""`orchestrator cancel`: stop a run before its next step, and roll back what it has changed."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option


@click.command("cancel")
@click.argument("run", shell_complete=completing.runs)
@click.option("-m", "--message", default="", metavar="WHY", help="Why, for the journal.")
@json_option
def command(run: str, message: str, as_json: bool) -> int:
    """Let the step of RUN that goes on end, begin no other, and roll back what was changed.

    Before the first change it simply ends. A rollback that has begun goes on. The command ends as the run does.

    Of a walk in waves, the walk's own name stands for all of it: its runs are cancelled, and no further wave begins.
    One run of it that is cancelled counts as a failure of its environment.
    """
    from orchestrator.cli.wishes import stop
    from orchestrator.wiring import open_app

    return stop(open_app(Path.cwd()), run, "cancel", message, as_json=as_json)
