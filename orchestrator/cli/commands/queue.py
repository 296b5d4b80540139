"""`orchestrator queue`: who waits for which environment, and for what."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import environment_argument, folded, json_option, out, print_json, screen, table

if TYPE_CHECKING:
    from orchestrator.domain.facts import QueueFacts


@click.command("queue")
@environment_argument(required=False)
@json_option
def command(environment: str | None, as_json: bool) -> None:
    """Show the holder of each environment, the runs that wait for it, and promotions whose later waves include it."""
    from orchestrator.app.opening import open_application
    from orchestrator.cli.recovery import remind
    from orchestrator.cli.situation import calendar_lines

    app = open_application(Path.cwd())
    remind(app)
    if environment is not None:
        app.require_environment(environment)
    names = [environment] if environment else list(app.environments)
    coming = app.queries.coming(app.actor)
    found = app.queries.queue_facts(app.actor, tuple(names))
    calendar = app.calendar_states()
    if as_json:
        items = [
            {
                "environment": name,
                "lease": item.lease.to_json() if item.lease else None,
                "holder": item.holder.to_json() if item.holder else None,
                "waiting": [wait.to_json() for wait in item.waiting],
                "coming": coming.get(name, []),
                "calendar": calendar[name].to_json(),
            }
            for name, item in found.items()
        ]
        print_json("Queue", {"environments": items})
        return
    for name, item in found.items():
        for line in (*_holder(name, item), *(f"  {line}" for line in calendar_lines(calendar[name]))):
            out(line)
    rows = _rows(found, coming)
    heads = ["environment", "place", "run", "release", "by", "since", "waits for"]
    out(table(heads, rows, columns=screen()) if rows else "no run waits")


def _rows(found: "dict[str, QueueFacts]", coming: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """The runs that wait, in order, and then the rollouts that come to each environment."""
    from orchestrator.cli.words import when

    rows = [
        [
            name,
            str(place) if wait.superseded_by is None else "–",
            wait.run,
            str(wait.release) if wait.release else "–",
            wait.by,
            when(wait.since),
            f"superseded by {wait.superseded_by}" if wait.superseded_by else _for_what(item, place),
        ]
        for name, item in found.items()
        for place, wait in enumerate(item.waiting, start=1)
    ]
    return rows + [
        [name, "–", rollout["run"], _release(rollout), rollout["by"], "–", f"wave {rollout['wave']} of its rollout"]
        for name in found
        for rollout in coming.get(name, [])
    ]


def _holder(name: str, facts: "QueueFacts") -> list[str]:
    """The lines about the holder of the environment: an operator's lock, or a run with its activity."""
    from orchestrator.cli.situation import run_line
    from orchestrator.cli.words import when

    if facts.holder is not None:
        return folded(f"{name}: held by {run_line(facts.holder)}", indent=2)
    if facts.lease is None:
        return []
    what = "locked" if facts.lease.locked else f"held by {facts.lease.holder}"
    return folded(
        f"{name}: {what}, by {facts.lease.by}, since {when(facts.lease.since)}: {facts.lease.reason}", indent=2
    )


def _release(rollout: dict[str, Any]) -> str:
    return f"{rollout['release']['name']} {rollout['release']['version']}"


def _for_what(facts: "QueueFacts", place: int) -> str:
    """What the run in this *place* waits for."""
    ahead = [wait for wait in facts.waiting[: place - 1] if wait.superseded_by is None]
    if ahead:
        return ahead[-1].run
    if facts.lease is None:
        return "its turn"
    return f"the lock of {facts.lease.by}: {facts.lease.reason}" if facts.lease.locked else facts.lease.holder
