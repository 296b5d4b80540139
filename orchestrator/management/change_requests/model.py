"""Change requests as they are recorded, with their rank."""

from collections.abc import Callable, Iterable
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints

from orchestrator.domain.drift import Finding
from orchestrator.domain.model import Model, Name
from orchestrator.domain.moments import Moment
from orchestrator.management.change_requests.risk import ChangeFacts, ChangeRisk, change_risk
from orchestrator.management.change_requests.state import CHANGE_REQUEST_TABLE, ChangeEvent, ChangeState

Scale = Annotated[int, Field(ge=1, le=5)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Long = Annotated[str, StringConstraints(max_length=10_000)]
Link = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
RANKS_KEPT = 50


class Source(StrEnum):
    """How a change request was made."""

    CLI = "cli"
    GIT = "git"
    FILE = "file"
    DRIFT = "drift"


class ChangeDraft(Model):
    """What a user enters: *title* is what, *reason* is why. *due* is the date by which it is needed."""

    title: Text
    reason: Long = ""
    value: Scale = 3
    urgency: Scale = 3
    due: date | None = None
    packages: tuple[Name, ...] = ()
    environments: tuple[Name, ...] = ()
    links: tuple[Link, ...] = ()


class RankOverride(Model):
    """A rank that was set by hand, by whom and why."""

    rank: float = Field(ge=0, le=10)
    by: str
    at: Moment
    reason: Text


class RankedAt(Model):
    """The *rank* and *risk* of a request from *at* on, and *why* it moved."""

    at: Moment
    rank: float
    risk: int
    why: str


class Check(Model):
    """One check of an assessment: whether it *holds*, and its result as *text*."""

    name: str
    holds: bool
    text: str


class ChangeRequest(ChangeDraft):
    """A change request. *number* makes its id. *source_ref* identifies what was imported: a commit, or a reference.

    *findings* are the differences that a request of the source *drift* is about.
    *checks* are those of its assessment, when they last ran. *note* is the reason of its state, *until* the end of a
    deferral, *release* the one that contains it. *ranks* has the newest changes of its rank.
    """

    number: int = Field(ge=1)
    reporter: str
    created_at: Moment
    source: Source = Source.CLI
    source_ref: str = ""
    state: ChangeState = ChangeState.DRAFT
    facts: ChangeFacts = ChangeFacts()
    override: RankOverride | None = None
    ranks: tuple[RankedAt, ...] = ()
    findings: tuple[Finding, ...] = Field(default=(), exclude_if=lambda found: not found)
    checks: tuple[Check, ...] = ()
    decided_by: str = ""
    decided_at: Moment | None = None
    note: str = ""
    until: Moment | None = None
    release: str = ""

    @property
    def id(self) -> str:
        """What users call it."""
        return f"R-{self.number}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in CHANGE_REQUEST_TABLE.ends

    @property
    def risk(self) -> ChangeRisk:
        """The risk by its facts."""
        return change_risk(self.facts)

    @property
    def computed_rank(self) -> float:
        """The rank by the formula, whether or not another one was set."""
        return self.value * (1 + self.urgency / 5) / (1 + self.risk.risk / 5)

    @property
    def rank(self) -> float:
        """The rank that counts."""
        return self.override.rank if self.override is not None else self.computed_rank

    @property
    def arithmetic(self) -> str:
        """The rank, as shown: `4 × (1 + 3/5) / (1 + 2/5) = 4.57`."""
        formula = f"{self.value} × (1 + {self.urgency}/5) / (1 + {self.risk.risk}/5) = {self.computed_rank:.2f}"
        by = self.override
        return f"{formula}, set to {by.rank:.2f} by {by.by}: {by.reason}" if by is not None else formula

    @property
    def failing(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.holds)

    def after(self, event: ChangeEvent, **fields: Any) -> Self:
        """The request after *event*. Raises G101."""
        state = CHANGE_REQUEST_TABLE.after(self.state, event, self.id)
        return self.model_copy(update={"state": state, **fields})

    def ranked(self, at: Moment, why: str, **fields: Any) -> Self:
        """The request with other *fields*; a rank that moved by them is recorded with *why*."""
        changed = self.model_copy(update=fields)
        if changed.ranks and abs(changed.ranks[-1].rank - changed.rank) < 0.005:
            return changed
        newest = RankedAt(at=at, rank=round(changed.rank, 4), risk=changed.risk.risk, why=why)
        return changed.model_copy(update={"ranks": (*changed.ranks, newest)[-RANKS_KEPT:]})

    def rank_at(self, moment: Moment) -> float | None:
        """The rank that it had at *moment*; None if that is not known any more, or it did not exist."""
        return next((each.rank for each in reversed(self.ranks) if each.at <= moment), None)


class RankMove(Model):
    """A request whose rank moved. A new one has nothing *before*. Places count from 1."""

    request: str
    title: str
    before: float | None
    after: float
    place_before: int | None
    place: int
    why: tuple[str, ...]


def moves_since(
    requests: Iterable[ChangeRequest], since: Moment, place: Callable[[float, int], int]
) -> tuple[RankMove, ...]:
    """Those of *requests* whose rank moved after *since*, in the order of their rank, with why.

    *place* is the place, from 1, that a rank and a number have among the current ranks. *requests* have all that moved.
    """
    moved = [request for request in requests if any(each.at > since for each in request.ranks)]
    now = {request.number: _order(request.rank, request.number) for request in moved}
    old = {r.number: _order(rank, r.number) for r in moved if (rank := r.rank_at(since)) is not None}

    def place_before(number: int) -> int | None:
        """Its former place: that of its former rank now, without what has moved, and with where that was."""
        if number not in old:
            return None
        here = old[number]
        left = sum(each < here for each in now.values())
        return place(-here[0], number) - left + sum(each < here for each in old.values())

    return tuple(
        RankMove(
            request=request.id,
            title=request.title,
            before=request.rank_at(since),
            after=round(request.rank, 4),
            place_before=place_before(request.number),
            place=place(request.rank, request.number),
            why=tuple(each.why for each in request.ranks if each.at > since),
        )
        for request in sorted(moved, key=lambda each: now[each.number])
    )


def _order(rank: float, number: int) -> tuple[float, int]:
    """The order of ranks, the highest first, as they are recorded."""
    return -round(rank, 4), number
