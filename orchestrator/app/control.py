"""Control: pausing, cancelling, aborting and resuming runs, and locking environments."""

import secrets
from typing import Literal

from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.journal import is_past_start, open_runs
from orchestrator.app.parts import Parts
from orchestrator.app.rights import control_rights
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import DEFAULT_QUEUE, ControlVerb, Entry, Lease, Run, add_seconds
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.locks import lock_run
from orchestrator.ports import Store

LONGEST_LOCK_S = 10 * 366 * 86400.0
DETACHED = "detached"  # the key of the entry that a run was detached


def record_control(store: Store, by: str, run: Run, verb: ControlVerb, why: str = "") -> None:
    """Record the control request of *by* to pause, cancel or abort *run*; an empty one requests that it continues.

    A control request of a rollout in waves holds for its runs that continue; none that rolls back is stopped.
    """
    data = {"control": verb, "by": by, "why": why}
    store.append(run.id, [Entry(kind="control", data=data)])
    for part in open_runs(store, run.root) if run.kind == "waves" else ():
        if part.id != run.id and not (part.kind == "rollback" and verb in {"cancel", "abort"}):
            store.append(part.id, [Entry(kind="control", data=data)])


class Control(UseCases):
    """The use cases that stop and continue runs, and keep runs out of environments."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(control_rights)
    def request(self, actor: Actor, run: Run, verb: ControlVerb, why: str = "") -> None:
        """Record a control request for *run*: pause, cancel or abort; empty: continue after all."""
        record_control(self._parts.store, str(actor), run, verb, why)

    @use_case(control_rights)
    def transfer(self, actor: Actor, run: Run) -> bool:
        """Leave the request of *run* to the workers of the queue `default`, if its own process has ended.

        Returns whether that was done: not for a request that is done or belongs to workers, nor for one whose process
        works or has just been started. Raises R101.
        """
        store = self._parts.store
        work = store.work(run.root)
        has_process = self._parts.engine.works_on(work)
        if work.done or has_process or not is_past_start(work, run, self._parts.services.clock.now()):
            return False
        return store.transfer(run.root, DEFAULT_QUEUE)

    @use_case(Action.LOCK)
    def lock(self, actor: Actor, environment: str, why: str, duration: float | None = None) -> Lease:
        """Keep every run out of *environment*, for *duration* seconds or until it is unlocked. Raises N110 and S101."""
        if duration is not None and not 0 < duration <= LONGEST_LOCK_S:
            raise OrchestratorError("N110", "duration: a lock lasts more than 0 seconds and at most 10 years")
        self._parts.services.environment(environment)
        until = add_seconds(self._parts.services.clock.now(), duration) if duration else None
        return self._parts.store.lock(self._fresh("lock", environment, actor), why, until)

    @use_case(Action.LOCK)
    def unlock(self, actor: Actor, environment: str, why: str = "") -> Lease | None:
        """Open *environment*, because of *why*; the lock that was on it. Raises S101 when a run holds it."""
        self._parts.services.environment(environment)
        return self._parts.store.unlock(self._fresh("unlock", environment, actor), why)

    def _fresh(self, kind: Literal["lock", "unlock"], environment: str, actor: Actor) -> Run:
        """A new run that records a lock or its end."""
        store, now = self._parts.store, self._parts.services.clock.now()
        while True:
            run = lock_run(kind, secrets.token_hex(3), environment, str(actor), now)
            if not store.list_runs(RunFilter(request_id=run.root), limit=1).items:
                return run

    @use_case(Action.RUN_WORKER, recorded=False)
    def detach(self, actor: Actor, run: Run) -> None:
        """Record that *run* continues without the process that requested it: it keeps its place in the queue."""
        data = {"level": "info", "text": "detached: it keeps its place in the queue", "detached": True}
        self._parts.store.append(run.id, [Entry(kind="notice", data=data, key=DETACHED)])
