"""`orchestrator rollback`: an environment back to a release that was verified there."""

from pathlib import Path

import click

from orchestrator.cli.output import confirm, json_option, note, queue_option, wait_option, yes_option


@click.command("rollback")
@click.argument("environment")
@click.option("--to", "version", metavar="VERSION", help="By default: the last verified one.")
@yes_option
@wait_option
@queue_option
@json_option
def command(environment: str, version: str | None, yes: bool, wait: float, queue: str, as_json: bool) -> int:
    """Put ENVIRONMENT back to a release that was verified there before the present one.

    Its plan is shown first. Steps of the present release with an undo of their own are undone, newest first; then the
    packaged steps of the older release put every host back, and its own tests prove it.
    """
    from orchestrator.cli.planned import print_plan
    from orchestrator.cli.walk import do, leave_to_workers
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    package = app.way_back(environment, version)
    note(f"planning to put {environment} back to {package.ref} …")
    plan = app.plan(package, environment, action="rollback", check=False)
    print_plan(plan, err=True)
    confirm(f"Put {environment} back to {package.ref}?", yes)
    asked = app.ask("rollback", package, (environment,), plan.digest, wait=wait, queue=queue)
    return leave_to_workers(asked, queue, as_json=as_json) if queue else do(app, asked, as_json=as_json)
