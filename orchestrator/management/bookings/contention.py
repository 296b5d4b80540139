"""How contended an environment is in a week: hours booked, used, and waited for by others, from bookings and runs."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from orchestrator.domain.calendar.intervals import Interval, interval, merged_intervals
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment
from orchestrator.management.bookings.conflicts import hours_in, lasting
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.ports import Use
from orchestrator.management.bookings.state import HOLDING, BookingState

COUNTED = HOLDING | {BookingState.COMPLETED}
NOBODY_ELSE: Mapping[str, frozenset[str]] = MappingProxyType({})
NO_DEMAND: dict[str, Any] = {"booked": 0.0, "requested": 0.0, "used": 0.0, "waited": 0.0, "clashes": (), "unused": ()}


class WeekDemand(Model):
    """The demand for *environment* in the week from *week* on.

    *booked* hours are those of bookings that were kept, *requested* ones those that wait. *used* are the hours of runs
    within bookings, *waited* the hours that promotions waited while others had booked it. *clashes* are the bookings
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
    environment: str,
    week: Interval,
    bookings: Iterable[EnvironmentBooking],
    uses: Iterable[Use],
    passing: Mapping[str, frozenset[str]] = NOBODY_ELSE,
) -> WeekDemand:
    """The demand for *environment* in *week*.

    *passing* has the users and packages that each booking lets pass, besides the user who holds it.
    """
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
        waited=round(sum(_waited(use, kept, passing, week) for use in runs), 2),
        clashes=tuple(each.id for each in waiting),
        unused=tuple(each.id for each in expired if each.confirmed_at is not None),
    )


def _of(bookings: Iterable[EnvironmentBooking], *states: BookingState) -> list[EnvironmentBooking]:
    return [each for each in bookings if each.state in states]


def _waited(
    use: Use, kept: Iterable[EnvironmentBooking], passing: Mapping[str, frozenset[str]], week: Interval
) -> float:
    """The hours of *week* for which *use* waited while others had booked the environment."""
    wait = interval(use.requested, use.start)
    others = [each for each in kept if not _passes(use, each, passing)]
    return _common([wait], others, week) if wait is not None else 0.0


def _passes(use: Use, booking: EnvironmentBooking, passing: Mapping[str, frozenset[str]]) -> bool:
    """Whether *booking* let the run pass: its user holds it or belongs to the holder, or the holder has its package."""
    return f"user:{use.by}" == booking.holder or bool({use.by, use.package} & passing.get(booking.id, frozenset()))


def _common(times: Iterable[Interval], bookings: Iterable[EnvironmentBooking], week: Interval) -> float:
    """The hours of *times* that are in bookings and in *week*."""
    booked = merged_intervals(lasting(each) for each in bookings)
    found = 0.0
    for time in merged_intervals(times):
        for each in booked:
            common = interval(max(time.start, each.start), min(time.end, each.end))
            found += hours_in(common, week) if common is not None else 0.0
    return found
