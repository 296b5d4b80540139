"""`orchestrator accept`: a person's decision about a host that cannot be asked, or about which side is live."""

from pathlib import Path

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option


@click.command("accept")
@click.argument("environment", shell_complete=completing.environments)
@click.argument("host", required=False)
@click.option(
    "--release",
    "wanted",
    metavar="VERSION|DIGEST|none",
    shell_complete=completing.releases,
    help="The release that the host runs, or none.",
)
@click.option("--live", type=click.Choice(["blue", "green"]), help="Declare the live side, instead of a host.")
@click.option("-m", "--message", required=True, metavar="WHY", help="The reason, kept with your name.")
@json_option
def command(
    environment: str, host: str | None, wanted: str | None, live: str | None, message: str, as_json: bool
) -> int:
    """Record which release runs on HOST of ENVIRONMENT if it cannot be determined (its state is *unknown*).

    The journal keeps the user and the reason. The host is *assumed* from then on, until it reports a release itself.
    A release that the host has reported is not overruled.

    With --live, declares the live side: after a switch that did not complete, or after a manual switch.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.app.requests import AssumeHost, AssumeLiveSide
    from orchestrator.cli.follow_run import do
    from orchestrator.cli.recovery import recover
    from orchestrator.domain.sides import Side

    app = open_application(Path.cwd())
    recover(app)
    app.services.environment(environment)
    if not message.strip():
        raise click.UsageError("say why with -m: whoever comes next will read it")
    if (live is None) == (host is None) or (host is None) != (wanted is None):
        raise click.UsageError("say either HOST and --release, or --live")
    if live is not None or wanted is None:
        side: Side = "blue" if live == "blue" else "green"
        assumed = AssumeLiveSide(targets=(environment,), live=side, reason=message)
        return do(app, app.submissions.submit(app.actor, assumed), as_json=as_json)
    release = None if wanted == "none" else app.releases.reference(app.actor, wanted)
    request = AssumeHost(targets=(environment,), host=str(host), running=release, reason=message)
    return do(app, app.submissions.submit(app.actor, request), as_json=as_json)
