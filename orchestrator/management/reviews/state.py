"""The states of reviews and of their actions.

    review   open ─▶ closed
    action   open ─▶ done
               └───▶ cancelled

A closed review does not change any more. Feedback and actions can still be added to it.
"""

from enum import StrEnum

from orchestrator.management.state_table import StateTable


class ReviewState(StrEnum):
    """The state of a review."""

    OPEN = "open"
    CLOSED = "closed"


class ReviewEvent(StrEnum):
    """What changes the state of a review."""

    CLOSE = "close"


class ActionState(StrEnum):
    """The state of an action."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class ActionEvent(StrEnum):
    """What changes the state of an action."""

    COMPLETE = "complete"
    CANCEL = "cancel"


REVIEW_TABLE = StateTable(
    "review",
    ReviewState.OPEN,
    {ReviewState.OPEN: {ReviewEvent.CLOSE: ReviewState.CLOSED}, ReviewState.CLOSED: {}},
)
ACTION_TABLE = StateTable(
    "action",
    ActionState.OPEN,
    {
        ActionState.OPEN: {ActionEvent.COMPLETE: ActionState.DONE, ActionEvent.CANCEL: ActionState.CANCELLED},
        ActionState.DONE: {},
        ActionState.CANCELLED: {},
    },
)
