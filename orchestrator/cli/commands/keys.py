"""`orchestrator keys`: the project key, with which the project recognizes its own plans."""

from pathlib import Path

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, out, print_json


@click.group("keys", cls=SubcommandGroup)
def command() -> None:
    """Show or rotate the project key.

    The project key authenticates the plans of this project: 32 random bytes in `.orchestrator/project.key`, or in the
    file that ORCHESTRATOR_PROJECT_KEY_FILE names. Machines that share a store need the same key. The key itself is
    never printed.
    """


@command.command("show")
@json_option
def show(as_json: bool) -> None:
    """Show the identifiers of the current key and of retired keys."""
    from dataclasses import asdict

    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    known = app.maintenance.known_keys(app.actor)
    if as_json:
        print_json("Keys", {"file": known.file, "keys": [asdict(key) for key in known.keys]})
        return
    current, *retired = known.keys
    out(f"{current.id}  current  {known.file}")
    for key in retired:
        out(f"{key.id}  retired {key.retired_at}, accepted until {key.expires_at}")


@command.command("rotate")
@click.option("--revoke", is_flag=True, help="Refuse plans made with earlier keys at once (default: after 30 days).")
@json_option
def rotate(revoke: bool, as_json: bool) -> None:
    """Make a new project key. Plans made with the old one are accepted for 30 more days.

    With --revoke, earlier keys are refused for everything but the verification of the audit entries that were made
    before. Use it if another user may have read the key. Controller files that were encrypted with an earlier key can
    then only be read on machines that already have a copy.
    """
    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    made = app.maintenance.rotate_key(app.actor, revoke=revoke)
    if as_json:
        print_json("KeyRotated", {"file": made.file, "key": made.keys[0].id, "revoked": revoke})
        return
    out(f"{made.keys[0].id} is the current key in {made.file}")
    out("plans made with earlier keys are refused" if revoke else "plans made with the old key expire in 30 days")
