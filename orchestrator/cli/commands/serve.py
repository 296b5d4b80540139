"""`orchestrator serve`: the dashboard and the API."""

from pathlib import Path

import click

from orchestrator.cli.output import note, out
from orchestrator.cli.register_options import open_project

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("serve")
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to accept connections on."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8750, show_default=True, metavar="PORT", help="The port."
)
@click.option("--tls-cert", "certificate", type=FILE, metavar="FILE", help="The certificate for TLS, with its chain.")
@click.option("--tls-key", "key", type=FILE, metavar="FILE", help="The private key of the certificate.")
@click.option("--behind-proxy", is_flag=True, help="Trust the headers of a proxy on this machine, which ends TLS.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="A host name of the server. May be repeated.")
@click.option("--no-worker", is_flag=True, help="Start no worker; `orchestrator worker` runs the requests.")
def command(
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    behind_proxy: bool,
    names: tuple[str, ...],
    no_worker: bool,
) -> None:
    """Serve the dashboard and the API of the project until stopped.

    The first start prints a one-time link with which the administrator is created. A worker is started as a process of
    its own: it executes what is requested, and is started again when it ends.

    An address that other machines can reach needs TLS (--tls-cert and --tls-key), or --behind-proxy. A changed
    certificate is loaded within 30 seconds. Requests under a name that is not the address, localhost or a --name are
    refused.
    """
    from orchestrator.app.access import own_bindings
    from orchestrator.app.opening import ServerOptions, serve_application
    from orchestrator.app.sign_in_links import create_first_link
    from orchestrator.cli.planned import plan_text

    app = open_project()
    options = ServerOptions(host, port, certificate, key, behind_proxy, names, not no_worker)
    if not own_bindings(app.acting)[1]:
        made = create_first_link(app.acting)
        out(f"create the administrator, within an hour: {options.address}/link/{made.text}")
    if no_worker and not app.scheduler_runs():
        note("no worker is running, which would run what is requested: orchestrator worker")
    note(f"serving {app.project.name} at {options.address}")
    serve_application(app, options, plan_text)
