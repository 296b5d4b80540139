"""What users see of bookings: lists, free slots, and how contended environments are."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.app.acting import Acting, View, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ENDED, OPEN
from orchestrator.management.bookings.conflicts import WEEK, free_slots, next_moment, weeks_of
from orchestrator.management.bookings.contention import WeekDemand, demand_of
from orchestrator.management.bookings.decisions import booking_facts
from orchestrator.management.bookings.model import EnvironmentBooking, Quota
from orchestrator.management.bookings.ports import BookingSources
from orchestrator.management.bookings.store import BOOKINGS, QUOTAS
from orchestrator.management.bookings.waits import passing_of, with_requests
from orchestrator.register_ports import each_record, page_of_fitting

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=366)
"""The times that free slots can have, and in which they are searched for."""
MOST_SLOTS, MOST_WEEKS = 1000, 52
"""How many free slots and weeks a client can request."""


@dataclass(frozen=True)
class BookingFilter:
    """Which bookings are listed: of an *environment*, of the actor (*mine*), and *ended* ones as well."""

    environment: str | None = None
    mine: bool = False
    ended: bool = False


@forwarded
def list_bookings(
    acting: Acting,
    chosen: BookingFilter | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
    *,
    latest_first: bool = False,
) -> Page[EnvironmentBooking]:
    """A page of the bookings, by their end, or against that; by default those that have not ended."""
    wanted, actor = chosen or BookingFilter(), str(acting.actor)

    def is_mine(booking: EnvironmentBooking) -> bool:
        return actor == booking.owner or booking.holder == f"user:{actor}"

    def work(view: View) -> Page[EnvironmentBooking]:
        parts, about = [OPEN, ENDED] if wanted.ended else [OPEN], wanted.environment
        if wanted.mine:
            return page_of_fitting(
                view.records,
                BOOKINGS,
                parts,
                is_mine,
                about=about,
                newest_first=latest_first,
                cursor=cursor,
                limit=limit,
            )
        return view.records.page(BOOKINGS, parts, about=about, newest_first=latest_first, cursor=cursor, limit=limit)

    return read_register(acting, Action.VIEW, work)


@forwarded
def show_booking(acting: Acting, key: str) -> EnvironmentBooking:
    """One booking. Raises A110."""
    return read_register(acting, Action.VIEW, lambda view: view.existing(BOOKINGS, key))


@forwarded
def list_quotas(acting: Acting) -> tuple[Quota, ...]:
    """The quotas of all teams."""
    return read_register(acting, Action.VIEW, lambda view: view.records.all(QUOTAS))


@forwarded
def find_slots(
    acting: Acting,
    environment: str,
    length: timedelta,
    within: timedelta,
    sources: BookingSources,
    most: int = 5,
    *,
    after: datetime | None = None,
) -> tuple[Interval, ...]:
    """The first free slots of *length* in *environment*, at most *most*, *within* this time from now on.

    With *after* only those that start then or later. Raises A110, and N110 for a time that is too short or too long.
    """
    if not 1 <= most <= MOST_SLOTS:
        raise OrchestratorError("N110", f"between 1 and {MOST_SLOTS} free slots are possible")
    if not (SHORTEST <= length <= LONGEST and SHORTEST <= within <= LONGEST):
        raise OrchestratorError(
            "N110", "a free slot, and the time that is searched, has at least 1 minute and at most 366 days"
        )

    def work(view: View) -> tuple[Interval, ...]:
        if environment not in acting.environments:
            raise unknown("environment", environment, list(acting.environments))
        start = next_moment(view.now.latest)
        if after is not None and after >= start + within:
            return ()
        horizon = Interval(max(start, after or start), start + within)
        return free_slots(environment, length, horizon, booking_facts(view, sources, (environment,)), most)

    return read_register(acting, Action.VIEW, work)


def _bookings_since(view: View, start: datetime) -> dict[str, list[EnvironmentBooking]]:
    """The bookings of each environment that end after *start*."""
    here: dict[str, list[EnvironmentBooking]] = {name: [] for name in view.acting.environments}
    for booking in each_record(view.records, BOOKINGS, [OPEN, ENDED], start=moment_text(start)):
        here.setdefault(booking.environment, []).append(booking)
    return here


@forwarded
def show_contention(
    acting: Acting,
    sources: BookingSources,
    weeks: int = 6,
    names: tuple[str, ...] | None = None,
    *,
    booked_only: bool = False,
) -> tuple[WeekDemand, ...]:
    """The demand for each environment in the last week and the next *weeks*, by environment and week.

    With *names* only for those environments, with *booked_only* only for those with bookings: others have no demand.
    Raises N110 for more than a year.
    """
    if not 1 <= weeks <= MOST_WEEKS:
        raise OrchestratorError("N110", f"weeks: between 1 and {MOST_WEEKS} are possible")

    def work(view: View) -> tuple[WeekDemand, ...]:
        first = next(iter(weeks_of(Interval(view.now.earliest - WEEK, view.now.earliest))))
        here = _bookings_since(view, first.start)
        chosen = [
            name for name in acting.environments if (names is None or name in names) and (here[name] or not booked_only)
        ]
        # Runs count within bookings only: those of an environment whose bookings are all in the future are not read.
        used = tuple(name for name in chosen if any(each.start <= view.now.latest for each in here[name]))
        uses = with_requests(view, {**dict.fromkeys(used, ()), **sources.uses(used, first.start)}) if used else {}
        passing = passing_of(view, (booking for name in used for booking in here[name]))
        weeks_shown = list(weeks_of(Interval(first.start, view.now.earliest + weeks * WEEK)))
        return tuple(
            demand_of(environment, week, here[environment], uses.get(environment, ()), passing)
            for environment in chosen
            for week in weeks_shown
        )

    return read_register(acting, Action.VIEW, work)
