"""What the API and the pages change of trains and lines: each function calls one use case, and decides nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import span
from orchestrator.management.trains import decisions
from orchestrator.management.trains.departure import depart
from orchestrator.management.trains.model import Train, stop_parts
from orchestrator.management.trains.state import TRAIN_TABLE, TrainEvent, TrainState
from orchestrator.web.changes import is_allowed

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

TrainCall = Callable[["ManagedApplication", Acting, str, str], Train]
TRAIN_EVENTS: dict[str, tuple[str, TrainCall]] = {
    "depart": (
        "Have a train depart before its time, with the rights of the actor.",
        lambda app, acting, key, reason: depart(acting, key, app.train_sources, reason),
    ),
    "hold": (
        "Keep a train from departing. The reason is required.",
        lambda _, acting, key, reason: decisions.hold_train(acting, key, reason),
    ),
    "resume": (
        "Let a train depart that was held.",
        lambda _, acting, key, reason: decisions.resume_train(acting, key, reason),
    ),
    "cancel": (
        "End a train. After the departure its packages are rolled back. The reason is required.",
        lambda _, acting, key, reason: decisions.cancel_train(acting, key, reason),
    ),
    "resolve": (
        "Record that what a train left was restored by hand. The reason is required.",
        lambda _, acting, key, reason: decisions.resolve_train(acting, key, reason),
    ),
}
"""The events of a train that users cause with a reason, each with its text."""
OF_EVENT: dict[str, tuple[TrainEvent, ...]] = {
    "depart": (TrainEvent.DEPART, TrainEvent.CLOSE),
    "hold": (TrainEvent.HOLD,),
    "resume": (TrainEvent.RESUME,),
    "cancel": (TrainEvent.CANCEL,),
    "resolve": (TrainEvent.RESOLVE,),
    "edit": (TrainEvent.EDIT,),
    "board": (TrainEvent.BOARD, TrainEvent.BOARD_LATE),
    "leave": (TrainEvent.LEAVE,),
}
"""The events of the state table of which one must be possible for each event of users."""


def possible_trains(acting: Acting, train: Train) -> tuple[str, ...]:
    """The events that the actor can currently cause: the buttons of a page."""
    if not is_allowed(acting, Action.MANAGE_TRAINS):
        return ()
    found = [name for name, events in OF_EVENT.items() if any(TRAIN_TABLE.allows(train.state, e) for e in events)]
    return (*found, "cancel") if train.state is TrainState.DEPARTED else tuple(found)


def stops_of(lines: tuple[str, ...]) -> list[dict[str, Any]]:
    """The stops in *lines*, each `ENV,ENV` with the earliest start after the departure as `+2h`. Raises N110."""
    return [_stop(line) for line in lines]


def _stop(line: str) -> dict[str, Any]:
    names, after = stop_parts(line)
    return {"environments": [name for name in names if name], "after_s": seconds_of(after.strip(), "stops")}


def seconds_of(text: str, name: str) -> int:
    """The seconds of a duration such as `2h`; 0 for an empty text. Raises N110 with the *name* of the field."""
    try:
        return int(span(text).total_seconds()) if text else 0
    except ValueError as error:
        raise OrchestratorError("N110", f"{name}: {text[:40]!r} is not a duration such as 2h") from error
