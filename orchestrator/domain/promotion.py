"""The life of a promotion: one table, from which the diagram in the docs is drawn.

    requested ─▶ planning ─▶ building ─▶ provisioning ─▶ deploying ⇄ verifying
                                                              └─▶ promoting ─▶ watching ─▶ closing ─▶ succeeded

Two rules. A failure before the first effect ends in *failed*, and nothing was changed. A failure after it goes
through *halting*, and ends either in *rolled back* or in *needs intervention*; never in anything that could be taken
for either. What fails while closing does not undo a release that has been verified: it needs manual intervention.

A run that only brings an environment up to date, or destroys it, goes from *planning* to *provisioning* and ends
after it. One that only queries hosts ends after *planning*. The run of a promotion in waves is *in waves* until
it ends: its environments have runs of their own. It is *held* when later waves were not started and earlier ones stay.

An event that the table does not list for a state is refused with :class:`IllegalMove` and changes nothing.
*Interrupted* is not a state: a run is interrupted if it has not ended and no process is working on it.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a promotion is. The order is that of the story, and is used for nothing else."""

    REQUESTED = "requested"
    PLANNING = "planning"
    BUILDING = "building"
    PROVISIONING = "provisioning"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    PROMOTING = "promoting"
    WATCHING = "watching"
    CLOSING = "closing"
    HALTING = "halting"
    UNDOING = "undoing"
    RESTORING = "restoring"
    VERIFYING_ROLLBACK = "verifying rollback"
    IN_WAVES = "in waves"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    NEEDS_INTERVENTION = "needs intervention"
    HELD = "held"


GOING_BACK = frozenset({State.HALTING, State.UNDOING, State.RESTORING, State.VERIFYING_ROLLBACK})
"""The states of a run that restores the previous state of an environment."""


class Event(StrEnum):
    """What moves a promotion: a verb of the flow starts, or something has failed."""

    PLAN = "plan"
    BUILD = "build"
    PROVISION = "provision"
    DEPLOY = "deploy"
    VERIFY = "verify"
    PROMOTE = "promote"
    WATCH = "watch"
    CLOSE = "close"
    FINISH = "finish"
    REFUSE = "refuse"
    HALT = "halt"
    UNDO = "undo"
    RESTORE = "restore"
    VERIFY_ROLLBACK = "verify rollback"
    GIVE_UP = "give up"
    START_WAVES = "start waves"
    HOLD = "hold"
    ROLL_BACK = "roll back"


class IllegalMove(RuntimeError):
    """The table has no such move: a mistake of ours, not of the user."""


_S, _E = State, Event
TABLE: dict[State, dict[Event, State]] = {
    _S.REQUESTED: {_E.PLAN: _S.PLANNING, _E.REFUSE: _S.FAILED, _E.START_WAVES: _S.IN_WAVES},
    _S.PLANNING: {
        _E.BUILD: _S.BUILDING,
        _E.PROVISION: _S.PROVISIONING,
        _E.REFUSE: _S.FAILED,
        _E.FINISH: _S.SUCCEEDED,
    },
    _S.BUILDING: {
        _E.PROVISION: _S.PROVISIONING,
        _E.UNDO: _S.UNDOING,
        _E.REFUSE: _S.FAILED,
    },
    _S.PROVISIONING: {
        _E.DEPLOY: _S.DEPLOYING,
        _E.HALT: _S.HALTING,
        _E.REFUSE: _S.FAILED,
        _E.FINISH: _S.SUCCEEDED,
        _E.GIVE_UP: _S.NEEDS_INTERVENTION,
    },
    _S.DEPLOYING: {_E.VERIFY: _S.VERIFYING, _E.HALT: _S.HALTING, _E.REFUSE: _S.FAILED},
    _S.VERIFYING: {_E.DEPLOY: _S.DEPLOYING, _E.PROMOTE: _S.PROMOTING, _E.HALT: _S.HALTING},
    _S.PROMOTING: {_E.WATCH: _S.WATCHING, _E.CLOSE: _S.CLOSING, _E.HALT: _S.HALTING},
    _S.WATCHING: {_E.CLOSE: _S.CLOSING, _E.HALT: _S.HALTING},
    _S.CLOSING: {_E.FINISH: _S.SUCCEEDED, _E.GIVE_UP: _S.NEEDS_INTERVENTION},
    _S.HALTING: {_E.UNDO: _S.UNDOING, _E.GIVE_UP: _S.NEEDS_INTERVENTION},
    _S.UNDOING: {_E.RESTORE: _S.RESTORING, _E.GIVE_UP: _S.NEEDS_INTERVENTION},
    _S.RESTORING: {_E.VERIFY_ROLLBACK: _S.VERIFYING_ROLLBACK, _E.GIVE_UP: _S.NEEDS_INTERVENTION},
    _S.VERIFYING_ROLLBACK: {_E.FINISH: _S.ROLLED_BACK, _E.GIVE_UP: _S.NEEDS_INTERVENTION},
    _S.IN_WAVES: {
        _E.FINISH: _S.SUCCEEDED,
        _E.HOLD: _S.HELD,
        _E.ROLL_BACK: _S.ROLLED_BACK,
        _E.REFUSE: _S.FAILED,
        _E.GIVE_UP: _S.NEEDS_INTERVENTION,
    },
    _S.SUCCEEDED: {},
    _S.FAILED: {},
    _S.ROLLED_BACK: {},
    _S.NEEDS_INTERVENTION: {},
    _S.HELD: {},
}

ENDINGS = frozenset(state for state, moves in TABLE.items() if not moves)


def move(state: State, event: Event) -> State:
    """The state after *event*. Raises `IllegalMove` when the table has none, naming both."""
    try:
        return TABLE[state][event]
    except KeyError:
        allowed = ", ".join(TABLE[state]) or "nothing: this run has ended"
        raise IllegalMove(f"a promotion that is {state} cannot {event} (it can: {allowed})") from None
