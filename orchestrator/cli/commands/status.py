"""`orchestrator status`: what runs where, on every host."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import json_option, out, paint, print_json, table

if TYPE_CHECKING:
    from orchestrator.domain.waves import Waves
    from orchestrator.wiring import App


@click.command("status")
@click.argument("environment", required=False)
@json_option
def command(environment: str | None, as_json: bool) -> None:
    """Show what runs where: for each host which release, since when, by which run, and whether it was seen there.

    A walk in waves that goes on, or that did not end well, is shown with what became of each environment.
    """
    from orchestrator.cli.recovery import recover
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    recover(app)
    if environment is not None:
        app.setting.environment(environment)
    names = [environment] if environment else list(app.environments)
    found = [environment_status(app, name) for name in names]
    wanted = [waves for waves in app.project.waves if environment is None or environment in waves.names]
    walks = [waves_status(app, waves) for waves in wanted]
    if as_json:
        print_json("Status", {"project": app.project.name, "environments": found, "waves": walks})
        return
    if not found:
        out("there is no environment yet; orchestrator init writes two")
    for item in found:
        print_environment(item)
    for walk in walks:
        print_walk(walk)


def environment_status(app: "App", name: str) -> dict[str, Any]:
    """Everything that is known of an environment, as JSON data."""
    verified = app.store.verified(name)
    runs = app.store.runs(name, limit=1)
    lease = app.store.lease(name)
    run = runs[0] if runs else None
    return {
        "name": name,
        "after": app.environments[name][0].after,
        "release": verified[0].release.to_json() if verified else None,
        "verified_at": verified[0].at if verified else None,
        "lease": lease.to_json() if lease else None,
        "waiting": [wait.to_json() for wait in app.store.queue(name)],
        "last_run": {**run.to_json(), "interrupted": app.interrupted(run)} if run else None,
        "hosts": [host.to_json() for host in app.store.hosts(name)],
    }


def waves_status(app: "App", waves: "Waves") -> dict[str, Any]:
    """How far the last walk through *waves* has come, as JSON data."""
    from orchestrator.domain.story import Story

    run = next((run for run in app.store.runs(waves.name, limit=1) if run.kind == "waves"), None)
    walk = Story.of(run, app.store.records(run.id)).walk if run else None
    return {
        "walk": waves.to_json(),
        "last_run": {**run.to_json(), "interrupted": app.interrupted(run)} if run else None,
        "waves": [wave.to_json() for wave in walk.story] if walk else None,
        "soaking": walk.soaking or None if walk else None,
    }


def print_walk(item: dict[str, Any]) -> None:
    """Print a walk in waves that goes on, or that was held; nothing of one that was good, or never begun."""
    from orchestrator.cli.words import waves, when
    from orchestrator.domain.promotion import State
    from orchestrator.domain.waves import WaveStory

    run = item["last_run"]
    if run is None or run["state"] == State.SUCCEEDED.value:
        return
    release = f"{run['release']['name']} {run['release']['version']}"
    how = "interrupted" if run["interrupted"] else run["state"]
    help_ = f"orchestrator {'resume' if run['interrupted'] else 'watch'} {run['id']}"
    more = run["message"] if run["ended_at"] else help_
    out(f"{paint(item['walk']['name'], bold=True)}: {release} {paint(how, fg='yellow')}: {more}")
    story = [WaveStory.from_json(wave) for wave in item["waves"] or ()]
    if item["soaking"]:
        out(f"  wave {item['soaking']} soaks until {when(story[item['soaking'] - 1].until)}")
    out("\n".join(f"  {line}" for line in waves(story).splitlines()))


def print_environment(item: dict[str, Any]) -> None:
    """Print what is known of an environment as a table."""
    from orchestrator.cli.words import release_of, short, side_of, truth_of, when
    from orchestrator.domain.plan import HostState

    release = item["release"]
    what = f"{release['name']} {release['version']}, verified {when(item['verified_at'])}" if release else "no release"
    out(f"{paint(item['name'], bold=True)}: {what}")
    run = item["last_run"]
    if run is not None and (run["interrupted"] or run["ended_at"] is None):
        how = paint("interrupted", fg="magenta") if run["interrupted"] else paint(run["state"], fg="cyan")
        if run["interrupted"] and run["wish"] == "pause":
            how = paint(f"paused by {run['wished_by']}", fg="yellow")
        help_ = f"orchestrator resume {run['id']}" if run["interrupted"] else f"orchestrator watch {run['id']}"
        out(f"  {run['kind']} {run['id']} is {how}: {help_}")
    lease = item["lease"]
    if lease is not None and lease["holder"].startswith("lock:"):
        end = f" until {when(lease['until'])}" if lease["until"] else ""
        out(f"  {paint('locked', fg='yellow')} by {lease['by']}{end}: {lease['reason']}")
    for wait in item["waiting"]:
        out(f"  {wait['run']} waits since {when(wait['since'])}: orchestrator queue {item['name']}")
    states = [HostState.from_json(host) for host in item["hosts"]]
    sided = any(state.side is not None for state in states)
    rows = [
        [
            s.host,
            release_of(s),
            short(s.digest),
            truth_of(s),
            *([side_of(s)] if sided else []),
            when(s.since),
            s.run or "–",
        ]
        for s in states
    ]
    if rows:
        text = table(["host", "release", "digest", "truth", *(["side"] if sided else []), "since", "run"], rows)
        out("\n".join(f"  {line}" for line in text.splitlines()))
    else:
        out("  no release was ever put on a host here")
