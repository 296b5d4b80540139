"""The states of a planned release.

    draft ─▶ scheduled ─▶ in-progress ─▶ released ─▶ closed
                            ▲  │  │          │
                            │  │  ▼          ▼
                            │  │  rolled-back
                            ▼  ▼
                            on-hold

A *draft* changes freely. A *scheduled* one has its environments booked. The runs of its packages start it, release it
and roll it back. Nothing is removed: a plan that is given up is *cancelled*.
"""

from enum import StrEnum

from orchestrator.management.state_table import StateTable


class ReleaseState(StrEnum):
    """The state of a planned release."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    ROLLED_BACK = "rolled-back"
    RELEASED = "released"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class ReleaseEvent(StrEnum):
    """What changes the state of a planned release."""

    CONFIRM = "confirm"
    REPLAN = "replan"
    FREEZE = "freeze"
    START = "start"
    HOLD = "hold"
    RESUME = "resume"
    RELEASE = "release"
    ROLL_BACK = "roll back"
    CANCEL = "cancel"
    CLOSE = "close"


_S, _E = ReleaseState, ReleaseEvent
PLANNED_RELEASE_TABLE = StateTable(
    "planned release",
    _S.DRAFT,
    {
        _S.DRAFT: {_E.CONFIRM: _S.SCHEDULED, _E.CANCEL: _S.CANCELLED},
        _S.SCHEDULED: {
            _E.REPLAN: _S.SCHEDULED,
            _E.FREEZE: _S.SCHEDULED,
            _E.START: _S.IN_PROGRESS,
            _E.CANCEL: _S.CANCELLED,
        },
        _S.IN_PROGRESS: {
            _E.REPLAN: _S.IN_PROGRESS,
            _E.FREEZE: _S.IN_PROGRESS,
            _E.HOLD: _S.ON_HOLD,
            _E.RELEASE: _S.RELEASED,
            _E.ROLL_BACK: _S.ROLLED_BACK,
            _E.CANCEL: _S.CANCELLED,
        },
        _S.ON_HOLD: {_E.REPLAN: _S.ON_HOLD, _E.RESUME: _S.IN_PROGRESS, _E.CANCEL: _S.CANCELLED},
        _S.ROLLED_BACK: {_E.REPLAN: _S.ROLLED_BACK, _E.RESUME: _S.IN_PROGRESS, _E.CANCEL: _S.CANCELLED},
        _S.RELEASED: {_E.ROLL_BACK: _S.ROLLED_BACK, _E.CLOSE: _S.CLOSED},
        _S.CLOSED: {},
        _S.CANCELLED: {},
    },
)
CHANGEABLE = frozenset(state for state in _S if _E.REPLAN in PLANNED_RELEASE_TABLE.moves[state]) | {_S.DRAFT}
"""The states in which phases and the scope change."""
AWAITING = frozenset({_S.SCHEDULED, _S.IN_PROGRESS, _S.ON_HOLD})
"""The states in which packages of the release are not promoted before its phase deploy."""
PASSING = frozenset({_S.SCHEDULED, _S.IN_PROGRESS})
"""The states in which packages of the release pass its bookings."""
