"""`orchestrator prune`: what old runs have left in the state folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import json_option, note, out, print_json
from orchestrator.domain.text import counted

if TYPE_CHECKING:
    from orchestrator.domain.retention import Removable


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@json_option
def command(dry_run: bool, as_json: bool) -> None:
    """Remove what old runs have left in the state folder, by the rule `retention` of orchestrator.yaml.

    These are folders of jobs with their output, unpacked packages, records of durable execution, plans that no run has
    executed, and project definitions that nothing names. The journal, evidence, sealed packages and everything that a
    rollback needs are kept. Runs can continue meanwhile.
    """
    from orchestrator.app.opening import open_application

    app = open_application(Path.cwd())
    try:
        found = app.retention.removable(app.actor) if dry_run else app.retention.prune(app.actor)
    finally:
        app.close()
    if as_json:
        print_json("Pruned", {"dry_run": dry_run, **found.to_json()})
        return
    _print(found, dry_run=dry_run)


def _print(found: "Removable", *, dry_run: bool) -> None:
    parts = {
        "folder of a job": found.jobs,
        "plan": found.plans,
        "unpacked package": found.packages,
        "record of a request": found.requests,
        "output file": found.outputs,
        "project definition": found.definitions,
    }
    if found.is_empty:
        out("nothing is old enough to be removed")
        return
    plural = {"folder of a job": "folders of jobs", "record of a request": "records of requests"}
    for what, names in parts.items():
        if names:
            out(f"{len(names)} {plural[what]}" if what in plural and len(names) > 1 else counted(len(names), what))
    note(f"{found.bytes / 2**20:.1f} MiB {'would be' if dry_run else 'were'} removed")
