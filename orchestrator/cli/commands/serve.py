"""`orchestrator serve`: the dashboard and the API."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import log_format_option, note, out
from orchestrator.structured_logs import JSON, log_as_json, log_event

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.opening import ServerOptions

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("serve")
@click.argument("folders", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
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
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="The address of a proxy whose headers are trusted (default: 127.0.0.1). May be repeated.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0, 3600),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="After SIGTERM, keep serving for so long while /readyz responds 503.",
)
@click.option(
    "--connections-per-address",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    metavar="N",
    help="Maximum number of connections of one client address. The proxies of --behind-proxy have no such limit.",
)
@click.option("--no-worker", is_flag=True, help="Start no worker; `orchestrator worker` runs the requests.")
@log_format_option
def command(
    folders: tuple[Path, ...],
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    behind_proxy: bool,
    names: tuple[str, ...],
    proxies: tuple[str, ...],
    drain: float,
    connections_per_address: int,
    no_worker: bool,
    log_format: str,
) -> None:
    """Serve the dashboard and the API of the project in each folder PATH until stopped.

    Without PATH it is the project of the current folder. Several projects have addresses of their own, below /p/NAME.
    Users sign in once, at the first one; their rights are those of each project.

    The first start prints a one-time link with which the administrator is created. For each project, a worker is
    started as a process of its own: it executes what is requested, and is started again when it ends.

    An address that other machines can reach needs TLS (--tls-cert and --tls-key), or --behind-proxy. A changed
    certificate is loaded within 30 seconds. Requests under a name that is not the address, localhost or a --name are
    refused.

    SIGTERM and SIGINT complete the open requests and end the streams of events, whose clients connect again. With
    --drain a proxy has the time to send requests to another server.
    """
    from orchestrator.app.opening import ServerOptions, open_served, serve_applications
    from orchestrator.cli.planned import plan_text

    apps = open_served(folders or (Path.cwd(),), given=bool(folders))
    options = ServerOptions(
        host,
        port,
        certificate,
        key,
        behind_proxy,
        names,
        worker=not no_worker,
        proxies=proxies or ServerOptions.proxies,
        drain_s=drain,
        log_json=log_format == JSON,
        connections_per_address=connections_per_address,
    )
    if options.log_json:
        log_as_json()
    _prepare(apps, options)
    _report_addresses(apps, options)
    serve_applications(apps, options, plan_text)


def _report_addresses(apps: "tuple[Application, ...]", options: "ServerOptions") -> None:
    """Print where each project is served."""
    for app in apps:
        place = options.address if len(apps) == 1 else f"{options.address}/p/{app.project.name}"
        _report(options.log_json, app.project.name, place)


def _prepare(apps: "tuple[Application, ...]", options: "ServerOptions") -> None:
    """Print how the administrator is created, and which project lacks a role or a worker.

    Raises the S-codes of the first project.
    """
    from orchestrator.app.access import own_bindings
    from orchestrator.app.sign_in_links import create_first_link
    from orchestrator.domain.errors import OrchestratorError

    if not own_bindings(apps[0].acting)[1]:
        made = create_first_link(apps[0].acting)
        out(f"create the administrator, within an hour: {options.address}/link/{made.text}")
    for app in apps:
        name = app.project.name
        try:
            if len(apps) > 1 and not own_bindings(app.acting)[1] and app is not apps[0]:
                note(f"{name} has no roles, and no user may view it: orchestrator access grant administrator user:NAME")
            if not options.worker and not app.scheduler_runs():
                note(f"no worker is running for {name}, which would run what is requested: orchestrator worker")
        except OrchestratorError as error:
            if app is apps[0]:
                raise
            note(f"{name} cannot be read, and is served as soon as it can: {error.code} {error.message}")


def _report(log_json: bool, project: str, address: str) -> None:
    """Print, or log, what is served."""
    if log_json:
        log_event("orchestrator.web", "serving", project=project, address=address)
    else:
        note(f"serving {project} at {address}")
