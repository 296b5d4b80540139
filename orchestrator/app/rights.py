"""The rights that use cases about requests and runs need, by their arguments."""

from orchestrator.app.acting import Right
from orchestrator.app.requests import (
    AssumeHost,
    AssumeLiveSide,
    Destroy,
    Observe,
    Promote,
    PromoteInWaves,
    Provision,
    Reap,
    Rehearse,
    Resolve,
    RollBack,
    RunRequest,
)
from orchestrator.domain.access.actions import Action
from orchestrator.domain.journal import Run

ACTIONS: dict[type[RunRequest], Action] = {
    Promote: Action.PROMOTE,
    PromoteInWaves: Action.PROMOTE,
    Rehearse: Action.REHEARSE,
    RollBack: Action.ROLL_BACK,
    Provision: Action.CHANGE_INFRASTRUCTURE,
    Destroy: Action.DESTROY,
    Resolve: Action.CHANGE_INFRASTRUCTURE,
    Observe: Action.OBSERVE,
    AssumeHost: Action.ACCEPT,
    AssumeLiveSide: Action.ACCEPT,
    Reap: Action.DESTROY,
}
"""The right that each request needs, in each of its environments."""


def request_rights(request: RunRequest, **_: object) -> tuple[Right, ...]:
    """The rights that *request* needs: that of its kind, in each of its environments, and that of an overrun.

    Waves go to each of their environments that lacks the release when they start: to all of them it needs the right.
    """
    waves = request.waves.names if request.waves is not None else ()
    places, reason = tuple(dict.fromkeys((*request.targets, *waves))), request.overrun_reason
    needed = tuple(Right(ACTIONS[type(request)], environment) for environment in places)
    return needed + tuple(Right(Action.OVERRUN, environment, reason) for environment in places if reason)


def comparison_rights(left: str, right: str) -> tuple[Right, ...]:
    """The right to observe both environments."""
    return (Right(Action.OBSERVE, left), Right(Action.OBSERVE, right))


def control_rights(run: Run, *_: object, **__: object) -> tuple[Right, ...]:
    """The right to control *run*: in its environment, for a rollout in waves in the project."""
    return (Right(Action.CONTROL_RUN, None if run.kind == "waves" else run.environment, about=f"run:{run.id}"),)
