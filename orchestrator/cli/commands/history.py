"""`orchestrator history`: the runs there were."""

from pathlib import Path

import click

from orchestrator.cli.output import json_option, out, print_json, table


@click.command("history")
@click.argument("environment", required=False)
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many runs.")
@json_option
def command(environment: str | None, limit: int, as_json: bool) -> None:
    """List the runs there were, newest first; with ENVIRONMENT those of one environment, or of a list of waves."""
    from orchestrator.cli.recovery import recover
    from orchestrator.cli.words import first_line, state_cell, when
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    recover(app)
    if environment is not None and app.waves(environment) is None:
        app.setting.environment(environment)
    runs = [(run, app.interrupted(run)) for run in app.store.runs(environment, limit=limit)]
    if as_json:
        print_json("History", {"runs": [{**run.to_json(), "interrupted": broken} for run, broken in runs]})
    elif not runs:
        out("nothing has been done here yet; orchestrator promote RELEASE begins")
    else:
        rows = [
            [
                run.id,
                run.kind,
                run.environment,
                str(run.release) if run.release else "–",
                state_cell(run.state, interrupted=broken),
                when(run.requested_at),
                run.by,
                first_line(run.message, 70),
            ]
            for run, broken in runs
        ]
        out(table(["run", "kind", "environment", "release", "state", "asked for", "by", ""], rows))
