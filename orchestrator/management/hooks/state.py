"""The states of deliveries.

waiting ─▶ building ─▶ built ─▶ completed
   ├──────────┴──────────┴────▶ failed
   └──────────────────────────▶ completed

What is refused or ignored ends at once.
"""

from enum import StrEnum

from orchestrator.management.state_table import StateTable


class DeliveryState(StrEnum):
    """The state of a delivery."""

    WAITING = "waiting"
    BUILDING = "building"
    BUILT = "built"
    COMPLETED = "completed"
    FAILED = "failed"
    IGNORED = "ignored"
    REFUSED = "refused"


class DeliveryEvent(StrEnum):
    """What changes the state of a delivery."""

    BUILD = "build"
    FINISH_BUILD = "finish-build"
    COMPLETE = "complete"
    FAIL = "fail"
    IGNORE = "ignore"
    REFUSE = "refuse"


_S, _E = DeliveryState, DeliveryEvent
DELIVERY_TABLE = StateTable(
    "delivery",
    _S.WAITING,
    {
        _S.WAITING: {
            _E.BUILD: _S.BUILDING,
            _E.COMPLETE: _S.COMPLETED,
            _E.FAIL: _S.FAILED,
            _E.IGNORE: _S.IGNORED,
            _E.REFUSE: _S.REFUSED,
        },
        _S.BUILDING: {
            _E.BUILD: _S.BUILDING,
            _E.FINISH_BUILD: _S.BUILT,
            _E.COMPLETE: _S.COMPLETED,
            _E.FAIL: _S.FAILED,
        },
        _S.BUILT: {_E.COMPLETE: _S.COMPLETED, _E.FAIL: _S.FAILED},
        _S.COMPLETED: {},
        _S.FAILED: {},
        _S.IGNORED: {},
        _S.REFUSED: {},
    },
)
