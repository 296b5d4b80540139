"""The states of a booking.

    requested ─▶ confirmed ─▶ active ─▶ completed
        │            ▲  │
        ▼            │  └──▶ expired, cancelled
      waiting ───────┘

The first promotion of the holder is the check-in. A booking that is not used within its grace time *expires*, and one
that *waits* is confirmed when its time becomes free.
"""

from enum import StrEnum

from orchestrator.management.state_table import StateTable


class BookingState(StrEnum):
    """The state of a booking."""

    REQUESTED = "requested"
    WAITING = "waiting"
    CONFIRMED = "confirmed"
    ACTIVE = "active"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class BookingEvent(StrEnum):
    """What changes the state of a booking."""

    CONFIRM = "confirm"
    WAIT = "wait"
    CHECK_IN = "check in"
    HAND_OVER = "hand over"
    EXTEND = "extend"
    EXPIRE = "expire"
    CANCEL = "cancel"
    END = "end"


_S, _E = BookingState, BookingEvent
BOOKING_TABLE = StateTable(
    "booking",
    _S.REQUESTED,
    {
        _S.REQUESTED: {_E.CONFIRM: _S.CONFIRMED, _E.WAIT: _S.WAITING},
        _S.WAITING: {_E.CONFIRM: _S.CONFIRMED, _E.EXPIRE: _S.EXPIRED, _E.CANCEL: _S.CANCELLED},
        _S.CONFIRMED: {
            _E.CHECK_IN: _S.ACTIVE,
            _E.HAND_OVER: _S.CONFIRMED,
            _E.EXTEND: _S.CONFIRMED,
            _E.EXPIRE: _S.EXPIRED,
            _E.CANCEL: _S.CANCELLED,
        },
        _S.ACTIVE: {_E.HAND_OVER: _S.ACTIVE, _E.EXTEND: _S.ACTIVE, _E.END: _S.COMPLETED},
        _S.COMPLETED: {},
        _S.EXPIRED: {},
        _S.CANCELLED: {},
    },
)
HOLDING = frozenset({_S.CONFIRMED, _S.ACTIVE})
"""The states in which a booking keeps others out."""
