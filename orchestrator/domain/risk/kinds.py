"""Kinds of change and levels of risk."""

from enum import StrEnum


class ChangeKind(StrEnum):
    """How a change is approved."""

    STANDARD = "standard"
    """Approved beforehand by a rule of the policy."""
    NORMAL = "normal"
    """Approved by votes before it starts."""
    EMERGENCY = "emergency"
    """Started with a quorum of its own, a reason and the link to an incident; reviewed afterwards."""


class Level(StrEnum):
    """The level of a risk."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


MEDIUM_FROM, HIGH_FROM, MAX_SCORE = 30, 60, 100


def level_of(score: int) -> Level:
    """The level of a *score* from 0 to 100: low below 30, medium below 60, otherwise high."""
    if not 0 <= score <= MAX_SCORE:
        raise ValueError(f"a risk is a number from 0 to {MAX_SCORE}")
    return Level.LOW if score < MEDIUM_FROM else Level.MEDIUM if score < HIGH_FROM else Level.HIGH
