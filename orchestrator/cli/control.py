"""Control requests of operators: pause, cancel and abort a run, and follow it to its end."""

from orchestrator.app.application import Application
from orchestrator.cli.execution import follow, request_and_run
from orchestrator.cli.follow_run import execute_and_report, report_end
from orchestrator.cli.output import ignore_broken_pipe, note
from orchestrator.domain.error_codes import HAS_PROCESS
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import ControlVerb, Run


def going(app: Application, wanted: str) -> Run:
    """The run that *wanted* means, which must not have ended; a root means all its runs. Raises R101, R102 and R141."""
    request, found = request_and_run(app, app.actor, wanted)
    run = found if request.waves is not None else app.queries.current_run(app.actor, request.root)
    if run.ended:
        raise OrchestratorError("R141", f"{run.id} has ended: {run.state}")
    return run


def stop_run(app: Application, wanted: str, verb: ControlVerb, why: str, *, as_json: bool) -> int:
    """Record the control request, and follow the run to its end; if no process works on it, execute it here."""
    ignore_broken_pipe()
    run = going(app, wanted)
    request = app.submissions.recorded(app.actor, run.root)
    app.control.request(app.actor, run, verb, why)
    has_worker = app.queries.has_worker(app.actor, run.root)
    if not has_worker and not app.executes_here:
        app.control.transfer(app.actor, run)
        note(f"{run.id} has no active worker; a worker of the server ends it")
        return execute_and_report(app, request, as_json=as_json)  # it waits until a worker has done that
    if not has_worker:
        note(f"{run.id} has no active worker; ending it now")
        try:
            return execute_and_report(app, request, as_json=as_json)
        except OrchestratorError as error:
            if error.code != HAS_PROCESS:  # a worker was first, and sees it through
                raise
    only = run.id if request.waves is not None and run.kind != "waves" else ""
    return report_end(app, request, follow(app, request, only), as_json=as_json)
