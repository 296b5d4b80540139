"""`orchestrator matrix`: every release in every environment."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import Cell, json_option, out, print_json, screen, table
from orchestrator.domain.text import counted

if TYPE_CHECKING:
    from orchestrator.domain.facts import EnvironmentFacts
    from orchestrator.domain.release import PackageRef
    from orchestrator.wiring import App

COLOURS = {
    "current": "green",
    "partly": "yellow",
    "standing by": "",
    "verified": "",
    "rolled back": "yellow",
    "needs intervention": "red",
}


@click.command("matrix")
@json_option
def command(as_json: bool) -> None:
    """Show the releases of all environments: one row for each release, one column for each environment of the path.

    Problems come first. A release is listed in an environment if it had an effect in it.
    """
    from orchestrator.cli.recovery import remind
    from orchestrator.cli.situation import problem_lines
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    remind(app)
    facts = [app.facts(name) for name in app.environments]
    rows = [_row(app, ref, facts) for ref in _releases(app)]
    problems = [problem for item in facts for problem in item.problems if item.recorded or rows]
    if as_json:
        about = {
            "environments": [item.name for item in facts],
            "destroyed": [item.name for item in facts if item.destroyed is not None],
            "problems": [problem.to_json() for problem in problems],
        }
        print_json("Matrix", {"project": app.project.name, **about, "releases": rows})
        return
    for line in problem_lines(problems):
        out(line)
    if not rows:
        out("no releases yet; orchestrator build makes one")
        return
    heads = [f"{item.name} (destroyed)" if item.destroyed is not None else item.name for item in facts]
    cells = [
        [f"{row['release']['name']} {row['release']['version']}", *(_cell(row["in"][item.name]) for item in facts)]
        for row in rows
    ]
    out(table(["release", *heads], cells, columns=screen()))


def _releases(app: "App") -> "list[PackageRef]":
    """Every release that is kept or was ever verified here, newest first."""
    found = {ref.digest: ref for ref in app.packages.refs()}
    for name in app.environments:
        found.update({mark.release.digest: mark.release for mark in reversed(app.store.verified(name))})
    order = {run.release.digest: number for number, run in enumerate(reversed(app.store.runs())) if run.release}
    return sorted(found.values(), key=lambda ref: (order.get(ref.digest, len(order)), ref.name), reverse=True)


def _row(app: "App", ref: "PackageRef", facts: "list[EnvironmentFacts]") -> dict[str, Any]:
    return {"release": ref.to_json(), "in": {item.name: _place(app, ref, item) for item in facts}}


def _place(app: "App", ref: "PackageRef", facts: "EnvironmentFacts") -> dict[str, Any]:
    """What the release is in one environment, as JSON data: only runs that had an effect count."""
    from orchestrator.domain.facts import RELEASING, had_effect
    from orchestrator.domain.promotion import State
    from orchestrator.planning.guard import gone_back_from

    mine = [run for run in app.store.runs(facts.name) if run.release and run.release.digest == ref.digest]
    last = next((run for run in mine if run.kind in RELEASING and had_effect(run)), None)
    back = ref.digest in gone_back_from(app.setting, facts.name)
    left = back or (last is not None and last.kind != "rollback" and last.state is State.ROLLED_BACK)
    marks = [mark for mark in app.store.verified(facts.name) if mark.release.digest == ref.digest]
    stuck = {problem.run for problem in facts.problems if problem.kind == "intervention"}
    problem = next((run.id for run in mine if run.id in stuck), None)
    return {
        "state": _state(app, ref, facts, left=left, verified=bool(marks), stuck=bool(problem)),
        "hosts": [host.host for host in facts.hosts if host.runs(ref.digest)],
        "of": len(facts.hosts),
        "problem": problem,
        "verified_at": marks[0].at if marks else None,
        "run": last.id if last else None,
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
