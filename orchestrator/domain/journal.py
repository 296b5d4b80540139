"""The journal: what was intended and what came of it. Everything that is shown is folded from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.error_codes import DISK_FULL, STORE_FAILS, STORE_NEWER
from orchestrator.domain.errors import Exit, OrchestratorError
from orchestrator.domain.model import Model
from orchestrator.domain.moments import moment_text
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.domain.text import moment

Kind = Literal[
    "promotion",
    "rollback",
    "provision",
    "destroy",
    "resolve",
    "observe",
    "override",
    "reap",
    "rehearsal",
    "waves",
    "lock",
    "unlock",
]
PROMOTION_KINDS: frozenset[Kind] = frozenset({"promotion", "rehearsal"})
"""Runs that put a release into an environment: a rehearsal is a promotion that rolls back once before it stays."""
LOCK_KINDS: frozenset[Kind] = frozenset({"lock", "unlock"})
"""Runs that record a lock and its end. They have no steps, and no run is overtaken by them."""
STORE_FAILURES = frozenset({STORE_FAILS, DISK_FULL, STORE_NEWER})
"""Errors after which nothing can be written down: nothing more is done, and nothing is judged."""
ControlVerb = Literal["", "pause", "cancel", "abort"]
STOPPED = "R150"  # the code of what a user has stopped
STOPPING = {"cancel": "cancelled", "abort": "aborted"}


class Entry(Model):
    """One thing to be written. *key* makes it idempotent within its run: the same key is written once.

    *kind* is one of: `requested`, `state`, `step.started`, `step.finished`, `resource`, `task`, `test`,
    `host`, `verified`, `switched`, `rehearsed`, `planned`, `control`, `notice`, `log`, `files`, `ephemeral`,
    `wave`, `locked`, `unlocked`, `ended`. `docs/reference/journal.md` describes *data* for each.
    """

    kind: str
    step: str = ""
    batch: int | None = None
    host: str = ""
    data: dict[str, Any] = Field(default_factory=dict)
    key: str | None = None


class Record(Entry):
    """One thing that was written. *seq* rises within the run, starting at 1; *at* is UTC, ISO 8601."""

    run: str
    seq: int
    at: str


class Run(Model):
    """One run in the journal's table of runs.

    *root* is the id of the request: a promotion along the path is several runs with one root, and the
    engine's executor has its name. A promotion in waves has a run of its own as well, called like its root, whose
    *environment* is the name of the list of waves. *control* is the last control request: pause, cancel or abort.
    *project_definition* is the digest of the project definition that it uses, if one was pushed.
    """

    id: str
    root: str
    kind: Kind
    environment: str
    release: PackageRef | None = None
    plan: str | None = None
    by: str = ""
    requested_at: str = ""
    state: State = State.REQUESTED
    ended_at: str | None = None
    message: str = ""
    control: ControlVerb = ""
    control_by: str = ""
    control_at: str = ""
    project_definition: str | None = Field(default=None, exclude_if=lambda digest: digest is None)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.ended_at is not None

    @property
    def waits_for(self) -> str:
        """The implementation plan that has paused it, such as `IP-1`; empty if it does not wait for one."""
        return self.control_by if self.control == "pause" and self.control_by.startswith("IP-") else ""


class Verified(Model):
    """A release whose tests passed in an environment. *at* is UTC, ISO 8601."""

    environment: str
    release: PackageRef
    run: str
    at: str
    definition: str = ""


class Lease(Model):
    """The holder of an environment. *fence* increases with every new holder and is carried by every effect.

    *holder* is a run, or `lock:…` for the lock of an operator. *worker* is the process that acts for the run. When
    another process takes the run over, the holder stays and the fence increases. *until* is the end of a lock. The
    lease of a run has no such time: it ends with the run, which can always be resumed.
    """

    environment: str
    holder: str
    fence: int
    by: str
    reason: str
    since: str
    host: str = ""
    worker: str = ""
    until: str | None = None

    @property
    def locked(self) -> bool:
        """Whether an operator holds it, and not a run."""
        return self.holder.startswith(LOCK)


LOCK = "lock:"


DEFAULT_QUEUE = "default"
"""The queue of workers where no other is named."""


class QueuedRequest(Model):
    """A submitted request, and the process that has claimed it.

    *request* is what the engine is given. *queue* names the workers that take it; empty means that the process that
    submitted it executes it. *worker* has claimed it until *until*, unless it renews the claim; *epoch* rises with each
    process that takes it up.
    """

    root: str
    request: dict[str, Any]
    queue: str = ""
    done: bool = False
    worker: str = ""
    host: str = ""
    since: str = ""
    until: str | None = None
    epoch: int = 0

    def is_claimed(self, now: str) -> bool:
        """Whether some process may be working on it at the time *now*."""
        return bool(self.worker) and self.until is not None and not is_past(self.until, now)


def request_parameters(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a recorded request, which only its kind has."""
    return request.get("parameters") or {}


class QueueEntry(Model):
    """One place in an environment's queue. *number* increases; *state* is whether it still waits."""

    environment: str
    run: str
    number: int
    by: str
    release: PackageRef | None = None
    since: str
    superseded_by: str | None = None


