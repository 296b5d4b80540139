"""`orchestrator status`: what runs where, on every host."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import json_option, out, paint, print_json, table

if TYPE_CHECKING:
    from orchestrator.wiring import App


@click.command("status")
@click.argument("environment", required=False)
@json_option
def command(environment: str | None, as_json: bool) -> None:
    """Show what runs where: for each host which release, since when, by which run, and whether it was seen there."""
    from orchestrator.cli.recovery import recover
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    recover(app)
    if environment is not None:
        app.setting.environment(environment)
    names = [environment] if environment else list(app.environments)
    found = [environment_status(app, name) for name in names]
    if as_json:
        print_json("Status", {"project": app.project.name, "environments": found})
        return
    if not found:
        out("there is no environment yet; orchestrator init writes two")
    for item in found:
        print_environment(item)


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
