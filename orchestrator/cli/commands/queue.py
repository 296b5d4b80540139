"""`orchestrator queue`: who waits for which environment, and for what."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import json_option, out, print_json, table

if TYPE_CHECKING:
    from orchestrator.domain.journal import Lease, Waiting


@click.command("queue")
@click.argument("environment", required=False)
@json_option
def command(environment: str | None, as_json: bool) -> None:
    """Show who waits for which environment, in order, who holds it, and which walks come to it with a later wave."""
    from orchestrator.cli.recovery import recover
    from orchestrator.cli.words import when
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    recover(app)
    if environment is not None:
        app.setting.environment(environment)
    names = [environment] if environment else list(app.environments)
    coming = app.coming()
    found = {name: (app.store.lease(name), app.store.queue(name)) for name in names}
    if as_json:
        items = [
            {
                "environment": name,
                "lease": lease.to_json() if lease else None,
                "waiting": [wait.to_json() for wait in waiting],
                "coming": coming.get(name, []),
            }
            for name, (lease, waiting) in found.items()
        ]
        print_json("Queue", {"environments": items})
        return
    rows = [
        [
            name,
            str(place) if wait.superseded_by is None else "–",
            wait.run,
            str(wait.release) if wait.release else "–",
            wait.by,
            when(wait.since),
            f"superseded by {wait.superseded_by}" if wait.superseded_by else _for_what(lease, waiting, place),
        ]
        for name, (lease, waiting) in found.items()
        for place, wait in enumerate(waiting, start=1)
    ]
    rows += [
        [name, "–", walk["run"], _release(walk), walk["by"], "–", f"wave {walk['wave']} of its walk"]
        for name in names
        for walk in coming.get(name, [])
    ]
    out(table(["environment", "place", "run", "release", "by", "since", "waits for"], rows) if rows else "nobody waits")


def _release(walk: dict[str, Any]) -> str:
    return f"{walk['release']['name']} {walk['release']['version']}"


def _for_what(lease: "Lease | None", waiting: "list[Waiting]", place: int) -> str:
    """What the one in this *place* waits for."""
    ahead = [wait for wait in waiting[: place - 1] if wait.superseded_by is None]
    if ahead:
        return ahead[-1].run
    if lease is None:
        return "its turn"
    return f"the lock of {lease.by}: {lease.reason}" if lease.locked else lease.holder