def run_id(root: str, environment: str) -> str:
    """The id of the run of a request in one environment; that of a rollback in waves ends with `_back`."""
    return f"{root}-{environment}"


def recorded_end(records: Sequence[Record]) -> Mapping[str, Any]:
    """How the run with these *records* ended, as its last entry has it; empty if it has not."""
    return next((record.data for record in reversed(records) if record.kind == "ended"), {})


def recorded_failure(records: Sequence[Record]) -> Mapping[str, Any]:
    """The `step`, `message` and `code` of what made the run with these *records* fail; empty if nothing did."""
    return recorded_end(records).get("failure") or {}


def recorded_exit(records: Sequence[Record]) -> Exit:
    """How the command ends for the run with these *records*: as the run did, or interrupted if it has not ended."""
    ended = recorded_end(records)
    return Exit(int(ended["exit"])) if ended else Exit.INTERRUPTED


def is_past(until: str, now: str) -> bool:
    """Whether the time *until* is past at *now* (both ISO 8601 with an offset)."""
    return datetime.fromisoformat(until) <= datetime.fromisoformat(now)


def add_seconds(now: str, seconds: float) -> str:
    """The time *seconds* after *now* (ISO 8601)."""
    return moment_text(datetime.fromisoformat(now) + timedelta(seconds=seconds))


def after_entry(run: Run, entry: Entry, at: str) -> Run:
    """*run* as the table of contents has it after *entry* was written at the time *at*."""
    if entry.kind == "state":
        return run.model_copy(update={"state": State(entry.data["to"])})
    if entry.kind == "control":
        about = {"control": entry.data["control"], "control_by": entry.data.get("by", ""), "control_at": at}
        return run.model_copy(update=about)
    if entry.kind == "planned":
        return run.model_copy(update={"plan": entry.data["plan"]})
    if entry.kind == "ended":
        state = State(entry.data["state"])
        return run.model_copy(update={"state": state, "ended_at": at, "message": entry.data.get("message", "")})
    return run


def verified_key(release: PackageRef) -> str:
    """The key of the entry of a run that has verified *release*."""
    return f"verified:{release.digest}"


def run_not_found(run: str, hint: str | None = None) -> OrchestratorError:
    """The error for a *run* or a request that the journal does not have."""
    return OrchestratorError("R101", f"the run {run!r} does not exist", hint=hint)


def find_run(wanted: str, exact: Run | None, beginning: list[Run]) -> Run:
    """The run that *wanted* means: the *exact* one, or the only one in *beginning*. Raises R101 or R102."""
    if exact is not None:
        return exact
    if not beginning:
        raise run_not_found(wanted, hint="orchestrator history lists the runs")
    if len(beginning) > 1:
        found = [f"{run.id} ({run.kind} of {run.release or run.environment}, {run.state.value})" for run in beginning]
        text = f"{wanted!r} is the start of {len(found)} runs: {'; '.join(sorted(found)[:6])}"
        raise OrchestratorError("R102", text, hint="name one of them, or enough characters of it")
    return beginning[0]


def busy(lease: Lease, now: str) -> OrchestratorError:
    """The error for an environment that another run or a lock holds; *now* gives the age of the lease."""
    by = lease.by or "unknown"
    if lease.locked:
        end = f", until {moment(lease.until)}" if lease.until else ""
        text = f"{lease.environment} is locked by {by}: {lease.reason} (since {moment(lease.since, now)}{end})"
        return OrchestratorError(
            "S101", text, hint=f"orchestrator lock status; orchestrator unlock {lease.environment}"
        )
    return OrchestratorError(
        "S101",
        f"{lease.environment} is held by {lease.holder} ({lease.reason}, by {by}, since {moment(lease.since, now)})",
        hint=f"wait for it with --wait; orchestrator watch {lease.holder} follows it, and if it was interrupted "
        f"orchestrator resume {lease.holder} finishes it",
    )


def queued(ahead: QueueEntry, now: str) -> OrchestratorError:
    """The error for an environment that is free, and that another run has been waiting for longer, by *now*."""
    waits = f"by {ahead.by or 'unknown'}, waiting since {moment(ahead.since, now)}"
    text = f"{ahead.environment} is reserved for {ahead.run} ({waits})"
    return OrchestratorError("S101", text, hint="wait behind it with --wait; orchestrator queue shows who waits")


def taken(work: QueuedRequest) -> OrchestratorError:
    """The error for something that a living process works on."""
    return OrchestratorError(
        "S120",
        f"{work.root} is being worked on by {work.worker} (until {moment(work.until or '')} at the latest)",
        hint=f"orchestrator watch {work.root}",
    )


def stale(environment: str, fence: int, newer: int) -> OrchestratorError:
    """The error for a process that acts on a lease which another process has taken since."""
    return OrchestratorError("S103", f"{environment} was taken over: fence {fence} is older than {newer}")


def replaced(run: str, worker: str) -> OrchestratorError:
    """The error for a process that another one has taken a run over from."""
    return OrchestratorError("S103", f"{worker} no longer owns {run}")
