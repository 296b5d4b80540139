"""Where bookings and quotas are kept: in the register; bookings in the order of their end."""

from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ENDED, OPEN, RecordKind
from orchestrator.management.bookings.model import EnvironmentBooking, Quota

BOOKINGS = RecordKind(
    "bookings",
    EnvironmentBooking,
    key=lambda booking: booking.id,
    part=lambda booking: ENDED if booking.has_ended else OPEN,
    position=lambda booking: f"{moment_text(booking.end)}.{booking.number:08}",
    noun="booking",
)
QUOTAS = RecordKind("booking_quotas", Quota, lambda quota: quota.key, lambda quota: quota.team, noun="quota")
