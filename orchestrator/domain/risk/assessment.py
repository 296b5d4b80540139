"""The risk of a promotion: an integer from 0 to 100, the sum of the factors in one table, shown with its arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Annotated

from pydantic import Field, StringConstraints

from orchestrator.domain.model import Model
from orchestrator.domain.risk.kinds import MAX_SCORE, Level, level_of
from orchestrator.domain.text import counted

Count = Annotated[int, Field(ge=0)]


class RiskFacts(Model):
    """What the risk of a promotion is computed from, by the plan and the journal.

    *hosts* are changed in *batches*. *opaque_tasks* are tasks that check mode could not predict. *rollbacks* of the
    last *promotions* of this package in this environment. *days_since* is the time since the last promotion into it
    (None: there was none). *rehearsed* is None if the rehearsal does not apply.
    """

    hosts: Count = 0
    batches: Count = 1
    replaced: Count = 0
    deleted: Count = 0
    no_return: Count = 0
    opaque_tasks: Count = 0
    rehearsed: bool | None = None
    promotions: Count = 0
    rollbacks: Count = 0
    days_since: Count | None = None
    parity_differences: Count = 0
    drift_differences: Count = 0


@dataclass(frozen=True)
class Factor:
    """One line of the table: at most *most* points, by *points* of the facts; *text* describes them."""

    name: str
    most: int
    rule: str
    points: Callable[[RiskFacts], int]
    text: Callable[[RiskFacts], str]


def _history(facts: RiskFacts) -> int:
    return ceil(15 * facts.rollbacks / facts.promotions) if facts.promotions else 5


def _age_points(facts: RiskFacts) -> int:
    days = facts.days_since
    return 5 if days is None or days > 90 else 3 if days > 30 else 0


def _age_text(facts: RiskFacts) -> str:
    return "never promoted" if facts.days_since is None else f"{counted(facts.days_since, 'day')} ago"


FACTORS: tuple[Factor, ...] = (
    Factor(
        "hosts",
        10,
        "1 for each host, at most 10",
        lambda facts: facts.hosts,
        lambda facts: counted(facts.hosts, "host"),
    ),
    Factor(
        "batches",
        5,
        "5 if more than one host is changed in one batch",
        lambda facts: 5 if facts.hosts > 1 and facts.batches <= 1 else 0,
        lambda facts: "1 batch" if facts.batches == 1 else f"{facts.batches} batches",
    ),
    Factor(
        "replaced resources",
        15,
        "5 for each replaced resource, at most 15",
        lambda facts: 5 * facts.replaced,
        lambda facts: f"{facts.replaced} replaced",
    ),
    Factor(
        "deleted resources",
        20,
        "10 for each deleted resource, at most 20",
        lambda facts: 10 * facts.deleted,
        lambda facts: f"{facts.deleted} deleted",
    ),
    Factor(
        "points of no return",
        30,
        "30 if there is any",
        lambda facts: 30 if facts.no_return else 0,
        lambda facts: counted(facts.no_return, "step"),
    ),
    Factor(
        "tasks without a prediction",
        10,
        "1 for each task that check mode could not predict, at most 10",
        lambda facts: facts.opaque_tasks,
        lambda facts: counted(facts.opaque_tasks, "task"),
    ),
    Factor(
        "rehearsal",
        10,
        "10 without a rehearsal of the rollback, where one applies",
        lambda facts: 10 if facts.rehearsed is False else 0,
        lambda facts: "does not apply" if facts.rehearsed is None else "rehearsed" if facts.rehearsed else "missing",
    ),
    Factor(
        "rollbacks of this package",
        15,
        "15 × rollbacks / promotions in this environment, rounded up; 5 without a promotion",
        _history,
        lambda facts: f"{facts.rollbacks} of {counted(facts.promotions, 'promotion')}",
    ),
    Factor(
        "time since the last promotion",
        5,
        "3 after 30 days, 5 after 90 days or without a promotion",
        _age_points,
        _age_text,
    ),
    Factor(
        "parity",
        10,
        "2 for each difference from the previous environment, at most 10",
        lambda facts: 2 * facts.parity_differences,
        lambda facts: counted(facts.parity_differences, "difference"),
    ),
    Factor(
        "drift",
        15,
        "5 for each difference since the last release, at most 15",
        lambda facts: 5 * facts.drift_differences,
        lambda facts: counted(facts.drift_differences, "difference"),
    ),
)
"""Every factor of the risk. The documentation prints this table."""


class RiskLine(Model):
    """The *points* of one factor of at most *most*, and the facts that they come from."""

    factor: str
    points: int
    most: int
    text: str

    def __str__(self) -> str:
        return f"{self.factor}: {self.text} → {self.points} of {self.most}"


class RaisedRisk(Model):
    """A level that a user set by hand, with a reason."""

    level: Level
    by: str
    reason: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Risk(Model):
    """A risk with its arithmetic. *level* is that of the score, or the higher one that was set by hand."""

    score: int
    lines: tuple[RiskLine, ...]
    raised: RaisedRisk | None = None

    @property
    def level(self) -> Level:
        """The level that counts."""
        order = list(Level)
        computed = level_of(self.score)
        return max(computed, self.raised.level, key=order.index) if self.raised else computed

    @property
    def arithmetic(self) -> str:
        """The sum, as shown: `10 + 5 = 15 (low)`."""
        parts = [str(line.points) for line in self.lines if line.points] or ["0"]
        whole = sum(line.points for line in self.lines)
        capped = f", at most {MAX_SCORE}" if whole > MAX_SCORE else ""
        by = f", set to {self.raised.level} by {self.raised.by}: {self.raised.reason}" if self.raised else ""
        return f"{' + '.join(parts)} = {whole}{capped} ({level_of(self.score)}{by})"


def assess(facts: RiskFacts) -> Risk:
    """The risk by *facts*."""
    lines = tuple(
        RiskLine(factor=f.name, points=min(f.most, f.points(facts)), most=f.most, text=f.text(facts)) for f in FACTORS
    )
    return Risk(score=min(MAX_SCORE, sum(line.points for line in lines)), lines=lines)


def raise_risk(risk: Risk, to: Level, by: str, reason: str) -> Risk:
    """*risk* with the level *to*, set by hand. Raises `ValueError` for a level that is not higher."""
    if list(Level).index(to) <= list(Level).index(risk.level):
        raise ValueError(f"the risk is {risk.level}, and can be raised only")
    return risk.model_copy(update={"raised": RaisedRisk(level=to, by=by, reason=reason)})
