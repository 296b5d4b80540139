"""`orchestrator matrix`: every release in every environment."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import Cell, json_option, out, print_json, table

if TYPE_CHECKING:
    from orchestrator.domain.release import PackageRef
    from orchestrator.wiring import App

COLOURS = {
    "current": "green",
    "partly": "yellow",
    "standing by": "",
    "verified": "",
    "rolled back": "yellow",
    "failed": "red",
}


@click.command("matrix")
@json_option
def command(as_json: bool) -> None:
    """Show which release is where: one row for each release, one column for each environment of the path."""
    from orchestrator.cli.recovery import recover
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    recover(app)
    names = list(app.environments)
    rows = [_row(app, ref, names) for ref in _releases(app)]
    if as_json:
        print_json("Matrix", {"project": app.project.name, "environments": names, "releases": rows})
    elif not rows:
        out("there is no release yet; orchestrator build makes one")
    else:
        cells = [
            [f"{row['release']['name']} {row['release']['version']}", *(_cell(row["in"][name]) for name in names)]
            for row in rows
        ]
        out(table(["release", *names], cells))


def _releases(app: "App") -> "list[PackageRef]":
    """Every release that is kept or was ever verified here, newest first."""
    found = {ref.digest: ref for ref in app.packages.refs()}
    for name in app.environments:
        found.update({mark.release.digest: mark.release for mark in reversed(app.store.verified(name))})
    order = {run.release.digest: number for number, run in enumerate(reversed(app.store.runs())) if run.release}
    return sorted(found.values(), key=lambda ref: (order.get(ref.digest, len(order)), ref.name), reverse=True)


def _row(app: "App", ref: "PackageRef", names: list[str]) -> dict[str, Any]:
    return {"release": ref.to_json(), "in": {name: _place(app, ref, name) for name in names}}


def _place(app: "App", ref: "PackageRef", name: str) -> dict[str, Any]:
    """What the release is in one environment, as JSON data."""
    from orchestrator.domain.journal import FORWARD

    hosts = app.store.hosts(name)
    on = [host.host for host in hosts if host.runs(ref.digest)]
    serving = [host for host in hosts if not host.stands_by]
    live = [host for host in serving if host.runs(ref.digest)]
    marks = [mark for mark in app.store.verified(name) if mark.release.digest == ref.digest]
    runs = [run for run in app.store.runs(name) if run.release and run.release.digest == ref.digest]
    last = next((run for run in runs if run.kind in FORWARD), None)
    if live:
        state = "current" if len(live) == len(serving) else "partly"
    elif on:
        state = "standing by"
    elif last is not None and last.state.value in {"rolled back", "failed", "needs a person"}:
        state = "rolled back" if last.state.value == "rolled back" else "failed"
    else:
        state = "verified" if marks else "absent"
    return {
        "state": state,
        "hosts": on,
        "of": len(hosts),
        "verified_at": marks[0].at if marks else None,
        "run": last.id if last else None,
    }


def _cell(place: dict[str, Any]) -> Cell:
    from orchestrator.cli.words import when

    state = place["state"]
    if state == "absent":
        return ("–", "bright_black")
    if state in {"current", "partly", "standing by"}:
        sign = "○" if state == "standing by" else "●"
        text = f"{sign} {len(place['hosts'])}/{place['of']} hosts"
    else:
        text = f"{state} {when(place['verified_at'])[:10]}" if place["verified_at"] and state == "verified" else state
    return (text, COLOURS[state]) if COLOURS[state] else text
