"""`orchestrator pause`: stop a run before its next step, until it is resumed."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, note, out, print_json


@click.command("pause")
@click.argument("run", shell_complete=completing.complete_runs)
@click.option("-m", "--message", default="", metavar="WHY", help="The reason, for the journal.")
@json_option
def command(run: str, message: str, as_json: bool) -> None:
    """Complete the current step of RUN, and start no other until `orchestrator resume RUN`.

    The environment stays held. A paused run is not resumed automatically. For a promotion in waves, the id of the root
    pauses all its runs; one of its runs can be paused alone.
    """
    import time

    from orchestrator.app.opening import open_application
    from orchestrator.cli.control import going

    app = open_application(Path.cwd())
    found = going(app, run)
    app.control.request(app.actor, found, "pause", message)
    reader = app.queries.reader(app.actor)
    if reader.has_worker(found.root):
        note("pausing after the current step …")
    alone = (
        found.kind != "waves" and app.submissions.recorded(app.actor, found.root).waves is not None
    )  # other environments of the rollout may run for long
    while reader.has_worker(found.root) and not alone:
        time.sleep(0.1)
    now = reader.run(found.id)
    if as_json:
        print_json("Paused", {"run": now.to_json(), "paused": not now.ended})
    elif now.ended:
        out(f"{now.id} had ended before: {now.state}")
    else:
        out(f"{found.id} is paused; orchestrator resume {found.id} continues it")
