"""`orchestrator status`: what runs where, on every host, and what an operator must act on."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import environment_argument, json_option, out, paint, print_json

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.app.run_requests import RequestView
    from orchestrator.domain.facts import EnvironmentFacts
    from orchestrator.domain.register import Message
    from orchestrator.domain.waves import Waves


@click.command("status")
@environment_argument(required=False)
@click.option("-v", "--hosts", "every", is_flag=True, help="List every host, also of a large environment.")
@click.option("--watch", "watching", is_flag=True, help="Repeat the status every 2 seconds, until Ctrl-C.")
@json_option
def command(environment: str | None, every: bool, watching: bool, as_json: bool) -> None:
    """Show problems first, then for each host its release, since when, and by which run.

    Shows who holds each environment, runs that wait, are paused or interrupted, and which commands help. A promotion in
    waves that is running, or did not succeed, is shown with the state of each environment.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.recovery import remind
    from orchestrator.cli.run_requests import item

    if watching and as_json:
        raise click.UsageError("--watch and --json exclude each other")
    app = open_application(Path.cwd())
    remind(app)
    if environment is not None:
        app.require_environment(environment)
    while watching:
        lines = _lines(app, environment, every=every)
        click.clear() if sys.stdout.isatty() else None
        out("\n".join(lines))
        time.sleep(2)
    if not as_json:
        out("\n".join(_lines(app, environment, every=every)))
        return
    facts = [item.to_json() for item in app.queries.facts_of_all(app.actor, tuple(_names(app, environment)))]
    walks = [waves_status(app, waves) for waves in _waves(app, environment)]
    waiting = [item(seen) for seen in _requests(app, environment)]
    messages = [message.to_json() for message in _messages(app, environment)]
    about = {"environments": facts, "waves": walks, "requests": waiting, "messages": messages}
    print_json("Status", {"project": app.project.name, **about})


def _names(app: "Application", environment: str | None) -> list[str]:
    return [environment] if environment else list(app.environments)


def _waves(app: "Application", environment: str | None) -> "list[Waves]":
    return [waves for waves in app.project.waves if environment is None or environment in waves.names]


def _lines(app: "Application", environment: str | None, *, every: bool) -> list[str]:
    from orchestrator.cli.situation import problem_lines, status_lines

    facts = app.queries.facts_of_all(app.actor, tuple(_names(app, environment)))
    if not facts:
        return ["no environments yet; orchestrator init writes two"]
    lines = problem_lines([problem for item in facts if item.recorded for problem in item.problems])
    for item in facts:
        lines += status_lines(item, every=every)
    for waves in _waves(app, environment):
        lines += rollout_lines(waves_status(app, waves))
    messages = [f"{paint('message', fg='yellow')}: {message.text}" for message in _messages(app, environment)]
    return [*lines, *_request_lines(app, environment), *messages]


def _messages(app: "Application", environment: str | None) -> "list[Message]":
    """The messages for the actor."""
    from orchestrator.app.run_requests import own_messages

    return [message for message in own_messages(app.acting) if environment in {None, message.environment}]


def _requests(app: "Application", environment: str | None) -> "list[RequestView]":
    """The requests that wait, or whose review is open."""
    from orchestrator.app.run_requests import list_requests

    found = list_requests(app.acting, app.request_rules()).items
    return [seen for seen in found if environment is None or environment in seen.request.environments]


def _request_lines(app: "Application", environment: str | None) -> list[str]:
    """What waits, why, who can change it, and until when; and what would start it if no worker runs."""
    from orchestrator.cli.run_requests import hint_worker, title, wait_reason

    found = _requests(app, environment)
    lines = [f"{paint(title(seen), fg='yellow')}: {wait_reason(seen)}" for seen in found]
    reviews = [seen.review for seen in found if seen.review is not None and seen.review.completed_at is None]
    lines += [f"  {review}; orchestrator approve {review.run}" for review in reviews]
    return [*lines, *filter(None, dict.fromkeys(hint_worker(app, seen) for seen in found))]


def environment_status(app: "Application", name: str) -> dict[str, Any]:
    """The facts of an environment, as JSON data."""
    return app.queries.facts(app.actor, name).to_json()


def print_environment(facts: "EnvironmentFacts", *, every: bool = False) -> None:
    """Print the facts of one environment, problems first."""
    from orchestrator.cli.situation import problem_lines, status_lines

    out("\n".join([*problem_lines(list(facts.problems) if facts.recorded else []), *status_lines(facts, every=every)]))


def waves_status(app: "Application", waves: "Waves") -> dict[str, Any]:
    """How far the last rollout through *waves* has come, as JSON data."""
    newest = app.queries.newest_run(app.actor, waves.name)
    run = newest if newest is not None and newest.kind == "waves" else None
    progress = app.queries.story(app.actor, run.id).wave_progress if run else None
    return {
        "rollout": waves.to_json(),
        "last_run": app.queries.run_facts(app.actor, run).to_json() if run else None,
        "waves": [wave.to_json() for wave in progress.story] if progress else None,
        "soaking": progress.soaking or None if progress else None,
    }


def rollout_lines(item: dict[str, Any]) -> list[str]:
    """A wave rollout that is running or was held; nothing of one that succeeded, or was never started."""
    from orchestrator.cli.words import activity_words, waves, when
    from orchestrator.domain.facts import RunFacts
    from orchestrator.domain.promotion import State
    from orchestrator.domain.waves import WaveStatus

    if item["last_run"] is None or item["last_run"]["state"] == State.SUCCEEDED.value:
        return []
    run = RunFacts.from_json(item["last_run"])
    resume = run.activity in {"interrupted", "paused"}
    more = run.message if run.ended else f"orchestrator {'resume' if resume else 'watch'} {run.id}"
    name = paint(item["rollout"]["name"], bold=True)
    lines = [f"{name}: {run.release} {paint(activity_words(run), fg='yellow')}: {more}"]
    story = [WaveStatus.from_json(wave) for wave in item["waves"] or ()]
    if item["soaking"]:
        lines.append(f"  wave {item['soaking']} soaks until {when(story[item['soaking'] - 1].until)}")
    return lines + [f"  {line}" for line in waves(story).splitlines()]
