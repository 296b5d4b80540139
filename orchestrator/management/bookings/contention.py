"""How contended an environment is in a week: hours booked, used, and waited for by others, from bookings and runs."""

from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.domain.calendar.intervals import Interval, interval, merged_intervals
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.management.bookings.conflicts import hours_in
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.ports import Use
from orchestrator.management.bookings.state import HOLDING, BookingState

COUNTED = HOLDING | {BookingState.COMPLETED}
NO_DEMAND: dict[str, Any] = {"booked": 0.0, "requested": 0.0, "used": 0.0, "waited": 0.0, "clashes": (), "unused": ()}


class WeekDemand(Model):
    """The demand for *environment* in the week from *week* on.

    *booked* hours are those of bookings that were kept, *requested* ones those that wait. *used* are the hours of runs
    within bookings, *waited* the hours that runs of other users waited while it was booked. *clashes* are the bookings
    that waited for it, and *unused* those that expired.
    """

    environment: str
    week: Moment
    booked: float
    requested: float
    used: float
    waited: float
    clashes: tuple[str, ...]
    unused: tuple[str, ...]


def demand_of(
    environment: str, week: Interval, bookings: Iterable[EnvironmentBooking], uses: Iterable[Use]
) -> WeekDemand:
    """The demand for *environment* in *week*."""
    here = [each for each in bookings if each.environment == environment and lasting(each).overlaps(week)]
    if not here:  # runs count within bookings only
        return WeekDemand(environment=environment, week=week.start, **NO_DEMAND)
    kept, waiting, expired = _of(here, *COUNTED), _of(here, BookingState.WAITING), _of(here, BookingState.EXPIRED)
    runs = list(uses)
    used = [Interval(use.start, use.end) for use in runs if use.start < use.end]
    return WeekDemand(
        environment=environment,
        week=week.start,
        booked=round(sum(hours_in(lasting(each), week) for each in kept), 2),
        requested=round(sum(hours_in(each.interval, week) for each in waiting), 2),
        used=round(_common(used, kept, week), 2),
        waited=round(sum(_common([wait], kept, week) for wait in _waits(runs, kept)), 2),
        clashes=tuple(each.id for each in waiting),
        unused=tuple(each.id for each in expired if each.confirmed_at is not None),
    )


def _of(bookings: Iterable[EnvironmentBooking], *states: BookingState) -> list[EnvironmentBooking]:
    return [each for each in bookings if each.state in states]


def _waits(runs: Iterable[Use], kept: Iterable[EnvironmentBooking]) -> Iterator[Interval]:
    """How long each run of a user who had no booking waited for the environment."""
    for use in runs:
        if use.requested < use.start and not _owns(use, kept):
            yield Interval(use.requested, use.start)


def lasting(booking: EnvironmentBooking) -> Interval:
    """The time for which *booking* was, or is, kept: until it ended early."""
    end = min(booking.end, booking.ended_at or booking.end)
    return interval(booking.start, end) or booking.interval


def _owns(use: Use, bookings: Iterable[EnvironmentBooking]) -> bool:
    """Whether the user of a run had the booking at that time."""
    return any(f"user:{use.by}" == each.holder and use.start in lasting(each) for each in bookings)


def _common(times: Iterable[Interval], bookings: Iterable[EnvironmentBooking], week: Interval) -> float:
    """The hours of *times* that are in bookings and in *week*."""
    booked = merged_intervals(lasting(each) for each in bookings)
    found = 0.0
    for time in merged_intervals(times):
        for each in booked:
            common = interval(max(time.start, each.start), min(time.end, each.end))
            found += hours_in(common, week) if common is not None else 0.0
    return found
