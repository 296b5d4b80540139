"""`orchestrator whoami`: the actor of this process."""

import click

from orchestrator.cli.output import json_option, out, print_json
from orchestrator.cli.register_options import open_project

LOCAL = "Local names are not verified: another user who can write the state folder can bypass all rights."


@click.command("whoami")
@json_option
def command(as_json: bool) -> None:
    """Show the actor, how it was authenticated, and its roles."""
    from orchestrator.app.access import own_bindings

    acting = open_project().acting
    actor, (bindings, any_binding) = acting.actor, own_bindings(acting)
    if as_json:
        document = {
            "actor": actor.to_json(),
            "bindings": [binding.to_json() for binding in bindings],
            "every_right": not any_binding and actor.method.value == "local",
        }
        print_json("Actor", document)
        return
    by = f"token {actor.credential}" if actor.credential else "the user of this machine"
    out(f"{actor}, by {by}")
    if not any_binding:
        out("there are no bindings: the local user has every right")
    for binding in bindings:
        out(f"  {binding}")
    out(LOCAL)
