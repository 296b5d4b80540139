"""The states of an implementation plan, and of each of its tasks.

    plan:  scheduled ─▶ running ─▶ completed
                │          │
                └──────────┴─────▶ aborted

    task:  pending ─▶ ready ─▶ in-progress ─▶ done
                        │           │
                        │           ├─▶ needs-help ─▶ in-progress
                        │           └─▶ failed ─▶ ready
                        └─▶ skipped

A task is *ready* when everything that it comes after has ended. No state is left by a process that waits: a task is a
part of a record, and only an event changes it.
"""

from enum import StrEnum

from orchestrator.management.state_table import StateTable


class PlanState(StrEnum):
    """The state of an implementation plan."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    COMPLETED = "completed"
    ABORTED = "aborted"


class PlanEvent(StrEnum):
    """What changes an implementation plan."""

    START = "start"
    REPLAN = "replan"
    COMPLETE = "complete"
    ABORT = "abort"


class TaskState(StrEnum):
    """The state of a task."""

    PENDING = "pending"
    READY = "ready"
    IN_PROGRESS = "in-progress"
    NEEDS_HELP = "needs-help"
    FAILED = "failed"
    DONE = "done"
    SKIPPED = "skipped"
    ABORTED = "aborted"


class TaskEvent(StrEnum):
    """What changes a task."""

    READY = "ready"
    """Everything that it comes after has ended."""
    WAIT = "wait"
    """It comes after something else since it was re-planned."""
    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    REQUEST_HELP = "request help"
    RESUME = "resume"
    RETRY = "retry"
    SKIP = "skip"
    GO = "go"
    NO_GO = "no go"
    ABORT = "abort"
    PASS = "pass"  # noqa: S105 - a word, not a secret
    """Later tasks start, and it stays open."""


_P, _V = PlanState, PlanEvent
IMPLEMENTATION_TABLE = StateTable(
    "implementation plan",
    _P.SCHEDULED,
    {
        _P.SCHEDULED: {_V.START: _P.RUNNING, _V.REPLAN: _P.SCHEDULED, _V.ABORT: _P.ABORTED},
        _P.RUNNING: {_V.REPLAN: _P.RUNNING, _V.COMPLETE: _P.COMPLETED, _V.ABORT: _P.ABORTED},
        _P.COMPLETED: {},
        _P.ABORTED: {},
    },
)

_S, _E = TaskState, TaskEvent
_OVER = {_E.COMPLETE: _S.DONE, _E.FAIL: _S.FAILED, _E.SKIP: _S.SKIPPED, _E.ABORT: _S.ABORTED}
_DECIDED = {_E.GO: _S.DONE, _E.NO_GO: _S.ABORTED}
TASK_TABLE = StateTable(
    "task",
    _S.PENDING,
    {
        _S.PENDING: {_E.READY: _S.READY, _E.SKIP: _S.SKIPPED, _E.ABORT: _S.ABORTED},
        _S.READY: {
            _E.WAIT: _S.PENDING,
            _E.START: _S.IN_PROGRESS,
            _E.REQUEST_HELP: _S.NEEDS_HELP,
            _E.PASS: _S.READY,
            **_OVER,
            **_DECIDED,
        },
        _S.IN_PROGRESS: {_E.REQUEST_HELP: _S.NEEDS_HELP, _E.PASS: _S.IN_PROGRESS, **_OVER, **_DECIDED},
        _S.NEEDS_HELP: {_E.RESUME: _S.IN_PROGRESS, **_OVER, **_DECIDED},
        _S.FAILED: {_E.RETRY: _S.READY, _E.COMPLETE: _S.DONE, _E.SKIP: _S.SKIPPED, _E.ABORT: _S.ABORTED},
        _S.DONE: {},
        _S.SKIPPED: {},
        _S.ABORTED: {},
    },
)
ACTIVE = frozenset({_S.READY, _S.IN_PROGRESS, _S.NEEDS_HELP})
"""The states in which a task waits for its owner, or for what executes it."""
UNDER_WAY = frozenset({_S.IN_PROGRESS, _S.NEEDS_HELP})
"""The states of a task that was started."""
PASSED = frozenset({_S.DONE, _S.SKIPPED})
"""The states after which later tasks start."""
