"""What the scheduler does for bookings: unused ones expire, others end at their end, waiting ones are confirmed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from orchestrator.app.acting import Acting, Change, View, change, read_register
from orchestrator.app.followed_records import FollowedRecords
from orchestrator.app.scheduler import do_each
from orchestrator.domain.access.actions import Action
from orchestrator.domain.audit.chain import AuditHead
from orchestrator.domain.moments import Now, minute_text
from orchestrator.domain.register import OPEN, OUTBOX
from orchestrator.management.bookings.decisions import (
    NOUN,
    booking_facts,
    complete,
    confirm_free,
    expire,
    is_confirmable,
    remind_owner,
)
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.ports import BookingSources
from orchestrator.management.bookings.state import HOLDING, BookingState
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.register_ports import Records

BEFORE_START, BEFORE_END = timedelta(hours=1), timedelta(minutes=15)
"""When the owner is reminded of the start and of the end."""
WAITING_S = 60.0
"""How often bookings that wait are tried although nothing was recorded: the files of environments count too."""


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


def advance_bookings(acting: Acting, sources: BookingSources, keys: Iterable[str] | None = None) -> tuple[str, ...]:
    """Do everything that time requires of bookings, and confirm those whose time became free. A phrase for each.

    With *keys* time requires nothing of the other bookings. Each has its own transaction. Raises at the end what
    kept one from it; the others were.
    """
    due = read_register(acting, Action.MANAGE_BOOKINGS, lambda view: _due(view, keys))

    def steps() -> Iterator[tuple[str, Work]]:
        yield from ((key, _advance) for key in due)
        waiting = acting.register.reading(_waiting)  # after what has ended has freed its time
        yield from ((key, partial(_confirm, sources)) for key in waiting)

    return tuple(do_each(steps(), lambda step: _done(acting, *step), lambda step: step[0]))


Work = Callable[[Change, EnvironmentBooking], Iterator[str]]
"""What is done with one booking, in a transaction of its own. A phrase if it was changed."""


def _done(acting: Acting, key: str, work: Work) -> tuple[str, ...]:
    def whole(task: Change) -> tuple[str, ...]:
        return tuple(work(task, task.existing(BOOKINGS, key)))

    return change(acting, Action.MANAGE_BOOKINGS, whole)


def _due(view: View, keys: Iterable[str] | None) -> list[str]:
    """Those of *keys*, or of all bookings, of which time requires something."""
    found = _open(view.records) if keys is None else _named(view.records, keys)
    return [each.id for each in found if _is_due(view.records, each, view.now)]


def _waiting(records: Records) -> list[str]:
    """The bookings that wait, the oldest first."""
    found = (each for each in _open(records) if each.state is BookingState.WAITING)
    return [each.id for each in sorted(found, key=lambda each: each.number)]


def _confirm(sources: BookingSources, task: Change, booking: EnvironmentBooking) -> Iterator[str]:
    if is_confirmable(task, booking, booking_facts(task, sources, (booking.environment,))):
        yield f"{confirm_free(task, booking).id} is confirmed"


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


def _named(records: Records, keys: Iterable[str]) -> Iterator[EnvironmentBooking]:
    """The bookings *keys* that have not ended."""
    found = (records.get(BOOKINGS, key) for key in keys)
    return (booking for booking in found if booking is not None and not booking.has_ended)


def _was_reminded(records: Records, booking: EnvironmentBooking, step: str) -> bool:
    return records.get(OUTBOX, f"{NOUN} {booking.id} {step} {booking.owner}") is not None


@dataclass
class AdvanceBookings:
    """The scheduler's duty. Only bookings that have changed are read again.

    Those that wait are tried when anything was recorded since the last time, and once a minute.
    """

    acting: Acting
    sources: BookingSources
    name: str = "bookings"
    _open: FollowedRecords[EnvironmentBooking] = field(
        default_factory=lambda: FollowedRecords(BOOKINGS, (OPEN,)), init=False
    )
    _tried: AuditHead | None = field(default=None, init=False)
    _next_s: float = field(default=0.0, init=False)

    def due(self, now: Now) -> bool:
        """Whether time requires something of a booking, or one waits."""
        return bool(self.acting.register.reading(lambda records: self._due(records, now))) or self._waits()

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Do it."""
        self._tried, self._next_s = self._open.head, self.acting.clock.monotonic() + WAITING_S
        return advance_bookings(acting, self.sources, acting.register.reading(lambda records: self._due(records, now)))

    def _due(self, records: Records, now: Now) -> list[str]:
        """The bookings of which time requires something."""
        return [key for key, each in self._open.read(records).items() if _is_due(records, each, now)]

    def _waits(self) -> bool:
        """Whether a booking waits, and its time may have become free since the last time."""
        if self._tried == self._open.head and self.acting.clock.monotonic() < self._next_s:
            return False
        return any(each.state is BookingState.WAITING for each in self._open.last.values())


def _is_due(records: Records, booking: EnvironmentBooking, now: Now) -> bool:
    step = due_step(booking, now)
    return step in {"expire", "end"} or (bool(step) and not _was_reminded(records, booking, step))
