"""Going on, without being asked, with what was interrupted on this machine."""

import contextlib

from orchestrator.cli.attend import background
from orchestrator.cli.output import note
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.journal import Work, later, over
from orchestrator.wiring import App

GRACE = 15.0  # seconds that a process has from asking for something to beginning it


def recover(app: App) -> None:
    """Start a process in the background for everything that was begun here, is not done, and nobody works on.

    What a person has paused stands still, what is for workers is theirs, and what another machine has begun is left
    to it.
    """
    _remind(app)
    if not app.recovers:
        return
    for work in app.engine.leftover():
        if _ours(app, work):
            process = background(app, work.root)
            app.resuming.add(work.root)
            note(f"{work.root} was interrupted; it resumes in the background (process {process})")


def _remind(app: App) -> None:
    """Say what was made for a promotion, is past its time, and is still there."""
    with contextlib.suppress(OrchestratorError, OrchestratorErrors):  # what is asked for is shown all the same
        if any(environment.ephemeral is not None for environment, _ in app.environments.values()):
            for left in app.leftovers():
                name = left.run.environment
                note(f"{name}: what {left.run.id} made is past its time: orchestrator environment reap {name}")


def _ours(app: App, work: Work) -> bool:
    if work.queue or work.host not in {"", app.engine.here}:
        return False
    try:
        run = app.present(work.root)
    except OrchestratorError:
        return False
    begun = work.epoch > 0 or over(later(run.requested_at, GRACE), app.setting.clock.now())
    paused = app.paused(work.root) if run.kind == "waves" else run.wish == "pause"
    return begun and not paused
