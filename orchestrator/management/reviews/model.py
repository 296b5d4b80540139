"""Reviews and their actions as they are recorded."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.management.reviews.state import (
    ACTION_TABLE,
    REVIEW_TABLE,
    ActionEvent,
    ActionState,
    ReviewEvent,
    ReviewState,
)

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Prose = Annotated[str, StringConstraints(max_length=10_000)]


class CloseCode(StrEnum):
    """How the change went, as its review concludes."""

    SUCCESSFUL = "successful"
    WITH_ISSUES = "successful-with-issues"
    ROLLED_BACK = "rolled-back"
    UNSUCCESSFUL = "unsuccessful"


class Wait(Model):
    """A time for which a run waited, in seconds: `queue`, `approval`, `held` or `pause`."""

    kind: Literal["queue", "approval", "held", "paused"]
    seconds: float = Field(ge=0)


class PlannedTime(Model):
    """A phase or a start as it was *planned* and as it was: *slip_s* is how much later it ended, in seconds."""

    name: str
    planned: Moment
    actual: Moment | None = None
    slip_s: float | None = None


class ReviewFacts(Model):
    """What the journal and the register have of the subject.

    *runs* are its runs with their ends, *seconds* the time from the first start to the last end. *incidents* are
    failures with their causes, *downtime_s* the time for which probes had no response. *flaky* are tests and tasks
    that passed only when they were repeated, *approvals* the votes, *overrides* the calendar entries that were passed.
    """

    runs: tuple[str, ...] = ()
    seconds: float | None = None
    recovery_s: float | None = None
    downtime_s: float | None = None
    planned: tuple[PlannedTime, ...] = ()
    waits: tuple[Wait, ...] = ()
    incidents: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


class Feedback(Model):
    """The opinion of *by* on the subject; *rating* is from 1 (bad) to 5 (good)."""

    by: str
    at: Moment
    text: Line
    rating: int | None = Field(default=None, ge=1, le=5)


class Review(Model):
    """The review of a *subject*: a run, or a planned release.

    It is the id of the review. *kind* is why it was opened. *close_code* and *closed_at* are set when it is closed.
    """

    subject: str
    kind: Literal["release", "rollback", "intervention", "emergency", "other"]
    environment: str
    title: str
    opened_at: Moment
    due: Moment
    lead: str = ""
    facts: ReviewFacts = ReviewFacts()
    went_well: Prose = ""
    went_badly: Prose = ""
    feedback: tuple[Feedback, ...] = ()
    state: ReviewState = ReviewState.OPEN
    close_code: CloseCode | None = None
    conclusion: str = ""
    closed_by: str = ""
    closed_at: Moment | None = None

    @property
    def id(self) -> str:
        """What users call it."""
        return self.subject

    @property
    def has_ended(self) -> bool:
        """Whether it does not change any more."""
        return self.state in REVIEW_TABLE.ends

    def names_run(self, run: str) -> bool:
        """Whether the facts have the *run*, or it was added after the review was closed."""
        lines = (*self.facts.runs, *(each.text for each in self.feedback))
        return any(line.startswith(f"{run}:") for line in lines)

    @property
    def suggested_code(self) -> CloseCode:
        """The close code that its kind and its facts suggest."""
        if self.kind == "rollback":
            return CloseCode.ROLLED_BACK
        if self.kind == "intervention":
            return CloseCode.UNSUCCESSFUL
        return CloseCode.WITH_ISSUES if self.facts.incidents or self.facts.flaky else CloseCode.SUCCESSFUL

    def after(self, event: ReviewEvent, **fields: object) -> "Review":
        """The review after *event*. Raises G101."""
        return self.model_copy(update={**fields, "state": REVIEW_TABLE.after(self.state, event, self.id)})


class ReviewAction(Model):
    """Something that *owner* does until *due*, because of the *review*. *note* is the reason of its end."""

    number: int = Field(ge=1)
    review: str
    environment: str
    title: Line
    owner: str
    due: Moment
    created_by: str
    created_at: Moment
    state: ActionState = ActionState.OPEN
    note: str = ""
    ended_by: str = ""
    ended_at: Moment | None = None

    @property
    def id(self) -> str:
        """What users call it."""
        return f"A-{self.number}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in ACTION_TABLE.ends

    def is_overdue(self, now: Moment) -> bool:
        """Whether it is open after its due time."""
        return not self.has_ended and self.due < now

    def after(self, event: ActionEvent, **fields: object) -> "ReviewAction":
        """The action after *event*. Raises G101."""
        return self.model_copy(update={**fields, "state": ACTION_TABLE.after(self.state, event, self.id)})
