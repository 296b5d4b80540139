"""`orchestrator login`: sign in to a server, and keep its address and token in a profile."""

import os
import sys
from pathlib import Path

import click

from orchestrator.cli.output import json_option, out, print_json

TOKEN = "ORCHESTRATOR_TOKEN"  # noqa: S105 - the name of a variable, not a secret
LONGEST = 4096  # characters of a token


@click.command("login")
@click.argument("url")
@click.option("--name", metavar="PROFILE", help="The name of the profile (default: host and port of URL).")
@click.option(
    "--ca-cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust the certificates in this file, and not those of the system.",
)
@json_option
def command(url: str, name: str | None, ca_cert: Path | None, as_json: bool) -> None:
    """Check a token at the server with this URL, and keep both in a profile.

    The token is read from ORCHESTRATOR_TOKEN, from standard input, or from a prompt that does not show it. Create it
    with `orchestrator token create`. Commands use the profile with `--profile PROFILE`, or its token with
    `--server URL`.
    """
    from orchestrator.app.opening import this_machine

    done = this_machine().servers.login(url, _token(), name, ca_cert)
    profile, actor, project = done
    if as_json:
        about = {"profile": profile.name, "url": profile.url, "actor": actor, "project": project}
        print_json("Login", about)
        return
    out(
        f"signed in to {project} at {profile.url} as {actor}; use it with: orchestrator --profile {profile.name} status"
    )


def _token() -> str:
    """The token. Raises N134 if none is given."""
    from orchestrator.domain.errors import OrchestratorError

    given = os.environ.get(TOKEN)
    if given is None and sys.stdin.isatty():
        given = str(click.prompt("Token", hide_input=True, err=True))
    elif given is None:
        given = sys.stdin.read(LONGEST)
    if not given.strip():
        raise OrchestratorError("N134", "no token is given")
    return given.strip()
