"""Resumption: runs whose process ended, which one of their own in the background continues."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.app.control import Control
from orchestrator.app.front_end import ApplicationParts
from orchestrator.app.journal import is_past_start
from orchestrator.app.queries import Queries
from orchestrator.app.recovery import Recovery
from orchestrator.app.requests import RunRequest
from orchestrator.domain.access.principals import SYSTEM_ACTOR
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import QueuedRequest, Run
from orchestrator.ports.lists import queue_entry, queue_of

PAUSE_S = 2.0  # between two checks of what a waiting run waits for
AGAIN_S = 60.0  # after this time a run that was resumed, and whose process ended again, is resumed again


@dataclass(frozen=True)
class Resumed:
    """A request that was interrupted, and the number of the *process* that continues it.

    It *leaves* the queue if nothing of it had happened: it only waited.
    """

    root: str
    process: int
    leaves: bool


class Resumption:
    """Resumes interrupted runs, as the actor of this process. The use cases that it composes check the rights.

    The actor is read when a run was found, because a token may expire while this process waits.
    """

    def __init__(self, parts: ApplicationParts) -> None:
        self._parts = parts
        self._queries, self._control = Queries(parts), Control(parts)

    def resume_interrupted(self) -> Iterator[Resumed]:
        """Start a process for every run of this machine that has not ended and has no process, if recovery is on.

        A run that a user has paused stays paused. Runs for workers are left to them, and runs of another machine to
        that machine. A run that only waited leaves the queue, unless it was detached.
        """
        if self._parts.recovers:
            for work in self._parts.engine.leftover():
                if self._is_ours(work):
                    yield self.resume(work)

    def blockers(self, request: RunRequest) -> "Blockers":
        """What *request* waits for, to be resumed while it waits."""
        return Blockers(self, self._parts, request)

    def reap_overdue(self, queue: str) -> None:
        """Have the workers of *queue* destroy what promotions made for themselves and is past its time, as the system.

        A run whose process ended is resumed in the background, unless it is for workers, who do that anyway.
        """
        recovery = Recovery(self._parts)
        for left in recovery.leftovers(SYSTEM_ACTOR):
            by = queue if left.run.ended else ""  # only this machine may have the files of a run that has not ended
            request = recovery.reap(SYSTEM_ACTOR, left.run.environment, left.run.id, queue=by)
            if not left.run.ended and not self._parts.store.work(request.root).queue:
                self._parts.run_in_background(request.root)

    def is_left(self, work: QueuedRequest) -> bool:
        """Whether *work* is not done, no process works on it, and this machine may resume it."""
        return not work.done and not self._parts.engine.works_on(work) and self._is_ours(work)

    def resume(self, work: QueuedRequest) -> Resumed:
        """Resume *work* in the background; cancel it first if it only waited and was not detached."""
        run = self._queries.current_run(self._parts.actor, work.root)
        leaves = run.kind != "waves" and self._leaves(run)
        if leaves and not run.control:
            self._control.request(self._parts.actor, run, "cancel", "its process ended while it waited")
        process = self._parts.run_in_background(work.root)
        self._parts.resuming.add(work.root)
        return Resumed(work.root, process, leaves)

    def _is_ours(self, work: QueuedRequest) -> bool:
        """Whether this machine may resume *work*: started here, all it needs is shared, or it only leaves the queue."""
        if work.queue:
            return False
        try:
            run = self._queries.current_run(self._parts.actor, work.root)
        except OrchestratorError:
            return False
        elsewhere = work.host not in {"", self._parts.engine.here}
        if elsewhere and self._parts.shared is None and not self._leaves(run):
            return False
        started = is_past_start(work, run, self._parts.services.clock.now())
        paused = (
            self._queries.is_paused(self._parts.actor, work.root) if run.kind == "waves" else run.control == "pause"
        )
        return started and not paused

    def _leaves(self, run: Run) -> bool:
        """Whether *run* leaves the queue: it only waited in it, had no effect, and was not detached."""
        lease = self._parts.store.lease(run.environment)
        waits = queue_entry(self._parts.store, run.environment, run.id) is not None
        only_waited = waits and (lease is None or lease.holder != run.id)
        return only_waited and not self._queries.detached(self._parts.actor, run)


class Blockers:
    """Resumes what the run of *request* waits for, while this process waits."""

    def __init__(self, resumption: Resumption, parts: ApplicationParts, request: RunRequest) -> None:
        self._resumption, self._parts, self._request = resumption, parts, request
        self._next = time.monotonic() + PAUSE_S
        self._resumed: dict[str, float] = {}

    def resume(self) -> Iterator[Resumed]:
        """Check, at most every 2 s, the holder of the environment and the head of its queue; resume one that ended."""
        now = time.monotonic()
        if now < self._next or not self._parts.recovers:
            return
        self._next = now + PAUSE_S
        with suppress(OrchestratorError):  # the store may respond later
            for run in self._ahead():
                work = self._parts.store.work(run.root)
                if now >= self._resumed.get(work.root, 0.0) and self._resumption.is_left(work):
                    self._resumed[work.root] = now + AGAIN_S
                    yield self._resumption.resume(work)

    def _ahead(self) -> Iterator[Run]:
        """The runs that this one waits for, in each of its environments."""
        store = self._parts.store
        for environment in self._request.targets:
            queue = [wait.run for wait in queue_of(store, environment) if wait.superseded_by is None]
            mine = [run for run in queue if run.startswith(f"{self._request.root}-")]
            if not mine:
                continue
            lease = store.lease(environment)
            ahead = [lease.holder] if lease is not None and not lease.locked else []
            for run in [*ahead, *queue[:1]]:
                if run not in mine:
                    yield store.run(run)
