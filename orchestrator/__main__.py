"""The composition root of the command `orchestrator`: it alone joins the wiring and a front end."""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from orchestrator import cli, tracing
from orchestrator.app.opening import ServerOptions, compose
from orchestrator.cli.places import PROFILE, SERVER

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.machine import Machine
    from orchestrator.app.request_duties import Shows


def open_real_project(start: Path, environ: Mapping[str, str], *, restoring: bool) -> "Application":
    """The project around *start* with the real adapters, or at the chosen server; they are imported here."""
    if environ.get(SERVER) or environ.get(PROFILE):
        from orchestrator.server_wiring import open_remote

        return open_remote(environ)
    from orchestrator.wiring import open_app

    return open_app(start, environ, restoring=restoring)


def open_real_machine(environ: Mapping[str, str]) -> "Machine":
    """This machine, with the real adapters; they are imported when they are used."""
    from orchestrator.machine_wiring import RealMachine

    return RealMachine(environ)


def serve_real_projects(applications: "Sequence[Application]", options: ServerOptions, shows: "Shows") -> None:
    """Serve *applications* with the real server, which is imported here. Raises N101 without its packages."""
    try:
        from orchestrator.web.serving import run_server
    except ModuleNotFoundError as error:
        from orchestrator.domain.errors import OrchestratorError

        raise OrchestratorError("N101", f"{error.name} is not installed") from error
    from orchestrator.adapters.database.thread_connections import keep_connections

    keep_connections()
    run_server(applications, options, shows)


def search_garbage_rarely() -> None:
    """Let Python search for garbage less often than after each 700 new objects.

    Nearly all that a command makes when it starts are modules and classes, which stay. The searches took a fifth of the
    time of a short command.
    """
    gc.set_threshold(50_000, 20, 50)


def start_traces(environ: Mapping[str, str] = os.environ) -> None:
    """Record traces if the variables OTEL_* name a receiver. Without the packages a warning is printed, and no more."""
    if not tracing.is_wanted(environ):
        return
    try:
        from orchestrator.adapters.otlp_traces import OtlpTraces

        tracing.use_traces(OtlpTraces(environ))
    except ModuleNotFoundError as error:
        sys.stderr.write(f"OTEL_* is set, but {error.name} is not installed: pip install 'orchestrator[telemetry]'\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* (by default those of the process) request, and return its exit status."""
    search_garbage_rarely()
    compose(open_real_project, open_real_machine, serve_real_projects)
    start_traces()
    return cli.main(arguments)


def run() -> NoReturn:
    """The console script."""
    search_garbage_rarely()
    compose(open_real_project, open_real_machine, serve_real_projects)
    start_traces()
    cli.run_and_end()


if __name__ == "__main__":
    run()
