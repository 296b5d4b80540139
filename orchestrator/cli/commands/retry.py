"""`orchestrator retry`: continue a run that needs intervention, from one of its steps."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option


@click.command("retry")
@click.argument("run", shell_complete=completing.complete_runs)
@click.option(
    "--step",
    metavar="NAME",
    shell_complete=completing.steps,
    help="Start with this step (default: the last one that did not succeed).",
)
@json_option
def command(run: str, step: str | None, as_json: bool) -> int:
    """Retry the failed step of RUN, which needs manual intervention, and continue.

    A new run keeps the results before the step, repeats the step, and runs everything after it. For a run that was
    rolling back, this is the rest of the rollback. With --step an earlier step is repeated, and the promotion continues
    from it.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.follow_run import execute_and_report
    from orchestrator.cli.recovery import recover

    app = open_application(Path.cwd())
    recover(app)
    return execute_and_report(
        app, app.submissions.retry(app.actor, app.queries.find_run(app.actor, run), step), as_json=as_json
    )
