"""The states of a release train, of each package aboard, and of each run that the train follows.

    train:    boarding ─▶ closed ─▶ departed ─▶ arrived
                 │           │          │
                 ├───────────┤          └─▶ rolling-back ─▶ rolled-back
                 ▼           ▼                   │
              on-hold    cancelled               └─▶ needs-intervention

Membership is resolved by the event *depart*, once. No event after it adds a package.
"""

from enum import StrEnum

from orchestrator.management.state_table import StateTable


class TrainState(StrEnum):
    """The state of a release train."""

    BOARDING = "boarding"
    CLOSED = "closed"
    ON_HOLD = "on-hold"
    DEPARTED = "departed"
    ROLLING_BACK = "rolling-back"
    ARRIVED = "arrived"
    ROLLED_BACK = "rolled-back"
    NEEDS_INTERVENTION = "needs-intervention"
    CANCELLED = "cancelled"


class TrainEvent(StrEnum):
    """What changes a release train."""

    EDIT = "edit"
    BOARD = "board"
    BOARD_LATE = "board late"
    LEAVE = "leave"
    CLOSE = "close boarding"
    HOLD = "hold"
    RESUME = "resume"
    CANCEL = "cancel"
    DEPART = "depart"
    FOLLOW = "follow"
    """A run of the train was started, is followed, or has ended."""
    REACH = "reach stop"
    ARRIVE = "arrive"
    FAIL = "fail"
    COMPLETE_ROLLBACK = "complete rollback"
    GIVE_UP = "give up"
    RESOLVE = "resolve"


class BoardingState(StrEnum):
    """The state of a package aboard."""

    BOARDED = "boarded"
    WITHDRAWN = "withdrawn"
    STAYED = "stayed"
    DEPARTED = "departed"
    ARRIVED = "arrived"
    ROLLED_BACK = "rolled-back"


class BoardingEvent(StrEnum):
    """What changes a package aboard."""

    BOARD = "board"
    LEAVE = "leave"
    STAY = "stay"
    DEPART = "depart"
    ARRIVE = "arrive"
    ROLL_BACK = "roll back"


class TrainRunState(StrEnum):
    """The state of a run that a train follows."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NEEDS_HELP = "needs-help"


class TrainRunEvent(StrEnum):
    """What changes a run that a train follows."""

    FOLLOW = "follow"
    SUCCEED = "succeed"
    FAIL = "fail"
    REQUEST_HELP = "request help"


_S, _E = TrainState, TrainEvent
TRAIN_TABLE = StateTable(
    "train",
    _S.BOARDING,
    {
        _S.BOARDING: {
            _E.EDIT: _S.BOARDING,
            _E.BOARD: _S.BOARDING,
            _E.LEAVE: _S.BOARDING,
            _E.CLOSE: _S.CLOSED,
            _E.HOLD: _S.ON_HOLD,
            _E.CANCEL: _S.CANCELLED,
        },
        _S.CLOSED: {
            _E.EDIT: _S.BOARDING,
            _E.BOARD_LATE: _S.CLOSED,
            _E.LEAVE: _S.CLOSED,
            _E.HOLD: _S.ON_HOLD,
            _E.DEPART: _S.DEPARTED,
            _E.CANCEL: _S.CANCELLED,
        },
        _S.ON_HOLD: {_E.EDIT: _S.ON_HOLD, _E.LEAVE: _S.ON_HOLD, _E.RESUME: _S.BOARDING, _E.CANCEL: _S.CANCELLED},
        _S.DEPARTED: {
            _E.FOLLOW: _S.DEPARTED,
            _E.REACH: _S.DEPARTED,
            _E.ARRIVE: _S.ARRIVED,
            _E.FAIL: _S.ROLLING_BACK,
        },
        _S.ROLLING_BACK: {
            _E.FOLLOW: _S.ROLLING_BACK,
            _E.COMPLETE_ROLLBACK: _S.ROLLED_BACK,
            _E.GIVE_UP: _S.NEEDS_INTERVENTION,
        },
        _S.NEEDS_INTERVENTION: {_E.RESOLVE: _S.ROLLED_BACK},
        _S.ARRIVED: {},
        _S.ROLLED_BACK: {},
        _S.CANCELLED: {},
    },
)
_B, _C = BoardingState, BoardingEvent
BOARDING_TABLE = StateTable(
    "package aboard",
    _B.BOARDED,
    {
        _B.BOARDED: {_C.BOARD: _B.BOARDED, _C.LEAVE: _B.WITHDRAWN, _C.STAY: _B.STAYED, _C.DEPART: _B.DEPARTED},
        _B.WITHDRAWN: {_C.BOARD: _B.BOARDED},
        _B.DEPARTED: {_C.ARRIVE: _B.ARRIVED, _C.ROLL_BACK: _B.ROLLED_BACK},
        _B.STAYED: {},
        _B.ARRIVED: {},
        _B.ROLLED_BACK: {},
    },
)
_R, _U = TrainRunState, TrainRunEvent
TRAIN_RUN_TABLE = StateTable(
    "run of a train",
    _R.STARTED,
    {
        _R.STARTED: {
            _U.FOLLOW: _R.STARTED,
            _U.SUCCEED: _R.SUCCEEDED,
            _U.FAIL: _R.FAILED,
            _U.REQUEST_HELP: _R.NEEDS_HELP,
        },
        _R.SUCCEEDED: {},
        _R.FAILED: {},
        _R.NEEDS_HELP: {},
    },
)
ABOARD = frozenset({_B.BOARDED, _B.DEPARTED})
"""The states of packages that are to leave, or on their way."""
