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
    help="What runs there, or none.",
)
@click.option("--live", type=click.Choice(["blue", "green"]), help="Which side is live, instead of a host.")
@click.option("-m", "--message", required=True, metavar="WHY", help="Why you know; it is kept with your name.")
@json_option
def command(
    environment: str, host: str | None, wanted: str | None, live: str | None, message: str, as_json: bool
) -> int:
    """Decide by name what runs on HOST of ENVIRONMENT, of which nobody can say it (its truth is *unknown*).

    The journal keeps who decided it and why, and the host is *assumed* from then on, until it says something itself.
    What a host has said itself is not overruled.

    With --live it is the word on which of two sides the service leads to: after a switch that nobody saw end well, or
    when somebody has switched by hand.
    """
    from orchestrator.cli.recovery import recover
    from orchestrator.cli.walk import do
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    recover(app)
    app.setting.environment(environment)
    if not message.strip():
        raise click.UsageError("say why with -m: whoever comes next will read it")
    if (live is None) == (host is None) or (host is None) != (wanted is None):
        raise click.UsageError("say either HOST and --release, or --live")
    if live is not None or wanted is None:
        about: dict[str, object] = {"live": live, "why": message}
        return do(app, app.ask("accept", None, (environment,), about=about), as_json=as_json)
    release = None if wanted == "none" else app.reference(wanted).to_json()
    about = {"host": host, "release": release, "why": message}
    return do(app, app.ask("accept", None, (environment,), about=about), as_json=as_json)
