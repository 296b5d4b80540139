"""The states of a run request: one table, from which the diagram in the docs is drawn.

    waiting ⇄ ready ─▶ started ─▶ finished
                 ▲        │
                 └─ held ◀┘

A request is *waiting* while approvals are missing, and *ready* when every quorum is reached. Whether the calendar is
open is not a state: it is computed from the clock whenever it is read. A run that has started is *held* by a freeze or
a stopped line before its first effect. It has released its lease, and everything is checked again before it resumes.

An event that the table does not list for a state is refused with :class:`IllegalRequestMove` and changes nothing.
"""

from enum import StrEnum


class RequestState(StrEnum):
    """The state of a run request."""

    WAITING = "waiting"
    READY = "ready"
    STARTED = "started"
    HELD = "held"
    FINISHED = "finished"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class RequestEvent(StrEnum):
    """What changes the state of a run request."""

    APPROVE = "approve"
    """The last missing approval was given, or none was needed."""
    LAPSE = "lapse"
    """An approval has expired, was withdrawn, or no longer counts."""
    REPLAN = "replan"
    """The plan no longer holds; a new plan needs new votes."""
    REJECT = "reject"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    SUPERSEDE = "supersede"
    START = "start"
    HOLD = "hold"
    FINISH = "finish"


class IllegalRequestMove(RuntimeError):
    """The table does not have this move. *state* and *event* name it."""

    def __init__(self, state: RequestState, event: RequestEvent) -> None:
        allowed = ", ".join(REQUEST_TABLE[state]) or "nothing: it has ended"
        super().__init__(f"a run request that is {state} cannot {event} (it can: {allowed})")
        self.state = state
        self.event = event


_S, _E = RequestState, RequestEvent
_ENDS = {
    _E.REJECT: _S.REJECTED,
    _E.WITHDRAW: _S.WITHDRAWN,
    _E.EXPIRE: _S.EXPIRED,
    _E.SUPERSEDE: _S.SUPERSEDED,
}
REQUEST_TABLE: dict[RequestState, dict[RequestEvent, RequestState]] = {
    _S.WAITING: {_E.APPROVE: _S.READY, _E.REPLAN: _S.WAITING, **_ENDS},
    _S.READY: {_E.START: _S.STARTED, _E.LAPSE: _S.WAITING, _E.REPLAN: _S.WAITING, **_ENDS},
    _S.STARTED: {_E.HOLD: _S.HELD, _E.REPLAN: _S.WAITING, _E.FINISH: _S.FINISHED},
    _S.HELD: {_E.START: _S.STARTED, _E.LAPSE: _S.WAITING, _E.REPLAN: _S.WAITING, **_ENDS},
    _S.FINISHED: {},
    _S.REJECTED: {},
    _S.WITHDRAWN: {},
    _S.EXPIRED: {},
    _S.SUPERSEDED: {},
}

REQUEST_ENDINGS = frozenset(state for state, moves in REQUEST_TABLE.items() if not moves)


def request_move(state: RequestState, event: RequestEvent) -> RequestState:
    """The state after *event*. Raises `IllegalRequestMove` if the table does not have the move."""
    try:
        return REQUEST_TABLE[state][event]
    except KeyError:
        raise IllegalRequestMove(state, event) from None
