"""`orchestrator matrix`: every release in every environment."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.completing import environments
from orchestrator.cli.output import (
    Cell,
    cursor_option_value,
    json_option,
    note,
    out,
    page_options,
    print_json,
    screen,
    table,
)
from orchestrator.domain.text import counted

if TYPE_CHECKING:
    from orchestrator.domain.facts import EnvironmentFacts, Problem

COLOURS = {
    "current": "green",
    "partly": "yellow",
    "standby": "",
    "verified": "",
    "rolled back": "yellow",
    "needs intervention": "red",
}
DOING = {"working": "under way"}
"""What a run of the release does, where another word is clearer than that of its activity."""


@click.command("matrix")
@click.option(
    "--environment",
    "chosen",
    multiple=True,
    metavar="ENV",
    shell_complete=environments,
    help="Show only this environment. May be repeated.",
)
@click.option("--name", metavar="NAME", help="Show only releases with this name.")
@page_options("releases")
@json_option
def command(chosen: tuple[str, ...], name: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """Show the releases of all environments: one row for each release, one column for each environment of the path.

    Problems come first. A release is listed in an environment if it had an effect in it.
    The newest releases come first. A cell also shows a run of the release that has not ended, hosts that drifted,
    and what the newest check of drift has found, with its age.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.recovery import remind
    from orchestrator.cli.situation import problem_lines
    from orchestrator.domain.listing import RELEASE_CURSOR, ReleaseFilter

    after = cursor_option_value(cursor, RELEASE_CURSOR)
    app = open_application(Path.cwd())
    remind(app)
    for wanted in chosen:
        app.require_environment(wanted)
    facts = app.queries.facts_of_all(
        app.actor, tuple(item for item in app.environments if not chosen or item in chosen)
    )
    page = app.queries.releases(app.actor, ReleaseFilter(name=name), after, limit)
    rows = app.queries.release_rows(app.actor, list(page.items), facts)
    problems = _shown_problems(facts, rows)
    if as_json:
        about = {**_about(facts), "problems": [problem.to_json() for problem in problems], "cursor": page.cursor}
        print_json("Matrix", {"project": app.project.name, **about, "releases": rows})
        return
    for line in problem_lines(problems):
        out(line)
    if not rows:
        out("no releases yet; orchestrator build makes one")
        return
    _print_rows(rows, facts)
    if page.cursor is not None:
        note(f"older releases: --cursor {page.cursor}")


def _shown_problems(facts: "list[EnvironmentFacts]", rows: list[dict[str, Any]]) -> "list[Problem]":
    """The problems of all environments; while there is no release, not those of environments without records."""
    return [problem for item in facts for problem in item.problems if item.recorded or rows]


def _print_rows(rows: list[dict[str, Any]], facts: "list[EnvironmentFacts]") -> None:
    heads = [_head(item) for item in facts]
    cells = [
        [f"{row['release']['name']} {row['release']['version']}", *(_cell(row["in"][item.name]) for item in facts)]
        for row in rows
    ]
    out(table(["release", *heads], cells, columns=screen()))


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


def _cell(place: dict[str, Any]) -> Cell:
    text, colour = _state(place)
    if place["activity"]:
        text = _doing(place) if text == "–" else f"{text}, {_doing(place)}"
        colour = colour if colour and colour != "bright_black" else "cyan"
    if place["drifted"]:
        text, colour = f"{text}, {len(place['drifted'])} drifted", "yellow"
    if (mark := place["drift"]) is not None and (mark["differences"] or mark["unknown"]):
        text, colour = f"{text}, {_drift(mark)}", "yellow"
    return (text, colour) if colour else text


def _drift(mark: dict[str, Any]) -> str:
    """What the newest check of drift has found, and how long ago."""
    from datetime import UTC, datetime

    from orchestrator.domain.text import ago

    found = counted(mark["differences"], "difference") if mark["differences"] else f"{mark['unknown']} unknown"
    return f"drift: {found} ({ago(datetime.fromisoformat(mark['at']), datetime.now(UTC))})"


def _doing(place: dict[str, Any]) -> str:
    return DOING.get(place["activity"], str(place["activity"]))


def _state(place: dict[str, Any]) -> tuple[str, str]:
    """The text of the state of a release, and its colour."""
    from orchestrator.cli.words import clock

    state = place["state"]
    if state == "absent":
        return "–", "bright_black"
    if state in {"current", "partly", "standby"}:
        sign = "○" if state == "standby" else "●"
        text = f"{sign} {len(place['hosts'])}/{counted(place['of'], 'host')}"
    elif state == "needs intervention":
        text = f"✘ {len(place['hosts'])}/{counted(place['of'], 'host')}, {state}"
    else:
        text = f"{state} {clock(place['verified_at'])}" if place["verified_at"] and state == "verified" else state
    return text, COLOURS[state]
