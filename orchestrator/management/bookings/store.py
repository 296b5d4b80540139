"""Where bookings and quotas are kept: in the register; bookings in the order of their end."""

from collections.abc import Mapping, Sequence

from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ENDED, OPEN, RecordKind
from orchestrator.management.bookings.model import EnvironmentBooking, Quota
from orchestrator.register_ports import Records, each_record

BOOKINGS = RecordKind(
    "bookings",
    EnvironmentBooking,
    key=lambda booking: booking.id,
    part=lambda booking: ENDED if booking.has_ended else OPEN,
    position=lambda booking: f"{moment_text(booking.end)}.{booking.number:08}",
    noun="booking",
    about=lambda booking: booking.environment,
)
FEW = 20
"""Of so many environments bookings are read one by one, and otherwise all at once."""
QUOTAS = RecordKind("booking_quotas", Quota, lambda quota: quota.key, lambda quota: quota.team, noun="quota")


def open_bookings(
    records: Records, closed: Mapping[str, tuple[str, ...]], environments: Sequence[str] | None
) -> tuple[EnvironmentBooking, ...]:
    """The bookings that have not ended; with *environments* those that close one of them, by *closed*.

    *closed* has the environments that a booking of each environment closes.
    """
    if environments is None:
        return records.all(BOOKINGS, OPEN)
    wanted = set(environments)
    near = [name for name, names in closed.items() if wanted.intersection(names)]
    if len(near) > FEW:
        return tuple(each for each in records.all(BOOKINGS, OPEN) if each.environment in near)
    return tuple(each for name in near for each in each_record(records, BOOKINGS, [OPEN], about=name))
