"""The states of a change request.

    draft ─▶ assessing ─▶ accepted ⇄ planned ⇄ released ─▶ closed
                │  ▲
                ▼  │
              deferred

A draft changes freely, every other request only by the events of this table. A request that is *planned* is in a
release. The start of its work is a state of that release.
"""

from enum import StrEnum

from orchestrator.management.state_table import StateTable


class ChangeState(StrEnum):
    """The state of a change request."""

    DRAFT = "draft"
    ASSESSING = "assessing"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    PLANNED = "planned"
    RELEASED = "released"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


class ChangeEvent(StrEnum):
    """What changes the state of a change request."""

    SUBMIT = "submit"
    REVISE = "revise"
    """It is a draft again, which changes freely."""
    ACCEPT = "accept"
    REJECT = "reject"
    DEFER = "defer"
    REOPEN = "reopen"
    WITHDRAW = "withdraw"
    PLAN = "plan"
    """It is added to the scope of a release."""
    UNPLAN = "unplan"
    """The release does not contain it any more."""
    RELEASE = "release"
    ROLL_BACK = "roll back"
    CLOSE = "close"
    RESOLVE = "resolve"
    """What it is about no longer exists: the system closes it."""


_S, _E = ChangeState, ChangeEvent
_ENDS = {_E.WITHDRAW: _S.WITHDRAWN, _E.RESOLVE: _S.CLOSED}
CHANGE_REQUEST_TABLE = StateTable(
    "change request",
    _S.DRAFT,
    {
        _S.DRAFT: {_E.SUBMIT: _S.ASSESSING, **_ENDS},
        _S.ASSESSING: {
            _E.ACCEPT: _S.ACCEPTED,
            _E.REJECT: _S.REJECTED,
            _E.DEFER: _S.DEFERRED,
            _E.REVISE: _S.DRAFT,
            **_ENDS,
        },
        _S.DEFERRED: {_E.REOPEN: _S.ASSESSING, **_ENDS},
        _S.ACCEPTED: {_E.PLAN: _S.PLANNED, _E.DEFER: _S.DEFERRED, **_ENDS},
        _S.PLANNED: {_E.RELEASE: _S.RELEASED, _E.UNPLAN: _S.ACCEPTED},
        _S.RELEASED: {_E.CLOSE: _S.CLOSED, _E.RESOLVE: _S.CLOSED, _E.ROLL_BACK: _S.PLANNED},
        _S.REJECTED: {},
        _S.CLOSED: {},
        _S.WITHDRAWN: {},
    },
)
OPEN_STATES = tuple(state for state in ChangeState if state not in CHANGE_REQUEST_TABLE.ends)
