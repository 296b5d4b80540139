"""`orchestrator resume`: go on with a run that was interrupted."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import json_option, note

if TYPE_CHECKING:
    from orchestrator.domain.journal import Run


@click.command("resume")
@click.argument("run")
@json_option
def command(run: str, as_json: bool) -> int:
    """Go on with RUN from where its process was stopped or died.

    What was done is not done again; an engine that is still at work is followed to its end.
    """
    from orchestrator.cli.attend import walk_of
    from orchestrator.cli.walk import do
    from orchestrator.domain.errors import OrchestratorError
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    asked, found = walk_of(app, run)
    runs = [item for item in app.store.runs() if item.root == asked.root]
    if all(item.ended for item in runs) and not _goes_on(runs, len(asked.targets)):
        raise OrchestratorError("R141", f"{found.id} has ended: {found.state}")
    note(f"going on with {asked.root}")
    return do(app, asked, as_json=as_json)


def _goes_on(runs: "list[Run]", targets: int) -> bool:
    """Whether the walk died between two environments."""
    from orchestrator.domain.promotion import State

    return len(runs) < targets and all(run.state is State.SUCCEEDED for run in runs)
