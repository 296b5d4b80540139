"""Why a package stays, or waits at a stop: a closed list."""

from enum import StrEnum

from orchestrator.domain.admission.conditions import ConditionKind
from orchestrator.domain.calendar.verdict import Cause


class StayReason(StrEnum):
    """Why a package of a train does not leave, or waits at a stop."""

    NOT_KEPT = "package-not-kept"
    NOT_DECLARED = "stop-not-declared"
    """Its release declares none of the environments of a stop."""
    ALREADY_DEPLOYED = "already-deployed"
    """It runs, verified, in every environment of the train."""
    DEPENDENCY = "dependency-stays"
    """A package that it comes after stays, or is not aboard and not deployed."""
    IRREVERSIBLE = "irreversible-step"
    NO_PREVIOUS = "no-previous-release"
    """The last stop has no release to which it could be rolled back."""
    SHARED_UNDO = "undo-in-shared-environment"
    RIGHT = "right-missing"
    NOT_VERIFIED = "not-verified-before"
    ROLLED_BACK = "rolled-back-there"
    SUPERSEDED = "superseded"
    REHEARSAL = "rehearsal-missing"
    APPROVAL = "approval-missing"
    SEPARATION = "identities-not-separate"
    REVIEW = "review-overdue"
    LINE_STOPPED = "line-stopped"
    FREEZE = "freeze"
    WINDOW = "outside-windows"
    BOOKED = "booked"
    IN_USE = "environment-in-use"
    PLANNED = "planned-later"
    """A planned release brings it into the environment later."""
    TOO_EARLY = "verified-too-recently"
    """The environment requires more time since the package was verified in the previous one."""
    REQUIREMENTS = "requirements-not-met"
    APPROVERS = "approvers-absent"


OF_CONDITION: dict[ConditionKind, StayReason] = {
    ConditionKind.RIGHT: StayReason.RIGHT,
    ConditionKind.PATH: StayReason.NOT_VERIFIED,
    ConditionKind.ROLLED_BACK: StayReason.ROLLED_BACK,
    ConditionKind.SUPERSEDED: StayReason.SUPERSEDED,
    ConditionKind.REHEARSAL: StayReason.REHEARSAL,
    ConditionKind.APPROVAL: StayReason.APPROVAL,
    ConditionKind.SEPARATION: StayReason.SEPARATION,
    ConditionKind.REVIEW: StayReason.REVIEW,
    ConditionKind.LINE: StayReason.LINE_STOPPED,
    ConditionKind.FREEZE: StayReason.FREEZE,
    ConditionKind.WINDOW: StayReason.WINDOW,
    ConditionKind.BOOKING: StayReason.BOOKED,
    ConditionKind.LEASE: StayReason.IN_USE,
}
"""The reason that a missing condition of a promotion is. The other conditions are decided when a promotion starts."""
OF_CAUSE: dict[Cause, StayReason] = {Cause.PLANNED_LATER: StayReason.PLANNED}
"""The reason that a cause of a closing is, where that is not the one of its condition."""
WAITED_FOR = frozenset({StayReason.APPROVAL, StayReason.APPROVERS, StayReason.IN_USE})
"""What a train waits for at any stop: votes, and its turn."""
CLOSED = frozenset(
    {
        StayReason.REVIEW,
        StayReason.LINE_STOPPED,
        StayReason.FREEZE,
        StayReason.WINDOW,
        StayReason.BOOKED,
        StayReason.PLANNED,
        StayReason.TOO_EARLY,
    }
)
"""What closes an environment to a package for a time.

A train does not wait for it at its first stop; at later stops it does.
"""
