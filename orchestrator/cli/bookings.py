"""Bookings as users read them: in words, and as data for documents."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.cli.output import Cell, out, out_folded, print_json, table

if TYPE_CHECKING:
    from orchestrator.management.bookings.contention import WeekDemand
    from orchestrator.management.bookings.model import EnvironmentBooking, Quota

HEADS = ("booking", "environment", "from", "until", "state", "holder", "purpose")
WEEK_HEADS = ("environment", "week", "booked", "requested", "used", "waited", "clashes", "unused")


def booking_row(booking: "EnvironmentBooking") -> list[Cell]:
    """The booking as a row of a table."""
    from orchestrator.domain.moments import minute_text

    times = minute_text(booking.start), minute_text(booking.end)
    holder = booking.holder.removeprefix("user:")
    return [booking.id, booking.environment, *times, booking.state.value, holder, booking.purpose]


def booking_lines(booking: "EnvironmentBooking") -> Iterator[str]:
    """The booking with its use and its former holders."""
    from orchestrator.domain.moments import minute_text

    yield f"{booking.id} {booking.state}: {booking.environment}, {booking.purpose}"
    yield f"  time     {minute_text(booking.start)} to {minute_text(booking.end)}"
    former = f", before {', '.join(booking.handed_over)}" if booking.handed_over else ""
    yield f"  holder   {booking.holder}, booked by {booking.owner}{former}"
    if booking.used_at is not None:
        yield f"  used     since {minute_text(booking.used_at)}, by {booking.run}"
    elif not booking.has_ended:
        yield f"  unused   expires at {minute_text(booking.grace_until)} unless it is used"
    if booking.note:
        yield f"  note     {booking.note}"


def print_booking(booking: "EnvironmentBooking", *, as_json: bool) -> None:
    """Print one booking."""
    if as_json:
        from orchestrator.management.documents import booking_item

        print_json("Booking", booking_item(booking))
        return
    for line in booking_lines(booking):
        out_folded(line)


def week_row(week: "WeekDemand") -> list[Cell]:
    """The demand of a week as a row of a table."""
    hours = (f"{value:.1f} h" if value else "–" for value in (week.booked, week.requested, week.used, week.waited))
    names = (", ".join(ids) or "–" for ids in (week.clashes, week.unused))
    return [week.environment, f"{week.week:%Y-%m-%d}", *hours, *names]


def print_quotas(quotas: "tuple[Quota, ...]", *, as_json: bool) -> None:
    """Print the quotas of all teams."""
    if as_json:
        print_json("Quotas", {"quotas": [each.to_json() for each in quotas]})
        return
    if not quotas:
        out("there are no quotas; set one with: orchestrator environment quota TEAM ENVIRONMENT --hours 20")
        return
    out(table(["team", "environment", "hours a week"], [[q.team, q.environment, f"{q.hours:g}"] for q in quotas]))
