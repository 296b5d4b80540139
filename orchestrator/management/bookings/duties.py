"""What the scheduler does for bookings: unused ones expire, others end at their end, waiting ones are confirmed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.app.acting import Acting, Change, change
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import Now, minute_text
from orchestrator.domain.register import OPEN, OUTBOX
from orchestrator.management.bookings.decisions import NOUN, complete, confirm_waiting, expire, remind_owner
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.ports import BookingSources
from orchestrator.management.bookings.state import HOLDING, BookingState
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.register_ports import Records

BEFORE_START, BEFORE_END = timedelta(hours=1), timedelta(minutes=15)
"""When the owner is reminded of the start and of the end."""


def due_step(booking: EnvironmentBooking, now: Now) -> str:
    """What time requires of *booking*: `expire`, `end`, a reminder (`starts`, `ends`), or nothing (empty)."""
    if booking.is_due_to_expire(now) or (booking.state is BookingState.WAITING and now.may_have_reached(booking.end)):
        return "expire"
    if booking.state is BookingState.ACTIVE and now.may_have_reached(booking.end):
        return "end"
    if booking.state in HOLDING and now.has_reached(booking.end - BEFORE_END):
        return "ends"
    if booking.state is BookingState.CONFIRMED and now.has_reached(booking.start - BEFORE_START):
        return "starts"
    return ""


def advance_bookings(acting: Acting, sources: BookingSources) -> tuple[str, ...]:
    """Do everything that time requires of bookings, and confirm those whose time became free. A phrase for each."""

    def work(task: Change) -> tuple[str, ...]:
        done = [text for booking in _open(task.records) for text in _advance(task, booking)]
        return (*done, *confirm_waiting(task, sources))

    return change(acting, Action.MANAGE_BOOKINGS, work)


def _advance(task: Change, booking: EnvironmentBooking) -> Iterator[str]:
    step = due_step(booking, task.now)
    if step == "expire":
        waited = booking.state is BookingState.WAITING
        why = "its time did not become free" if waited else f"not used within {booking.grace_minutes} minutes"
        expire(task, booking, why)
        yield f"{booking.id} has expired: {why}"
    elif step == "end":
        complete(task, booking)
        yield f"{booking.id} has ended"
    elif step and not _was_reminded(task.records, booking, step):
        moment = minute_text(booking.end if step == "ends" else booking.start)
        remind_owner(task, booking, step, f"{booking.id} of {booking.environment} {step} at {moment}")
        yield f"{booking.id}: {booking.owner} was reminded that it {step}"


def _open(records: Records) -> tuple[EnvironmentBooking, ...]:
    return records.all(BOOKINGS, OPEN)


def _was_reminded(records: Records, booking: EnvironmentBooking, step: str) -> bool:
    return records.get(OUTBOX, f"{NOUN} {booking.id} {step} {booking.owner}") is not None


@dataclass
class AdvanceBookings:
    """The scheduler's duty."""

    acting: Acting
    sources: BookingSources
    name: str = "bookings"

    def due(self, now: Now) -> bool:
        """Whether time requires something of a booking, or one waits."""
        return self.acting.register.reading(lambda records: any(_is_due(records, each, now) for each in _open(records)))

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Do it."""
        del now
        return advance_bookings(acting, self.sources)


def _is_due(records: Records, booking: EnvironmentBooking, now: Now) -> bool:
    step = due_step(booking, now)
    return (
        booking.state is BookingState.WAITING
        or step in {"expire", "end"}
        or (bool(step) and not _was_reminded(records, booking, step))
    )
