"""The closed list of actions, and the built-in roles that are made of them."""

from enum import StrEnum


class Action(StrEnum):
    """What an actor can have the right to do. Every use case needs exactly one of these."""

    VIEW = "view"
    READ_SECRETS = "secrets:read"
    READ_AUDIT = "audit:read"
    EXPORT_AUDIT = "audit:export"
    EXPLAIN_AUDIT = "audit:explain"
    BUILD = "package:build"
    PLAN = "plan"
    PROMOTE = "promote"
    PROMOTE_EMERGENCY = "promote:emergency"
    ROLL_BACK = "rollback"
    REHEARSE = "rehearse"
    CONTROL_RUN = "run:control"
    APPROVE = "approve"
    RAISE_RISK = "risk:raise"
    OBSERVE = "environment:observe"
    ACCEPT = "environment:accept"
    LOCK = "environment:lock"
    CHANGE_INFRASTRUCTURE = "environment:change"
    DESTROY = "environment:destroy"
    EDIT_CALENDAR = "calendar:edit"
    OVERRIDE_CALENDAR = "calendar:override"
    OVERRUN = "calendar:overrun"
    STOP_LINE = "line:stop"
    RESUME_LINE = "line:resume"
    BOOK = "environment:book"
    MANAGE_BOOKINGS = "bookings:manage"
    EDIT_REQUESTS = "change-request:edit"
    DECIDE_REQUESTS = "change-request:decide"
    PLAN_RELEASES = "release:plan"
    RUN_IMPLEMENTATIONS = "implementation:run"
    MANAGE_TRAINS = "train:manage"
    MANAGE_PEOPLE = "people:manage"
    MANAGE_ACCESS = "access:manage"
    MANAGE_TOKENS = "tokens:manage"
    MANAGE_KEYS = "keys:manage"
    BACK_UP = "project:backup"
    RESTORE = "project:restore"
    PUSH_DEFINITION = "project:push"
    RUN_WORKER = "worker:run"


_A = Action
READING = frozenset({_A.VIEW, _A.READ_SECRETS, _A.READ_AUDIT, _A.EXPORT_AUDIT})
"""The actions that change nothing."""

OWN = frozenset({_A.MANAGE_TOKENS, _A.MANAGE_PEOPLE})
"""The actions that every user has for what is their own: their tokens and their absences."""

SYSTEM = frozenset(
    {
        _A.VIEW,
        _A.PROMOTE,
        _A.ROLL_BACK,
        _A.OBSERVE,
        _A.RUN_WORKER,
        _A.DESTROY,
        _A.DECIDE_REQUESTS,
        _A.BOOK,
        _A.MANAGE_BOOKINGS,
        _A.PLAN_RELEASES,
        _A.RUN_IMPLEMENTATIONS,
        _A.MANAGE_TRAINS,
    }
)
"""What the system itself does: start approved and automatic promotions, expire requests, roll back, observe, rank,
destroy what a promotion made for itself, end bookings, let planned releases follow their runs,
advance implementation plans, and drive release trains."""

_VIEWER = frozenset({_A.VIEW})
_OPERATOR = _VIEWER | {
    _A.PLAN,
    _A.ROLL_BACK,
    _A.REHEARSE,
    _A.CONTROL_RUN,
    _A.OBSERVE,
    _A.ACCEPT,
    _A.LOCK,
    _A.STOP_LINE,
    _A.EDIT_REQUESTS,
    _A.BOOK,
    _A.RUN_WORKER,
}
BUILT_IN: dict[str, frozenset[Action]] = {
    "viewer": _VIEWER,
    "auditor": _VIEWER | {_A.READ_AUDIT, _A.EXPORT_AUDIT},
    "operator": _OPERATOR,
    "release-manager": _OPERATOR
    | {
        _A.BUILD,
        _A.PROMOTE,
        _A.PROMOTE_EMERGENCY,
        _A.RAISE_RISK,
        _A.EDIT_CALENDAR,
        _A.OVERRIDE_CALENDAR,
        _A.OVERRUN,
        _A.RESUME_LINE,
        _A.DECIDE_REQUESTS,
        _A.MANAGE_BOOKINGS,
        _A.PLAN_RELEASES,
        _A.RUN_IMPLEMENTATIONS,
        _A.MANAGE_TRAINS,
    },
    "approver": _VIEWER | {_A.PLAN, _A.APPROVE, _A.RAISE_RISK, _A.EDIT_REQUESTS},
    "platform-engineer": _VIEWER
    | {
        _A.READ_SECRETS,
        _A.BUILD,
        _A.PLAN,
        _A.OBSERVE,
        _A.LOCK,
        _A.CHANGE_INFRASTRUCTURE,
        _A.DESTROY,
        _A.MANAGE_KEYS,
        _A.BACK_UP,
        _A.RESTORE,
        _A.PUSH_DEFINITION,
        _A.EDIT_REQUESTS,
        _A.BOOK,
        _A.RUN_WORKER,
    },
    "administrator": _VIEWER | {_A.READ_AUDIT, _A.EXPLAIN_AUDIT, _A.MANAGE_PEOPLE, _A.MANAGE_ACCESS, _A.MANAGE_TOKENS},
}
"""The built-in roles. An administrator does not promote or approve; an auditor changes nothing."""

ADMINISTRATOR = "administrator"

JOB_ACTIONS = (_A.VIEW, _A.BUILD, _A.PLAN, _A.PROMOTE, _A.REHEARSE, _A.CONTROL_RUN, _A.OBSERVE, _A.RUN_WORKER)
"""What the token of a CI job is for, unless the service account defines it: to request and promote, not to approve.
"""
