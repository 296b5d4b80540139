"""Control: pausing, cancelling, aborting and resuming runs, and locking environments."""

import secrets

from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.journal import open_runs
from orchestrator.app.parts import Parts
from orchestrator.app.rights import control_rights
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.journal import LOCK, ControlVerb, Entry, Lease, Run, add_seconds, busy
from orchestrator.ports import Store

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

    @use_case(Action.LOCK)
    def lock(self, actor: Actor, environment: str, why: str, duration: float | None = None) -> Lease:
        """Keep every run out of *environment*, for *duration* seconds or until it is unlocked. Raises S101."""
        self._parts.services.environment(environment)
        until = add_seconds(self._parts.services.clock.now(), duration) if duration else None
        held = self._parts.store.lease(environment)
        if held is not None:
            raise busy(held, self._parts.services.clock.now())
        return self._parts.store.acquire(environment, f"{LOCK}{secrets.token_hex(3)}", str(actor), why, until=until)

    @use_case(Action.LOCK)
    def unlock(self, actor: Actor, environment: str, why: str = "") -> Lease | None:
        """Open *environment*, because of *why*; the lock that was on it. Raises S101 when a run holds it."""
        self._parts.services.environment(environment)
        held = self._parts.store.lease(environment)
        if held is not None and not held.locked:
            raise busy(held, self._parts.services.clock.now())
        if held is not None:
            self._parts.store.release(environment, held.holder)
        return held

    @use_case(Action.RUN_WORKER, recorded=False)
    def detach(self, actor: Actor, run: Run) -> None:
        """Record that *run* continues without the process that requested it: it keeps its place in the queue."""
        data = {"level": "info", "text": "detached: it keeps its place in the queue", "detached": True}
        self._parts.store.append(run.id, [Entry(kind="notice", data=data, key=DETACHED)])
