"""`orchestrator matrix`: every release in every environment."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.completing import environments
from orchestrator.cli.output import Cell, json_option, note, out, print_json, screen, table
from orchestrator.domain.text import counted

if TYPE_CHECKING:
    from orchestrator.domain.facts import EnvironmentFacts
    from orchestrator.domain.listing import ReleasePlace
    from orchestrator.domain.release import PackageRef
    from orchestrator.wiring import App

PAGE = 200  # releases
COLOURS = {
    "current": "green",
    "partly": "yellow",
    "standing by": "",
    "verified": "",
    "rolled back": "yellow",
    "needs intervention": "red",
}


@click.command("matrix")
@click.option("--environment", "chosen", multiple=True, shell_complete=environments, help="Show only this environment.")
@click.option("--name", help="Show only releases with this name.")
@click.option("-n", "--limit", type=click.IntRange(1), default=50, show_default=True, help="Number of releases.")
@json_option
def command(chosen: tuple[str, ...], name: str | None, limit: int, as_json: bool) -> None:
    """Show the releases of all environments: one row for each release, one column for each environment of the path.

    Problems come first. A release is listed in an environment if it had an effect in it.
    The newest releases come first.
    """
    from orchestrator.cli.recovery import remind
    from orchestrator.cli.situation import problem_lines
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    remind(app)
    for wanted in chosen:
        app.setting.environment(wanted)
    facts = app.queries.facts_of_all(
        app.actor, tuple(item for item in app.environments if not chosen or item in chosen)
    )
    refs = [ref for ref in _releases(app) if name in {None, ref.name}]
    rows = _rows(app, refs[:limit], facts)
    problems = [problem for item in facts for problem in item.problems if item.recorded or rows]
    if as_json:
        about = {**_about(facts), "problems": [problem.to_json() for problem in problems]}
        print_json("Matrix", {"project": app.project.name, **about, "releases": rows})
        return
    for line in problem_lines(problems):
        out(line)
    if not rows:
        out("no releases yet; orchestrator build makes one")
        return
    heads = [_head(item) for item in facts]
    cells = [
        [f"{row['release']['name']} {row['release']['version']}", *(_cell(row["in"][item.name]) for item in facts)]
        for row in rows
    ]
    out(table(["release", *heads], cells, columns=screen()))
    if len(refs) > limit:
        note(f"{counted(len(refs) - limit, 'older release')} not shown: -n {len(refs)}")


def _about(facts: "list[EnvironmentFacts]") -> dict[str, Any]:
    """What the document has of the environments themselves."""
    return {
        "environments": [item.name for item in facts],
        "destroyed": [item.name for item in facts if item.destroyed is not None],
        "calendar": {item.name: item.calendar.to_json() for item in facts if item.calendar is not None},
    }


def _head(facts: "EnvironmentFacts") -> str:
    closed = facts.calendar is not None and not facts.calendar.open
    what = "destroyed" if facts.destroyed is not None else "closed" if closed else ""
    return f"{facts.name} ({what})" if what else facts.name


def _releases(app: "App") -> "list[PackageRef]":
    """Every release that is kept or was ever verified here, newest first."""
    found = {ref.digest: ref for ref in app.packages.refs()}
    for name in app.environments:
        found.update({mark.release.digest: mark.release for mark in reversed(app.store.verified(name))})
    order: dict[str, int] = {}
    cursor: str | None = None
    while not order.keys() >= found.keys():
        page = app.store.list_releases(cursor=cursor, limit=PAGE)
        order |= {row.release.digest: -at for at, row in enumerate(page.items, len(order))}
        if (cursor := page.cursor) is None:
            break
    return sorted(found.values(), key=lambda ref: (order.get(ref.digest, 1), ref.name), reverse=True)


def _rows(app: "App", refs: "list[PackageRef]", facts: "list[EnvironmentFacts]") -> list[dict[str, Any]]:
    """The row of each release, as JSON data. Environments and releases are each read once, and not for each cell."""
    from orchestrator.planning.guard import gone_back_from

    names = tuple(item.name for item in facts)
    rolled_back = {name: set(gone_back_from(app.setting, name)) for name in names}
    rows = []
    for at in range(0, len(refs), PAGE):
        part = refs[at : at + PAGE]
        found = app.store.release_places(tuple(ref.digest for ref in part), names)
        places = {(place.digest, place.environment): place for place in found}
        for ref in part:
            cells = {
                item.name: _place(
                    app, ref, item, places.get((ref.digest, item.name)), back=ref.digest in rolled_back[item.name]
                )
                for item in facts
            }
            rows.append({"release": ref.to_json(), "in": cells})
    return rows


def _place(
    app: "App", ref: "PackageRef", facts: "EnvironmentFacts", place: "ReleasePlace | None", *, back: bool
) -> dict[str, Any]:
    """What the release is in one environment, as JSON data: only runs that had an effect count."""
    from orchestrator.domain.promotion import State

    ended_there = place is not None and place.run_kind != "rollback" and place.run_state is State.ROLLED_BACK
    verified_at = place.verified_at if place is not None else None
    stuck = [problem.run for problem in facts.problems if problem.kind == "intervention" and problem.run]
    problem = next((run for run in stuck if (of := app.store.run(run).release) and of.digest == ref.digest), None)
    return {
        "state": _state(app, ref, facts, left=back or ended_there, verified=bool(verified_at), stuck=bool(problem)),
        "hosts": [host.host for host in facts.hosts if host.runs(ref.digest)],
        "of": len(facts.hosts),
        "problem": problem,
        "verified_at": verified_at,
        "run": place.run if place is not None else None,
    }


def _state(app: "App", ref: "PackageRef", facts: "EnvironmentFacts", *, left: bool, verified: bool, stuck: bool) -> str:
    from orchestrator.inspect.trail import everywhere

    if stuck:
        return "needs intervention"
    if any(host.runs(ref.digest) for host in facts.serving):
        return "current" if everywhere(app.setting, facts.name, ref.digest, facts.hosts) else "partly"
    if any(host.runs(ref.digest) for host in facts.hosts):
        return "standing by"
    if left:
        return "rolled back"
    return "verified" if verified else "absent"


def _cell(place: dict[str, Any]) -> Cell:
    from orchestrator.cli.words import clock

    state = place["state"]
    if state == "absent":
        return ("–", "bright_black")
    if state in {"current", "partly", "standing by"}:
        sign = "○" if state == "standing by" else "●"
        text = f"{sign} {len(place['hosts'])}/{counted(place['of'], 'host')}"
    elif state == "needs intervention":
        text = f"✘ {len(place['hosts'])}/{counted(place['of'], 'host')}, {state}"
    else:
        text = f"{state} {clock(place['verified_at'])}" if place["verified_at"] and state == "verified" else state
    return (text, COLOURS[state]) if COLOURS[state] else text
