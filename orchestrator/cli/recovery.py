"""Recovery of runs whose process died. Commands that act recover what is in their way; commands that read report it."""

import contextlib
import time
from collections.abc import Iterator

from orchestrator.app.application import Application
from orchestrator.app.requests import RunRequest
from orchestrator.cli.output import note
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.journal import QueuedRequest, Run, add_seconds, is_past

GRACE = 15.0  # seconds that a process has from asking for something to beginning it
LOOK = 2.0  # seconds between looks at what a waiting run waits for
AGAIN = 60.0  # seconds after which a run that was recovered, and whose process died again, is recovered again


def recover(app: Application) -> None:
    """Start a process in the background for every run that was begun here, has not ended, and has no process.

    A run that a person has paused stays paused. Runs for workers are left to them, and runs of another machine to that
    machine. A run that only waited leaves the queue, unless it was detached.
    """
    remind(app)
    if app.recovers:
        for work in app.engine.leftover():
            if _ours(app, work):
                _recover(app, work)


def remind(app: Application) -> None:
    """Report what was made for a promotion, is past its time, and still exists."""
    with contextlib.suppress(OrchestratorError, OrchestratorErrors):  # what is asked for is shown all the same
        if any(environment.ephemeral is not None for environment, _ in app.environments.values()):
            for left in app.recovery.leftovers(app.actor):
                name = left.run.environment
                note(f"{name}: what {left.run.id} made is past its time: orchestrator environment reap {name}")


class Blockers:
    """Recovers what the run of *asked* waits for, while this process waits."""

    def __init__(self, app: Application, asked: RunRequest) -> None:
        self._app, self._asked = app, asked
        self._next = time.monotonic() + LOOK
        self._recovered: dict[str, float] = {}

    def recover(self) -> None:
        """Look, now and then, at the holder of the environment and the head of its queue; recover one that died."""
        now = time.monotonic()
        if now < self._next or not self._app.recovers:
            return
        self._next = now + LOOK
        with contextlib.suppress(OrchestratorError):  # the store may respond later
            for run in self._ahead():
                work = self._app.store.work(run.root)
                if now >= self._recovered.get(work.root, 0.0) and _is_left(self._app, work) and _ours(self._app, work):
                    self._recovered[work.root] = now + AGAIN
                    _recover(self._app, work)

    def _ahead(self) -> Iterator[Run]:
        """The runs that this one waits for, in each of its environments."""
        store = self._app.store
        for environment in self._asked.targets:
            queue = [wait.run for wait in store.queue(environment) if wait.superseded_by is None]
            mine = [run for run in queue if run.startswith(f"{self._asked.root}-")]
            if not mine:
                continue
            lease = store.lease(environment)
            ahead = [lease.holder] if lease is not None and not lease.locked else []
            for run in [*ahead, *queue[:1]]:
                if run not in mine:
                    yield store.run(run)


def only_waited(app: Application, run: Run) -> bool:
    """Whether *run* waits in the queue and does not hold the environment: nothing of it has happened."""
    lease = app.store.lease(run.environment)
    waits = any(wait.run == run.id for wait in app.store.queue(run.environment))
    return waits and (lease is None or lease.holder != run.id)


def _recover(app: Application, work: QueuedRequest) -> None:
    """Resume *work* in the background; cancel it first if it only waited and nobody detached it."""
    run = app.queries.current_run(app.actor, work.root)
    leaves = run.kind != "waves" and only_waited(app, run) and not app.queries.detached(app.actor, run)
    if leaves and not run.wish:
        app.control.request(app.actor, run, "cancel", "its process ended while it waited")
    process = app.run_in_background(work.root)
    app.resuming.add(work.root)
    what = "leaves the queue: its process ended while it waited" if leaves else "was interrupted"
    then = "" if leaves else f"; it resumes in the background (process {process})"
    note(f"{work.root} {what}{then}")


def _is_left(app: Application, work: QueuedRequest) -> bool:
    return not work.done and not app.engine.works_on(work)


def _ours(app: Application, work: QueuedRequest) -> bool:
    """Whether this machine may recover *work*: begun here, all that it needs is shared, or it only leaves the queue."""
    if work.queue:
        return False
    try:
        run = app.queries.current_run(app.actor, work.root)
    except OrchestratorError:
        return False
    elsewhere = work.host not in {"", app.engine.here}
    if elsewhere and app.shared is None and not (only_waited(app, run) and not app.queries.detached(app.actor, run)):
        return False
    begun = work.epoch > 0 or is_past(add_seconds(run.requested_at, GRACE), app.services.clock.now())
    paused = app.queries.is_paused(app.actor, work.root) if run.kind == "waves" else run.wish == "pause"
    return begun and not paused
