"""`orchestrator watch`: follow a run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, note, print_json_line

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.requests import RunRequest
    from orchestrator.app.run_requests import RequestView
    from orchestrator.domain.journal import Record
    from orchestrator.domain.story import RunView


@click.command("watch")
@click.argument("run", shell_complete=completing.complete_runs)
@json_option
def command(run: str, as_json: bool) -> int:
    """Follow RUN to its end, also if another process runs it, and return its exit code.

    With --json each record of the journal is one line. For the id of the request of a promotion that waits, prints what
    it waits for until it starts, and then follows its run.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.execution import follow, request_and_run
    from orchestrator.cli.follow_run import report_end
    from orchestrator.cli.requested_runs import request_without_run, wait_for_start

    app = open_application(Path.cwd())
    if (seen := request_without_run(app, run)) is not None:
        seen = wait_for_start(app, seen)
        if not seen.request.run:
            return _ended(app, seen, as_json=as_json)
        run = seen.request.run
    request, found = request_and_run(app, app.actor, run)
    if as_json:
        return _lines(app, request)
    stories = follow(app, request)
    if stories and any(not story.run.ended for story in stories):
        note(f"interrupted: orchestrator resume {found.id}")
    return report_end(app, request, stories, as_json=False)


def _ended(app: "Application", seen: "RequestView", *, as_json: bool) -> int:
    """Print how a request ended that has no run. Returns the exit status."""
    from orchestrator.cli.run_requests import item, print_request
    from orchestrator.domain.errors import Exit

    if as_json:
        print_json_line("RunRequest", {**item(seen), "text": None, "worker": app.scheduler_runs()})
    else:
        print_request(app, seen, as_json=False)
    return int(Exit.NOT_ALLOWED)


def _lines(app: "Application", request: "RunRequest") -> int:
    import time

    from orchestrator.cli.execution import POLL, Follower, exit_of
    from orchestrator.cli.view import Lines

    class Records(Lines):
        def begin(self, story: "RunView") -> None:
            """Print nothing: the records of a run contain its start."""

        def take(self, story: "RunView", record: "Record") -> None:
            del story
            print_json_line("Record", record.to_json())

    follower = Follower(app, app.actor, request, Records())
    while True:
        working = follower.reader.has_worker(request.root)
        follower.poll()
        if not working:
            return int(exit_of(follower.stories))
        time.sleep(POLL)
