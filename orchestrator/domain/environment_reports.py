"""The newest reports of drift and of parity of an environment, kept for all users who may view it."""

from collections.abc import Sequence
from typing import TypeVar

from orchestrator.domain.drift import Drift, Finding
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.domain.parity import KINDS, Parity, ProfileDifference
from orchestrator.domain.text import clean_text, counted

MOST_DIFFERENCES = 100
"""Differences that a report keeps of each list; `drift` and `parity` print all of them."""
LONGEST_TEXT = 300  # characters of each text of a kept difference
T = TypeVar("T")


class DriftReport(Model):
    """What was found of the drift of *environment*, at the time *at* for the actor *by*.

    *run* is the run whose plan needed the check; empty for a check without one. *request* is the change request
    about these differences that was open; empty without one. *found* has at most `MOST_DIFFERENCES` of each list;
    *differences* and *unknown* are how many there were.
    """

    environment: str
    at: Moment
    by: str
    run: str = ""
    request: str = ""
    differences: int
    unknown: int
    found: Drift

    @property
    def is_empty(self) -> bool:
        """Whether everything was checked, and nothing had changed."""
        return not self.differences and not self.unknown

    @property
    def omitted(self) -> int:
        """How many differences it does not have."""
        return self.differences - len(self.found.findings)

    @property
    def summary(self) -> str:
        """What was found, in a few words."""
        return _summary(self.differences, self.unknown, "no drift")


class ParityReport(Model):
    """What was found of how *environment* and *other* differ, at the time *at* for the actor *by*.

    *run* is as in a `DriftReport`. *kinds* are what was compared. *found* has at most `MOST_DIFFERENCES` of each list;
    *differences* and *unknown* are how many there were.
    """

    environment: str
    other: str
    at: Moment
    by: str
    run: str = ""
    kinds: tuple[str, ...] = KINDS
    differences: int
    unknown: int
    found: Parity

    @property
    def is_empty(self) -> bool:
        """Whether everything was checked, and no differences, other than allowed ones."""
        return not self.differences and not self.unknown

    @property
    def omitted(self) -> int:
        """How many differences it does not have."""
        return self.differences - len(self.found.differences)

    @property
    def summary(self) -> str:
        """What was found, in a few words."""
        return _summary(self.differences, self.unknown, "no differences, other than allowed ones")


class EnvironmentReports(Model):
    """The newest reports of *environment*; each is null before the first check, and for a reader who may not see it."""

    environment: str
    drift: DriftReport | None = None
    parity: ParityReport | None = None


class DriftMark(Model):
    """What the matrix shows of a `DriftReport`: the time, the numbers of differences and unknowns, and the request."""

    at: Moment
    differences: int
    unknown: int
    request: str


def drift_report(found: Drift, at: Moment, by: str, *, run: str = "", request: str = "") -> DriftReport:
    """The report of *found*, within its bounds."""
    kept = found.model_copy(
        update={
            "findings": tuple(map(_short_finding, _first(found.findings))),
            "unknown": _texts(found.unknown),
            "notes": _texts(found.notes),
        }
    )
    numbers = {"differences": len(found.findings), "unknown": len(found.unknown)}
    return DriftReport(environment=found.environment, at=at, by=by, run=run, request=request, found=kept, **numbers)


def parity_reports(
    found: Parity, at: Moment, by: str, *, run: str = "", kinds: tuple[str, ...] = KINDS
) -> tuple[ParityReport, ParityReport]:
    """The report of *found* for each of both environments, within its bounds."""
    kept = found.model_copy(
        update={
            "differences": tuple(map(_short_difference, _first(found.differences))),
            "allowed": tuple(map(_short_difference, _first(found.allowed))),
            "unknown": _texts(found.unknown),
            "unused": _texts(found.unused),
        }
    )

    def report(environment: str, other: str) -> ParityReport:
        numbers = {"differences": len(found.differences), "unknown": len(found.unknown)}
        about = {"at": at, "by": by, "run": run, "kinds": kinds, "found": kept, **numbers}
        return ParityReport.model_validate({"environment": environment, "other": other, **about})

    return report(found.left, found.right), report(found.right, found.left)


def _summary(differences: int, unknown: int, nothing: str) -> str:
    found = counted(differences, "difference") if differences else ""
    return ", ".join(filter(None, (found, f"{unknown} unknown" if unknown else ""))) or nothing


def _first(items: Sequence[T]) -> Sequence[T]:
    return items[:MOST_DIFFERENCES]


def _texts(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(clean_text(text, LONGEST_TEXT) for text in _first(texts))


def _short_finding(item: Finding) -> Finding:
    texts = {"name": item.name, "host": item.host, "what": item.what}
    return item.model_copy(update={name: clean_text(text, LONGEST_TEXT) for name, text in texts.items()})


def _short_difference(item: ProfileDifference) -> ProfileDifference:
    texts = {"name": item.name, "left": item.left, "right": item.right}
    return item.model_copy(update={name: text and clean_text(text, LONGEST_TEXT) for name, text in texts.items()})
