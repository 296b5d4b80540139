"""`orchestrator logout`: remove the profile of a server."""

import click

from orchestrator.cli.output import json_option, out, print_json


@click.command("logout")
@click.argument("profile")
@json_option
def command(profile: str, as_json: bool) -> None:
    """Remove PROFILE with its token from this machine.

    The token stays valid: revoke it with `orchestrator token revoke`.
    """
    from orchestrator.app.opening import this_machine

    found = this_machine().servers.logout(profile)
    if as_json:
        print_json("Logout", {"profile": found.name, "url": found.url})
        return
    out(f"{found.name} is removed; its token stays valid until it is revoked")
