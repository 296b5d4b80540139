"""The conditions of a promotion: each with its state, the reason, who can change it, and when it will be over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestrator.domain.calendar.verdict import Cause
from orchestrator.domain.moments import moment_text


class ConditionKind(StrEnum):
    """Every condition, in the order in which they are shown."""

    REQUEST = "request"
    """The request has not ended. The only condition of one that has."""
    RIGHT = "right"
    PATH = "path"
    """The release was verified in the previous environment, long enough ago."""
    ROLLED_BACK = "rolled-back"
    SUPERSEDED = "superseded"
    REHEARSAL = "rehearsal"
    PLAN = "plan"
    APPROVAL = "approval"
    SEPARATION = "separation"
    REVIEW = "review"
    """No review of an emergency is overdue."""
    START_TIME = "start-time"
    LINE = "line"
    """The line is not stopped."""
    FREEZE = "freeze"
    """No freeze and no holiday closes the environment."""
    WINDOW = "window"
    BOOKING = "booking"
    FIT = "fit"
    """It would end before the environment closes."""
    LEASE = "lease"


class ConditionState(StrEnum):
    """Whether a condition holds."""

    MET = "met"
    WARNING = "warning"
    """It holds, with something to know."""
    WAITING = "waiting"
    """It does not hold, and can hold later for the same request."""
    REFUSED = "refused"
    """It does not hold, and time or votes alone do not change that."""


CODES: dict[ConditionKind, str] = {
    ConditionKind.REQUEST: "A206",
    ConditionKind.RIGHT: "A101",
    ConditionKind.PATH: "R105",
    ConditionKind.ROLLED_BACK: "R203",
    ConditionKind.SUPERSEDED: "A222",
    ConditionKind.REHEARSAL: "R186",
    ConditionKind.PLAN: "A224",
    ConditionKind.APPROVAL: "A201",
    ConditionKind.SEPARATION: "A202",
    ConditionKind.REVIEW: "A203",
    ConditionKind.START_TIME: "A225",
    ConditionKind.LINE: "A301",
    ConditionKind.FREEZE: "A301",
    ConditionKind.WINDOW: "A301",
    ConditionKind.BOOKING: "A301",
    ConditionKind.FIT: "A302",
    ConditionKind.LEASE: "S101",
}
"""The error code of a refusal, by condition."""
TOO_EARLY = "A220"
"""The code of a release that was verified in the previous environment, and not long enough ago."""
CALENDAR = (ConditionKind.LINE, ConditionKind.FREEZE, ConditionKind.WINDOW, ConditionKind.BOOKING)
"""The conditions of the calendar."""


@dataclass(frozen=True)
class Condition:
    """One condition with its *state*. *reason* is one phrase.

    *who* are the users who can change it. *until* is when it will be over, None if that is not known or does not apply.
    *command* is what changes it. *causes* are those of a condition of the calendar.
    """

    kind: ConditionKind
    state: ConditionState
    reason: str
    who: tuple[str, ...] = ()
    until: datetime | None = None
    command: str = ""
    causes: tuple[Cause, ...] = ()

    @property
    def is_met(self) -> bool:
        """Whether the condition does not prevent a start."""
        return self.state in {ConditionState.MET, ConditionState.WARNING}

    @property
    def code(self) -> str:
        """The error code of a refusal by this condition."""
        early = self.kind is ConditionKind.PATH and self.state is ConditionState.WAITING
        return TOO_EARLY if early else CODES[self.kind]

    def to_json(self) -> dict[str, Any]:
        """The condition as data for documents."""
        return {
            "condition": self.kind.value,
            "state": self.state.value,
            "reason": self.reason,
            "who": list(self.who),
            "until": moment_text(self.until) if self.until else None,
            "command": self.command or None,
            "code": None if self.is_met else self.code,
        }


@dataclass(frozen=True)
class Admission:
    """All *conditions* of a promotion, in the order in which they are shown.

    *opens* is the first moment at which nothing in the calendar closes the environment; None if it is open, or if that
    is not known.
    """

    conditions: tuple[Condition, ...]
    opens: datetime | None = None

    @property
    def may_start(self) -> bool:
        """Whether every condition is met."""
        return all(condition.is_met for condition in self.conditions)

    @property
    def is_refused(self) -> bool:
        """Whether a condition does not hold that waiting does not change."""
        return any(condition.state is ConditionState.REFUSED for condition in self.conditions)

    @property
    def missing(self) -> tuple[Condition, ...]:
        """The conditions that are not met, the refused ones first."""
        found = [condition for condition in self.conditions if not condition.is_met]
        return tuple(sorted(found, key=lambda condition: condition.state is not ConditionState.REFUSED))

    @property
    def until(self) -> datetime | None:
        """The moment before which it cannot start; None if a missing condition has no known end."""
        ends = [condition.until for condition in self.missing]
        ends += [self.opens] if self.opens is not None else []
        return None if not ends or None in ends else max(end for end in ends if end is not None)

    def to_json(self) -> dict[str, Any]:
        """The admission as data for documents."""
        return {
            "may_start": self.may_start,
            "refused": self.is_refused,
            "until": moment_text(self.until) if self.until else None,
            "conditions": [condition.to_json() for condition in self.conditions],
        }


def merged_admission(found: Mapping[str, Admission]) -> Admission:
    """The conditions of several environments as one admission: of each kind the worst state, with its environments."""
    conditions = []
    for kind in ConditionKind:
        mine = [(name, each) for name, admission in found.items() for each in admission.conditions if each.kind is kind]
        if mine:
            worst = max((each.state for _, each in mine), key=list(ConditionState).index)
            conditions.append(_joined([(name, each) for name, each in mine if each.state is worst]))
    opens = [admission.opens for admission in found.values() if admission.opens is not None]
    return Admission(tuple(conditions), max(opens, default=None))


def _joined(found: Sequence[tuple[str, Condition]]) -> Condition:
    first = found[0][1]
    reasons = {each.reason: [name for name, other in found if other.reason == each.reason] for _, each in found}
    texts = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    ends = [each.until for _, each in found]
    return replace(
        first,
        reason=first.reason if len(reasons) == 1 else "; ".join(texts),
        who=tuple(dict.fromkeys(name for _, each in found for name in each.who)),
        until=None if None in ends else max(end for end in ends if end is not None),
    )
