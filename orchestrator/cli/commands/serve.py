"""`orchestrator serve`: the dashboard and the API."""

import click

from orchestrator.cli.output import note, out
from orchestrator.cli.register_options import open_project


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to accept connections on: loopback.")
@click.option("--port", type=click.IntRange(1, 65535), default=8750, show_default=True, help="The port.")
def command(host: str, port: int) -> None:
    """Serve the dashboard and the API of the project until stopped.

    The first start prints a link with which the administrator is created. Workers run what is requested:
    start one with `orchestrator worker`.
    """
    from orchestrator.app.access import own_bindings
    from orchestrator.app.opening import serve_application
    from orchestrator.app.sign_in_links import create_first_link

    app = open_project()
    if not own_bindings(app.acting)[1]:
        made = create_first_link(app.acting)
        out(f"create the administrator, within an hour: http://{host}:{port}/link/{made.text}")
    if not app.scheduler_runs():
        note("no worker is running, which would run what is requested: orchestrator worker")
    serve_application(app, host, port)
