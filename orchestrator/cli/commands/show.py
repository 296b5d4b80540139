"""`orchestrator show`: one run, step by step."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import json_option, out, paint, print_json, table

if TYPE_CHECKING:
    from orchestrator.domain.story import Story


@click.command("show")
@click.argument("run")
@json_option
def command(run: str, as_json: bool) -> None:
    """Show RUN from its request to its end: each step, each host, each test, and what is true afterwards."""
    from orchestrator.cli.recovery import recover
    from orchestrator.domain.story import Story
    from orchestrator.wiring import open_app

    app = open_app(Path.cwd())
    recover(app)
    found = app.store.run(run)
    story = Story.of(found, app.store.records(found.id))
    interrupted = app.interrupted(story.run)
    if as_json:
        print_json("Run", {**story.to_json(), "interrupted": interrupted})
    else:
        _print(story, interrupted=interrupted)


def _print(story: "Story", *, interrupted: bool) -> None:
    from orchestrator.cli.view import detail
    from orchestrator.cli.words import mark, release_of, seconds, short, truth_of, when
    from orchestrator.domain.text import counted

    run = story.run
    out(f"{paint(run.id, bold=True)}  {run.kind} of {run.release or run.environment} in {run.environment}")
    out(f"asked for by {run.by or 'unknown'} at {when(run.requested_at)}; plan {short(run.plan)}")
    for step in story.steps.values():
        sign = mark(step.result.outcome) if step.result else ("?" if interrupted else "…")
        text = f"{step.label}: {step.result.message}" if step.result and step.result.message else step.label
        out(f"  {sign} {step.name:<28} {text}  {paint(seconds(step.seconds), fg='bright_black')}".rstrip())
        for line in detail(step) if step.result else ():
            out(f"      {line}")
    if story.hosts:
        rows = [[state.host, release_of(state), short(state.digest), truth_of(state)] for state in story.hosts.values()]
        out(table(["host", "release", "digest", "truth"], rows))
    for flaky in story.flaky:
        out(f"{paint('flaky', fg='yellow')}: {flaky['what']}, {counted(flaky['failed'], 'time')}: {flaky['message']}")
    for alert in story.alerts:
        out(f"{paint('alert', fg='yellow')}: {alert['text']}")
    if story.probe is not None:
        out(f"availability: {story.probe.text}")
        for host, away in story.probe.away.items():
            out(f"  {host} was away for {seconds(away)}")
    if interrupted:
        out(f"{paint('interrupted', fg='magenta')}: orchestrator resume {run.id}")
    elif run.ended:
        recovery = f" ({seconds(story.recovery)} from the failure)" if story.recovery is not None else ""
        out(f"{paint(run.state.value, bold=True)} at {when(run.ended_at)}: {run.message}{recovery}")
    else:
        out(f"{paint(run.state.value, fg='cyan')}: orchestrator watch {run.id}")
