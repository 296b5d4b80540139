"""What admission knows of bookings: who keeps whom out, and that a promotion of the holder is the check-in."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.app.acting import Acting, Change, access_of, change
from orchestrator.domain.access.actions import Action
from orchestrator.domain.calendar.verdict import Booking
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import Now
from orchestrator.management.bookings.conflicts import closed_by
from orchestrator.management.bookings.decisions import check_in
from orchestrator.management.bookings.model import NOTHING_CARRIED, Carried, EnvironmentBooking
from orchestrator.management.bookings.state import BookingState
from orchestrator.management.bookings.store import open_bookings
from orchestrator.management.planned_releases.state import PASSING
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.trains.store import TRAINS
from orchestrator.register_ports import Records


class RegisterBookings:
    """The `Bookings` of the register. *depends_on* are the environments that each environment needs."""

    def __init__(self, depends_on: Callable[[], Mapping[str, tuple[str, ...]]]) -> None:
        self._depends_on = depends_on

    def booked(self, records: Records, now: Now, environments: Sequence[str] | None = None) -> tuple[Booking, ...]:
        """What keeps others, or packages that wait for it, out of each environment, or of *environments*."""
        return tuple(booking for _, booking in self._keeping_out(records, now, environments))

    def use(self, acting: Acting, run: Run) -> None:
        """Record that *run* is the first use of a booking of its user, if it is one."""
        if acting.register.reading(lambda records: self._unused(records, acting.now(records), run)) is None:
            return

        def work(task: Change) -> None:
            booking = self._unused(task.records, task.now, run)
            if booking is not None:
                check_in(task, booking, run.id)

        change(acting, Action.BOOK, work, environment=run.environment)

    def _unused(self, records: Records, now: Now, run: Run) -> EnvironmentBooking | None:
        """The booking that *run* uses first: the user passes by it, and its time has come."""
        for record, booking in self._keeping_out(records, now, (run.environment,)):
            carried = run.release is not None and run.release.digest in booking.packages
            mine = carried or run.by in {booking.holder, *booking.members}
            if (
                booking.environment == run.environment
                and mine
                and record.state is BookingState.CONFIRMED
                and now.has_reached(record.start)
            ):
                return record
        return None

    def _keeping_out(
        self, records: Records, now: Now, environments: Sequence[str] | None
    ) -> Iterator[tuple[EnvironmentBooking, Booking]]:
        closed = closed_by(self._depends_on())
        found = [each for each in open_bookings(records, closed, environments) if _counts(each, now)]
        if not found:
            return
        users = access_of(records).users
        for each in found:
            kind, _, name = each.holder.partition(":")
            members = tuple(user.name for user in users if user.team == name) if kind == "team" else ()
            carried = CARRIERS[kind](records, name, each) if kind in CARRIERS else NOTHING_CARRIED
            closing = closed.get(each.environment, ())
            if each.state is BookingState.WAITING:  # it keeps no other packages out, but its own wait for their time
                closing, carried = (each.environment,) if carried.awaited else (), Carried(awaited=carried.awaited)
            for environment in closing:
                if environments is not None and environment not in environments:
                    continue
                yield each, each.as_closing(environment, members, carried)


def _counts(booking: EnvironmentBooking, now: Now) -> bool:
    """Whether *booking* keeps others out, or waits for its time."""
    waits = booking.state is BookingState.WAITING and not now.may_have_reached(booking.end)
    return waits or booking.keeps_out(now)


def _aboard(records: Records, name: str, _: EnvironmentBooking) -> Carried:
    """What passes bookings of the train *name*: the packages aboard."""
    train = records.get(TRAINS, name)
    return Carried(tuple(member.digest for member in train.aboard)) if train is not None else NOTHING_CARRIED


def _planned(records: Records, name: str, booking: EnvironmentBooking) -> Carried:
    """What passes bookings of the planned release *name*, none while it is on hold, and what awaits *booking*."""
    release = records.get(PLANNED_RELEASES, name)
    if release is None:
        return NOTHING_CARRIED
    packages = tuple(package.digest for package in release.packages if package.digest)
    return Carried(packages if release.state in PASSING else (), packages if release.awaits(booking.id) else ())


CARRIERS = {"release": _planned, "train": _aboard}
"""The packages that pass bookings of a holder, and those that await them, by its kind."""
