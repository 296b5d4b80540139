"""Execute a request, follow it to its end, and print how it ended."""

import os

from orchestrator.app.application import Application
from orchestrator.app.requests import RunRequest
from orchestrator.cli import output
from orchestrator.cli.execution import execute, exit_of, note_without_worker
from orchestrator.cli.situation import hosts_summary, remedy_lines
from orchestrator.cli.words import duration_text, state_words, waves
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.facts import remedies
from orchestrator.domain.journal import DEFAULT_QUEUE, Run
from orchestrator.domain.promotion import State
from orchestrator.domain.run_reason import ending_reason
from orchestrator.domain.story import RunView
from orchestrator.domain.text import counted
from orchestrator.domain.waves import Progress


def execute_and_report(app: Application, request: RunRequest, *, as_json: bool) -> int:
    """Start or resume *request*, and follow it. Returns the command's exit status."""
    output.ignore_broken_pipe()
    return report_end(app, request, execute(app, SYSTEM_ACTOR, request), as_json=as_json)


def execute_unseen(app: Application, request: RunRequest) -> None:
    """Execute *request* in a process in the background, and return at its end. At a server a worker executes it."""
    if app.executes_here:
        os.waitpid(app.run_in_background(request.root), 0)
        return
    note_without_worker(app)
    reader = app.queries.reader(app.actor)
    while not (ended := _rests(app.queries.current_run(app.actor, request.root))) or reader.has_worker(request.root):
        reader.wait(ending=ended)


def _rests(run: Run) -> bool:
    """Whether *run* has ended, or is paused."""
    return run.ended or run.control == "pause"


def report_end(app: Application, request: RunRequest, stories: list[RunView], *, as_json: bool) -> int:
    """Print how the runs of a request ended, in any process. Returns the exit status of the command."""
    code = exit_of(stories)
    if as_json:
        runs = [story.to_json() for story in stories]
        output.print_json("Walk", {"root": request.root, "exit": int(code), "runs": runs})
    else:
        last = {story.run.environment: story for story in stories if story.run.ended}
        for story in last.values():
            conclude(app, story)
    return int(code)


def start_in_background(app: Application, request: RunRequest, requests: tuple[str, ...] = (), *, as_json: bool) -> int:
    """Start *request* in a background process. *requests* are the run requests that were recorded after it.

    At a server it is left to workers.
    """
    if not app.executes_here:
        return report_enqueued(request, DEFAULT_QUEUE, requests, as_json=as_json)
    run = request.name
    app.control.detach(app.actor, app.queries.find_run(app.actor, run))
    process = app.run_in_background(request.root)
    if as_json:
        output.print_json("Asked", {"root": request.root, "run": run, "process": process, "requests": list(requests)})
    else:
        output.out(f"{run} continues in the background (process {process}); orchestrator watch {request.root}")
    return 0


def report_enqueued(request: RunRequest, queue: str, requests: tuple[str, ...] = (), *, as_json: bool) -> int:
    """Print that *request* waits for workers of *queue*. *requests* are the run requests that were recorded with it."""
    run = request.name
    if as_json:
        output.print_json("Asked", {"root": request.root, "run": run, "queue": queue, "requests": list(requests)})
    else:
        output.out(f"{run} waits for a worker of the queue {queue}: orchestrator watch {request.root}")
    return 0


def conclude(app: Application, story: RunView) -> None:
    """Print the current state of each host, and the remedies if an operator has to act."""
    environment, run = story.run.environment, story.run
    if story.wave_progress is not None:
        _conclude_waves(story, story.wave_progress)
        return
    truth = hosts_summary(app.queries.hosts(SYSTEM_ACTOR, environment))  # the result of what the actor requested
    if run.kind == "destroy" and run.state is State.SUCCEEDED:
        output.out(f"{environment}: destroyed")
    elif run.state is not State.FAILED:
        output.out(f"{environment}: {truth or 'no release runs here'}")
    if story.switch_back is not None:
        output.out(f"{environment}: switched back {duration_text(story.switch_back)} after the failure")
    if story.probe is not None:
        output.out(f"{environment}: {story.probe.text}")
    for flaky in story.flaky:
        output.out(
            f"{environment}: {flaky['what']} is flaky: it failed {counted(flaky['failed'], 'time')}, then passed"
        )
    if run.state is State.NEEDS_INTERVENTION:
        _help(story)


def _conclude_waves(story: RunView, progress: Progress) -> None:
    """Print the result of each environment of a promotion in waves."""
    output.out(f"{story.run.id} {state_words(story.run.state)}: {story.run.message}")
    output.out(waves(progress.story))
    if story.run.state is State.NEEDS_INTERVENTION:
        output.out(f"{story.run.id} needs manual intervention in the environments that are listed above")


def _help(story: RunView) -> None:
    run = story.run
    output.out(f"{run.id} needs manual intervention: {ending_reason(story)}")
    for line in remedy_lines(remedies(story), "  "):
        output.out(line)
