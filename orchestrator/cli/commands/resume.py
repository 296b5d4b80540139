"""`orchestrator resume`: resume a run that was interrupted or paused."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import ignore_broken_pipe, json_option, note

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.requests import RunRequest
    from orchestrator.domain.journal import Run

PATIENCE = 30.0  # seconds that a process in the background waits for the one that has started it to end


@click.command("resume")
@click.argument("run", shell_complete=completing.complete_runs)
@click.option(
    "--background", is_flag=True, help="Wait until the current process releases the run, and do not follow it."
)
@json_option
def command(run: str, background: bool, as_json: bool) -> int:
    """Resume RUN from its last recorded step, after its process died or an operator paused it.

    Completed work is not repeated, and an engine that is still working is followed to its end. If another process
    already works on the run, it is followed.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.execution import follow, request_and_run
    from orchestrator.cli.follow_run import execute_and_report, report_end
    from orchestrator.domain.access.principals import SYSTEM_ACTOR
    from orchestrator.domain.errors import OrchestratorError

    ignore_broken_pipe()
    app = open_application(Path.cwd())
    actor = SYSTEM_ACTOR if background else app.actor  # the token of the user may have expired since the request
    request, found = request_and_run(app, actor, run)
    runs = app.queries.runs_of(actor, request.root)[::-1]
    if found.ended and request.waves is not None and found.kind != "waves":
        raise OrchestratorError("R141", f"{found.id} has ended: {found.state}")
    if all(item.ended for item in runs) and (request.waves or not _goes_on(runs, len(request.targets))):
        raise OrchestratorError("R141", f"{found.id} has ended: {found.state}")
    present = found if request.waves is not None else app.queries.current_run(actor, request.root)
    if present.control == "pause":
        app.control.request(app.actor, present, "")
    if not background and app.queries.has_worker(actor, request.root):
        note(f"another process executes {request.root}; following it")
        return report_end(app, request, follow(app, request), as_json=as_json)
    if not app.executes_here:
        app.control.transfer(app.actor, present)
    note(f"resuming {request.root}")
    return (
        _when_free(app, request, as_json=as_json) if background else execute_and_report(app, request, as_json=as_json)
    )


def _when_free(app: "Application", request: "RunRequest", *, as_json: bool) -> int:
    """Do it once the previous process has released the claim."""
    import time

    from orchestrator.cli.follow_run import execute_and_report
    from orchestrator.domain.access.principals import SYSTEM_ACTOR

    deadline = time.monotonic() + PATIENCE
    reader = app.queries.reader(SYSTEM_ACTOR)
    while reader.has_worker(request.root) and time.monotonic() < deadline:
        time.sleep(0.05)
    return execute_and_report(app, request, as_json=as_json)


def _goes_on(runs: "list[Run]", targets: int) -> bool:
    """Whether the process of the request died between two environments."""
    from orchestrator.domain.promotion import State

    return len(runs) < targets and all(run.state is State.SUCCEEDED for run in runs)
