"""`orchestrator worker`: does what was left to the workers of a queue."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import json_option, log_format_option
from orchestrator.structured_logs import JSON, is_json, log_as_json, log_event

if TYPE_CHECKING:
    from orchestrator.domain.worker import WorkerEvent


@click.command("worker")
@click.option("--queue", default="default", show_default=True, metavar="NAME", help="The queue to work on.")
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    metavar="N",
    help="Maximum number of runs at the same time.",
)
@click.option("--once", is_flag=True, help="End when no run can be taken.")
@click.option(
    "--as-system",
    is_flag=True,
    help="Start it as the system, as `serve` does: the user of this machine needs no role in the project.",
)
@click.option(
    "--until-input-ends",
    is_flag=True,
    help="Stop when standard input ends, as SIGTERM does: with the process that holds it open.",
)
@log_format_option
@json_option
def command(
    queue: str,
    concurrency: int,
    once: bool,
    as_system: bool,
    until_input_ends: bool,
    log_format: str,
    as_json: bool,
) -> int:
    """Run the requests that `promote` and `rollback` have queued with --queue, oldest first, until stopped.

    Each promotion has a process of its own. A run whose environment is busy is not taken, so that it blocks no other
    run. Runs of a worker that died are taken over: at once on the same machine, and on another one when the claim has
    expired (30 seconds).

    Twice a minute the worker checks for ephemeral environments that are past their time, and destroys them.

    SIGTERM and SIGINT stop the worker. It takes no new runs, its runs stop before their next step, and the next worker
    resumes them. Events are written to standard error; --json writes them to standard output, a line each, and
    --log-format json writes them as lines of a structured log.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.execution import run_worker
    from orchestrator.cli.output import note, print_json_line
    from orchestrator.domain.access.principals import SYSTEM_ACTOR
    from orchestrator.domain.worker import WorkerConfig

    def print_event(event: "WorkerEvent") -> None:
        if as_json:
            data = {"what": event.what, "root": event.root, "process": event.process, "why": event.why}
            print_json_line("WorkerEvent", data)
        elif is_json():
            more: dict[str, str | int] = {"run": event.root, "process": event.process, "reason": event.why}
            log_event("orchestrator.worker", event.what, **{name: value for name, value in more.items() if value})
        else:
            process = f"(process {event.process})" if event.process else ""
            note(" ".join(word for word in (event.what, event.root, process, event.why) if word))

    if log_format == JSON:
        log_as_json()
    app = open_application(Path.cwd())
    actor = SYSTEM_ACTOR if as_system else app.actor
    run_worker(app, actor, WorkerConfig(queue, concurrency, once, until_input_ends), print_event)
    return 0
