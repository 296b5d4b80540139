"""The journal: what was intended and what came of it. Everything that is shown is folded from it."""

from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.model import Model
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef

Kind = Literal["promotion", "rollback", "provision", "destroy"]


class Entry(Model):
    """One thing to be written. *key* makes it idempotent within its run: the same key is written once.

    *kind* is one of: `requested`, `state`, `step.started`, `step.finished`, `resource`, `task`, `test`,
    `host`, `verified`, `notice`, `ended`. `docs/reference/journal.md` says what *data* holds for each.
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
