"""How train lines and trains are written: with an audit entry for each event, and messages to their users."""

from typing import Any

from orchestrator.app.acting import Change
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import OPEN
from orchestrator.domain.text import with_reason
from orchestrator.management.bookings.decisions import stop_booking
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.messages import Subject, notify_once
from orchestrator.management.trains.model import Train, TrainLine
from orchestrator.management.trains.state import TrainEvent
from orchestrator.management.trains.store import TRAIN_LINES, TRAINS

NOUN = "train"
TEXTS = {
    TrainEvent.HOLD: "is on hold",
    TrainEvent.CANCEL: "is cancelled",
    TrainEvent.DEPART: "has departed",
    TrainEvent.ARRIVE: "has arrived",
    TrainEvent.FAIL: "failed, and rolls back",
    TrainEvent.COMPLETE_ROLLBACK: "is rolled back",
    TrainEvent.GIVE_UP: "needs intervention",
}


def put_train(change: Change, after: Train, event: TrainEvent | str, /, **detail: Any) -> Train:
    """Write *after*, with the event in the audit stream, and notify its users of what concerns all of them.

    The bookings of a train that has ended end with it. The worker confirms those that wait for their time.
    """
    before = change.records.get(TRAINS, after.id)
    was = {"was": before.state.value} if before is not None else {}
    done = change.put(TRAINS, after, event=str(event), **was, state=after.state.value, **detail)
    text = TEXTS.get(event) if isinstance(event, TrainEvent) else None
    if text:
        _notify(change, done, with_reason(f"{done.id} {text}", after.note))
    if done.has_ended:
        _release_bookings(change, done)
    return done


def _release_bookings(change: Change, train: Train) -> None:
    for booking in change.records.all(BOOKINGS, OPEN):
        if booking.holder == train.holder:
            stop_booking(change, booking, f"{train.id} is {train.state}")


def users_of(train: Train) -> tuple[str, ...]:
    """The users of *train*: its conductor, and those who have put a package aboard."""
    return tuple(dict.fromkeys([str(train.conductor), *(member.boarded_by for member in train.members)]))


def _notify(change: Change, train: Train, text: str) -> None:
    users = [user for user in users_of(train) if user in change.directory.users]
    version = change.records.version(TRAINS, train.id)
    notify_once(change, users, Subject(NOUN, train.id, version, f"/trains/{train.id}", train.state.value), text)


def usable_line(change: Change, name: str) -> TrainLine:
    """The train line *name*. Raises A110, and G601 if it is archived."""
    line = change.existing(TRAIN_LINES, name)
    if line.is_archived:
        raise OrchestratorError("G601", f"the train line {name} is archived")
    return line


def require_train_reason(reason: str, what: str) -> str:
    """*reason* without spaces around it. Raises G605 without one for *what*."""
    if not reason.strip():
        raise OrchestratorError("G605", f"{what}: give the reason", hint="-m WHY")
    return reason.strip()
