"""The risk of a change request, from 1 to 5: the sum of the factors in one table, by facts of the journal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from orchestrator.domain.model import Model
from orchestrator.domain.risk.assessment import RiskLine
from orchestrator.domain.text import counted, few

Count = Annotated[int, Field(ge=0)]
NEWEST = 20
"""How many of the newest promotions of a package count."""
OFTEN = 0.1
"""The part of rollbacks from which they are frequent."""
LONG_S = 1800.0
"""The seconds from which a rehearsed rollback takes long."""
LOWEST, HIGHEST = 1, 5


class PackageFacts(Model):
    """What the journal has of a *package*.

    *rollbacks* of its newest *promotions* into the target environments. *rehearsed_s* is how long its newest rehearsed
    rollback took; None if none was rehearsed.
    """

    package: str
    promotions: Count = 0
    rollbacks: Count = 0
    rehearsed_s: float | None = None

    @property
    def is_frequent(self) -> bool:
        """Whether promotions of the package are often rolled back."""
        return self.promotions > 0 and self.rollbacks / self.promotions > OFTEN


class ChangeFacts(Model):
    """What the risk of a change request is computed from.

    *drifting* are the target environments with hosts that do not run the release that was verified there last.
    """

    packages: tuple[PackageFacts, ...] = ()
    drifting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Factor:
    """One line of the table: at most *most*, by *points* of the facts; *text* describes them, *rule* the line."""

    name: str
    most: int
    rule: str
    points: Callable[[ChangeFacts], int]
    text: Callable[[ChangeFacts], str]


def _history(facts: ChangeFacts) -> int:
    if any(package.is_frequent for package in facts.packages):
        return 2
    unknown = not facts.packages or any(package.promotions == 0 for package in facts.packages)
    return 1 if unknown or any(package.rollbacks for package in facts.packages) else 0


def _history_text(facts: ChangeFacts) -> str:
    each = [f"{p.package} {p.rollbacks} of {counted(p.promotions, 'promotion')}" for p in facts.packages]
    return ", ".join(each) or "no package is named"


def _rehearsal(facts: ChangeFacts) -> int:
    times = [package.rehearsed_s for package in facts.packages]
    return 0 if times and all(time is not None and time <= LONG_S for time in times) else 1


def _rehearsal_text(facts: ChangeFacts) -> str:
    each = [f"{p.package} {_minutes(p.rehearsed_s)}" for p in facts.packages]
    return ", ".join(each) or "no package is named"


def _minutes(seconds: float | None) -> str:
    return "was not rehearsed" if seconds is None else f"{seconds / 60:.0f} min"


FACTORS: tuple[Factor, ...] = (
    Factor("change", 1, "1 for each change", lambda _facts: 1, lambda _facts: "every change"),
    Factor(
        "rollbacks of its packages",
        2,
        f"2 if more than {OFTEN:.0%} of the newest {NEWEST} promotions of a package were rolled back, 1 if any was or "
        "there was no promotion",
        _history,
        _history_text,
    ),
    Factor(
        "rehearsed rollback",
        1,
        f"1 if the rollback of a package was not rehearsed, or took longer than {LONG_S / 60:.0f} minutes",
        _rehearsal,
        _rehearsal_text,
    ),
    Factor(
        "drift",
        1,
        "1 if hosts of a target environment do not run the release that was verified there last",
        lambda facts: 1 if facts.drifting else 0,
        lambda facts: few(facts.drifting) if facts.drifting else "none",
    ),
)
"""Every factor of the risk of a change request. The documentation prints this table."""


class ChangeRisk(Model):
    """A risk from 1 to 5 with its lines."""

    risk: int = Field(ge=LOWEST, le=HIGHEST)
    lines: tuple[RiskLine, ...]

    @property
    def arithmetic(self) -> str:
        """The sum, as shown: `1 + 2 = 3`."""
        return f"{' + '.join(str(line.points) for line in self.lines if line.points)} = {self.risk}"


def change_risk(facts: ChangeFacts) -> ChangeRisk:
    """The risk by *facts*."""
    lines = tuple(
        RiskLine(factor=f.name, points=min(f.most, f.points(facts)), most=f.most, text=f.text(facts)) for f in FACTORS
    )
    return ChangeRisk(risk=sum(line.points for line in lines), lines=lines)
