"""`orchestrator show`: one run, step by step."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.output import folded, json_option, note, out, out_folded, paint, print_json, screen, table

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.domain.facts import Remedy, RunFacts
    from orchestrator.domain.story import RunView, StepStory


@click.command("show")
@click.argument("run", shell_complete=completing.complete_runs)
@json_option
def command(run: str, as_json: bool) -> None:
    """Show RUN from its request to its end: each step, each host, each test, and the resulting state.

    For a promotion in waves, shows each wave, and each environment with its run. A promotion that waits has no run yet:
    for the id of its request, shows what it waits for.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.recovery import remind
    from orchestrator.cli.requested_runs import request_without_run
    from orchestrator.cli.run_requests import hint_worker, print_request
    from orchestrator.cli.situation import calendars_of, closed_lines

    app = open_application(Path.cwd())
    remind(app)
    seen = request_without_run(app, run)
    if seen is not None and not seen.request.run:
        print_request(app, seen, as_json=as_json)
        if not as_json and (hint := hint_worker(app, seen)):
            note(hint)
        return
    run = seen.request.run if seen is not None else run
    if as_json:
        print_json("Run", run_document(app, run))
        return
    story = app.queries.story(app.actor, run)
    _print(story, app.queries.run_facts(app.actor, story.run))
    for line in closed_lines(calendars_of(app, places_of(story))):
        out_folded(line)


def places_of(story: "RunView") -> tuple[str, ...]:
    """The environments of a run; of a promotion in waves all of them."""
    if story.wave_progress is None:
        return (story.run.environment,)
    return tuple(place.environment for wave in story.wave_progress.story for place in wave.environments)


def run_document(app: "Application", run: str) -> dict[str, Any]:
    """Everything that is known of *run*, as JSON data."""
    from orchestrator.cli.situation import calendar_data, calendars_of
    from orchestrator.domain.run_reason import ending_reason

    story = app.queries.story(app.actor, run)
    facts = app.queries.run_facts(app.actor, story.run)
    calendar = calendar_data(calendars_of(app, places_of(story)))
    now = {
        "calendar": calendar,
        "interrupted": facts.interrupted,
        "activity": facts.activity,
        "reason": ending_reason(story),
    }
    return {**story.to_json(), **now, "remedies": [item.to_json() for item in _remedies(story)]}


def _remedies(story: "RunView") -> "tuple[Remedy, ...]":
    from orchestrator.domain.facts import remedies
    from orchestrator.domain.promotion import State

    return remedies(story) if story.run.state is State.NEEDS_INTERVENTION else ()


def _print(story: "RunView", facts: "RunFacts") -> None:
    from orchestrator.cli.words import release_of, truth_of, waves, when
    from orchestrator.domain.rollback_text import rollback_lines
    from orchestrator.domain.text import short

    run = story.run
    what = f"{run.release or run.environment} in {run.environment}"
    out_folded(f"{paint(run.id, bold=True)}  {what if run.kind == 'waves' else f'{run.kind} of {what}'}")
    out_folded(f"requested by {run.by or 'unknown'}, {when(run.requested_at)}; plan {short(run.plan)}")
    if run.project_definition is not None:
        out_folded(f"project definition {run.project_definition}")
    for step in story.steps.values():
        _print_step(step, run.id, goes_on=facts.activity in {"working", "waiting"})
    if story.wave_progress is not None:
        out(waves(story.wave_progress.story, columns=screen()))
    for line in rollback_lines(story.rollback_plan):
        out_folded(f"  ← {line}")
    if story.rehearsed:
        _print_rehearsal(story.rehearsed)
    if story.hosts:
        rows = [
            [state.host, release_of(state, digest=False), short(state.digest), truth_of(state)]
            for state in story.hosts.values()
        ]
        out(table(["host", "release", "digest", "truth"], rows, columns=screen()))
    _print_notices(story)
    _end(story, facts)


def _print_step(step: "StepStory", run: str, *, goes_on: bool) -> None:
    """One step with its details; *goes_on*: a process works on the run, or it waits."""
    from orchestrator.cli.view import detail
    from orchestrator.cli.words import duration_text, mark

    sign = mark(step.result.outcome) if step.result else ("…" if goes_on else "?")
    text = f"{step.label}: {step.result.message}" if step.result and step.result.message else step.label
    out_folded(f"  {sign} {step.name:<28} {text}  {paint(duration_text(step.seconds), fg='bright_black')}".rstrip())
    for line in detail(step, run) if step.result else ():
        out_folded(f"      {line}")


def _end(story: "RunView", facts: "RunFacts") -> None:
    """Print how the run ended and why, with the commands that help, or what it is doing."""
    from orchestrator.cli.situation import remedy_lines, run_line
    from orchestrator.cli.words import duration_text, state_words, when
    from orchestrator.domain.run_reason import ending_reason

    run = story.run
    if not run.ended:
        out_folded(run_line(facts))
        return
    recovery = f" ({duration_text(story.recovery)} from the failure)" if story.recovery is not None else ""
    how = f"{paint(state_words(run.state), bold=True)} at {when(run.ended_at)}"
    for line in folded(f"{how}: {run.message}{recovery}", indent=4):
        out(line)
    why = ending_reason(story)
    if (story.ending or {}).get("failure") and why != run.message:
        for line in folded(f"reason: {why}", indent=8):
            out(line)
    for line in remedy_lines(_remedies(story)):
        out(line)


def _print_rehearsal(found: dict[str, Any]) -> None:
    """Print the evidence of a rehearsal: how long each leg took, and what was not restored."""
    from orchestrator.cli.words import duration_text
    from orchestrator.domain.rehearsal import Rehearsal
    from orchestrator.domain.text import short

    document = Rehearsal.from_json(found["document"])
    legs = ", ".join(f"{leg.name} {duration_text(leg.seconds)}" for leg in document.legs)
    verdict = (
        paint("everything was restored", fg="green")
        if document.good
        else paint("not everything was restored", fg="red")
    )
    out_folded(f"rehearsed {document.back} → {document.release} and back: {verdict} ({legs})")
    out_folded(f"  evidence {short(found['evidence'])}")
    if document.infrastructure is not None:
        how = "was rolled back as well" if document.infrastructure.back else "was not rolled back"
        out_folded(
            f"  the infrastructure {how}" + (f": {document.infrastructure.why}" if document.infrastructure.why else "")
        )
    for text in document.reasons:
        out_folded(f"  {paint('✘', fg='red')} {text}")
    for item in document.again:
        out_folded(f"  {paint('–', fg='bright_black')} {item} the second time")


def _print_notices(story: "RunView") -> None:
    """Print what decided nothing: flaky checks, alerts, and the downtime."""
    from orchestrator.cli.words import duration_text
    from orchestrator.domain.text import counted

    for flaky in story.flaky:
        out_folded(
            f"{paint('flaky', fg='yellow')}: {flaky['what']}, {counted(flaky['failed'], 'time')}: {flaky['message']}"
        )
    for alert in story.alerts:
        out_folded(f"{paint('alert', fg='yellow')}: {alert['text']}")
    if story.switch_back is not None:
        out_folded(
            f"switched back to {story.switched[-1]['live']}, {duration_text(story.switch_back)} after the failure"
        )
    if story.probe is not None:
        out_folded(f"availability: {story.probe.text}")
        for host, seconds in story.probe.host_downtime.items():
            out_folded(f"  {host} was unavailable for {duration_text(seconds)}")
