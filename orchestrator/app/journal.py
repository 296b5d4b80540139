"""Reading the journal of a request: which of its runs continues, and whether a process works on it."""

from orchestrator.app.parts import Parts
from orchestrator.app.requests import Request, parse_request
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import (
    LOCK_KINDS,
    QueuedRequest,
    Run,
    add_seconds,
    busy,
    is_past,
    queued,
    run_not_found,
)
from orchestrator.domain.listing import RunFilter
from orchestrator.ports import Store
from orchestrator.ports.lists import each_run, queue_of

GRACE_S = 15.0  # a process has this time between requesting something and starting it


def recorded_request(store: Store, root: str) -> Request:
    """What was requested under *root*. Raises R101, and R141 for a lock, which has no request."""
    try:
        return parse_request(store.work(root).request)
    except OrchestratorError:
        if store.list_runs(RunFilter(request_id=root, kinds=tuple(sorted(LOCK_KINDS))), limit=1).items:
            text = f"{root} records a lock or its end"
            raise OrchestratorError("R141", text, hint="orchestrator lock status lists the locks") from None
        raise


def current_run(store: Store, root: str) -> Run:
    """The run of *root* that continues, or its last one; of a rollout in waves the run of all of it. Raises R101."""
    runs = list(each_run(store, RunFilter(request_id=root)))
    if not runs:
        raise run_not_found(root)
    whole = next((run for run in runs if run.kind == "waves"), None)
    return whole or next((run for run in runs if not run.ended), runs[0])


def is_past_start(work: QueuedRequest, run: Run, now: str) -> bool:
    """Whether a process has executed *work*, or had the time to start it: *run* is its run that continues."""
    return work.epoch > 0 or is_past(add_seconds(run.requested_at, GRACE_S), now)


def open_runs(store: Store, root: str) -> list[Run]:
    """The runs of *root* that have not ended, oldest first."""
    return list(each_run(store, RunFilter(request_id=root, is_open=True)))[::-1]


def is_paused(store: Store, root: str) -> bool:
    """Whether no run of *root* continues because a user has paused it."""
    runs = open_runs(store, root)
    parts = [run for run in runs if run.kind != "waves"] or runs
    return any(run.control == "pause" for run in runs if run.kind == "waves") or (
        bool(parts) and all(run.control == "pause" for run in parts)
    )


def has_process(parts: Parts, root: str) -> bool:
    """Whether a process works on *root*; one that was just started for it counts."""
    return root in parts.resuming or parts.engine.working(root)


def require_free(parts: Parts, environment: str) -> None:
    """Return if *environment* is free. Raises S101 with the run or user that holds it, or waits for it."""
    held = parts.store.lease(environment)
    if held is not None:
        raise busy(held, parts.services.clock.now())
    for waiting in queue_of(parts.store, environment):
        if waiting.superseded_by is None:
            raise queued(waiting, parts.services.clock.now())
