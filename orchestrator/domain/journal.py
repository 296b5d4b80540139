"""The journal: what was intended and what came of it. Everything that is shown is folded from it."""

from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef

Kind = Literal["promotion", "rollback", "provision", "destroy", "resolve"]


class Entry(Model):
    """One thing to be written. *key* makes it idempotent within its run: the same key is written once.

    *kind* is one of: `requested`, `state`, `step.started`, `step.finished`, `resource`, `task`, `test`,
    `host`, `verified`, `planned`, `notice`, `ended`. `docs/reference/journal.md` says what *data* holds for each.
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
    """One run as the journal's table of contents has it.

    *root* is what was asked for in one go: a promotion along the path is several runs with one root, and the
    engine's executor has its name.
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

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.ended_at is not None


class Verified(Model):
    """A release whose tests passed in an environment. *at* is UTC, ISO 8601."""

    environment: str
    release: PackageRef
    run: str
    at: str
    definition: str = ""


class Lease(Model):
    """Who may act on an environment now. *fence* rises with every new holder and is carried by every effect."""

    environment: str
    holder: str
    fence: int
    by: str
    reason: str
    since: str
    host: str = ""


def after_entry(run: Run, entry: Entry, at: str) -> Run:
    """What the table of contents says of *run* once *entry* has been written at the time *at*."""
    if entry.kind == "state":
        return run.model_copy(update={"state": State(entry.data["to"])})
    if entry.kind == "planned":
        return run.model_copy(update={"plan": entry.data["plan"]})
    if entry.kind == "ended":
        state = State(entry.data["state"])
        return run.model_copy(update={"state": state, "ended_at": at, "message": entry.data.get("message", "")})
    return run


def find(wanted: str, exact: Run | None, beginning: list[Run]) -> Run:
    """The run that *wanted* means: the *exact* one, or the only one *beginning* so. Raises R101 or R102."""
    if exact is not None:
        return exact
    if not beginning:
        raise OrchestratorError("R101", f"there is no run {wanted!r}")
    if len(beginning) > 1:
        names = ", ".join(sorted(run.id for run in beginning)[:5])
        raise OrchestratorError("R102", f"{wanted!r} is the beginning of several runs: {names}")
    return beginning[0]


def busy(lease: Lease) -> OrchestratorError:
    """The error for an environment that somebody else holds."""
    who = f"{lease.holder} ({lease.reason}, by {lease.by or 'unknown'}, since {lease.since})"
    return OrchestratorError(
        "S101",
        f"{lease.environment} is held by {who}",
        hint=f"orchestrator show {lease.holder}; if it was interrupted: orchestrator resume {lease.holder}",
    )
