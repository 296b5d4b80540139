"""Hold: a run that has changed nothing stops at the next boundary when its environment closes.

It releases the lease, waits for its turn in the open environment, and its plan is checked again. A run that has
changed something is never held: it completes, or is rolled back.
"""

from math import inf

from orchestrator.domain.error_codes import ENVIRONMENT_BUSY, STOPPED_BY_USER
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import PROMOTION_KINDS, STOPPING, Entry
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import LeaseTaken
from orchestrator.domain.text import age, undated
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.durations import HELD
from orchestrator.ports import Emit
from orchestrator.ports.lists import queue_entry

POLL = 0.5
OVER = "held-over"
"""The prefix of the key of the entry that the run continues before a step."""


def hold_before(ctx: RunContext, name: str, emit: Emit, begun: bool) -> StepResult | None:
    """Hold the run before the step *name* while its environment is closed; None: the step starts.

    Otherwise the result of the step: an operator has stopped the run, or its plan no longer holds. A step that was
    *begun* by a process that died is completed, unless that process held it.
    """
    held = begun and is_held(ctx, name)
    closed = "" if begun else _closed(ctx)
    if not closed and not held:
        return None
    store, run, clock = ctx.services.store, ctx.run, ctx.services.clock
    if not held:
        data = {"level": "warning", "text": f"held before {name}: {closed}", "held": closed, "before": name}
        key = f"{HELD}:{name}" if store.has_entry(run.id, HELD) else HELD
        ctx.note(Entry(kind="notice", step=name, data=data, key=key))
    _release_lease(ctx)
    ctx.fence, since = 0, clock.monotonic()  # another run may have the environment meanwhile
    stopped = take_turn(ctx, emit, deadline=inf)
    if not stopped.good:
        return stopped
    changed = ctx.recheck(f"{run.id}.{name}.again", emit)
    if changed is None:
        text = f"{run.environment} is open: held for {age(clock.monotonic() - since)}"
        ctx.note(Entry(kind="notice", step=name, data={"level": "info", "text": text}, key=f"{OVER}:{name}"))
    return changed


def _release_lease(ctx: RunContext) -> None:
    """Release the lease as this process, also where one that died still has it for the run."""
    store, run = ctx.services.store, ctx.run
    ctx.ownership.check()
    lease = store.lease(run.environment)
    if lease is not None and lease.holder == run.id and lease.worker != ctx.ownership.worker:
        ctx.enter()
    store.release(run.environment, run.id, ctx.ownership.worker)


def is_held(ctx: RunContext, name: str) -> bool:
    """Whether a process died while it held the run before the step *name*: nothing of that step was done."""
    store, run = ctx.services.store, ctx.run
    if store.has_entry(run.id, f"{OVER}:{name}"):
        return False
    first = store.entry(run.id, HELD)
    return first is not None and (first.data.get("before") == name or store.has_entry(run.id, f"{HELD}:{name}"))


def take_turn(ctx: RunContext, emit: Emit, *, deadline: float) -> StepResult:
    """Take the lease when it is this run's turn and the environment is open, reporting what it waits for.

    Raises S104 and S105.
    """
    store, clock, run, printed = ctx.services.store, ctx.services.clock, ctx.run, ""
    supersede, worker = ctx.environment.queue.supersede, ctx.ownership.worker
    store.enqueue(run.environment, run, supersede=supersede, worker=worker)
    while True:
        if (verb := ctx.control()) in STOPPING:  # before it is its turn: what only waited has nothing to undo
            store.dequeue(run.environment, run.id)
            data = {"code": STOPPED_BY_USER, "untouched": True}
            return StepResult(outcome=Outcome.ABORTED, message=f"{STOPPING[verb]} while it waited", data=data)
        why = _closed(ctx) or _taken(ctx)
        if not why:
            return StepResult(outcome=Outcome.SUCCEEDED, data=LeaseTaken(fence=ctx.fence).to_json())
        if undated(why) != printed:
            emit(Entry(kind="notice", data={"level": "info", "text": f"waiting: {why}"}))
            printed = undated(why)
        _keep_waiting(ctx, late=clock.monotonic() >= deadline)
        clock.sleep(POLL)


def check_entrance(ctx: RunContext) -> None:
    """Refuse a promotion or rehearsal that may not start; nothing else is ever refused. Raises codes of conditions."""
    if ctx.run.kind in PROMOTION_KINDS:
        entrance, run = ctx.services.entrance, ctx.run
        entrance.admit(ctx.services, run, plan=ctx.approved, overrun=ctx.overrun)


def _closed(ctx: RunContext) -> str:
    """Why the environment is closed to the run; empty if it is open."""
    if ctx.run.kind not in PROMOTION_KINDS:
        return ""
    closed = ctx.services.entrance.closed(ctx.run)
    return f"{ctx.run.environment} is closed: {closed}" if closed else ""


def _taken(ctx: RunContext) -> str:
    """Take the lease, once every condition was checked; who holds the environment, empty if the run has it."""
    check_entrance(ctx)
    try:
        ctx.enter()
    except OrchestratorError as error:
        if error.code != ENVIRONMENT_BUSY:
            raise
        return error.message
    return ""


def _keep_waiting(ctx: RunContext, *, late: bool) -> None:
    """Leave the queue when there is nothing to wait for any more. Raises S104 and S105."""
    store, run = ctx.services.store, ctx.run
    if ctx.control() == "pause":
        ctx.ownership.park()
    ctx.ownership.check()  # a process that has to end, or was replaced, waits no longer
    mine = queue_entry(store, run.environment, run.id)
    if mine is not None and mine.superseded_by is None and not late:
        return
    store.dequeue(run.environment, run.id)
    if mine is not None and mine.superseded_by is not None:
        raise OrchestratorError("S104", f"{run.id} is superseded by {mine.superseded_by}")
    raise OrchestratorError("S105", f"{run.environment} did not become free in {ctx.wait:.0f} s (--wait)")
