"""`orchestrator store`: what is derived from the journal, and can be derived again."""

from pathlib import Path

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, out, print_json
from orchestrator.domain.text import counted


@click.group("store", cls=SubcommandGroup)
def command() -> None:
    """Rebuild the tables that lists are read from."""


@command.command("rebuild")
@json_option
def rebuild(as_json: bool) -> None:
    """Rebuild the tables that lists are read from, from the journal.

    Runs can continue meanwhile; their entries wait until the rebuild has ended. The journal is not changed.
    """
    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    runs = app.maintenance.rebuild_lists(app.actor)
    if as_json:
        print_json("StoreRebuilt", {"runs": runs})
        return
    out(f"the lists were rebuilt from the journal of {counted(runs, 'run')}")
