"""What the calendar draws: windows, freezes, bookings, runs, planned promotions, trains and planned releases."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING

from orchestrator.app.acting import Acting
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.rules import CalendarRule, occurrences
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.queries import list_bookings
from orchestrator.management.bookings.state import BookingState
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.queries import list_planned_releases
from orchestrator.management.trains.queries import list_trains
from orchestrator.web.pages.drawn_calendar import Entry, entries_of
from orchestrator.web.requests import SignedIn

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

MOST = 200
"""How many bookings, runs, trains and planned releases are drawn, of each."""
MOST_OCCURRENCES = 2000
MOMENT = timedelta(minutes=30)
"""How long a departure, or the time of a release, is drawn."""
AHEAD = timedelta(days=14)
NEXT = 4
"""How many entries are the next ones."""
CHECKED = 20
"""Among how many open bookings, trains and planned releases the next ones are found, of each."""


def entries_within(
    app: "ManagedApplication", who: SignedIn, rules: Iterable[CalendarRule], within: Interval
) -> tuple[list[Entry], bool]:
    """Everything that has a time *within* the drawing, and whether those are all runs of that time."""
    acting = app.acting_as(who.actor)
    found = sorted((each for rule in rules for each in occurrences(rule, within)), key=lambda each: each.sort_key)
    now = parse_moment(acting.clock.now())
    runs = app.queries.recent_runs(who.actor, MOST, moment_text(within.end) if within.end < now else None)
    whole = len(runs) < MOST or parse_moment(runs[-1].requested_at) < within.start
    entries = [
        *(placed(each, acting.environments) for each in entries_of(found[:MOST_OCCURRENCES])),
        *open_entries(acting, MOST),
        *ran(runs, now.isoformat()),
    ]
    return entries, whole


def next_entries(acting: Acting, rules: Iterable[CalendarRule], now: datetime) -> list[Entry]:
    """The next freezes, bookings, trains and planned releases, the first one first."""
    within = Interval(now, now + AHEAD)
    found = chain.from_iterable(occurrences(rule, within) for rule in rules)
    freezes = (placed(each, acting.environments) for each in entries_of(found) if each.css_class == "freeze")
    coming = [each for each in (*freezes, *open_entries(acting, CHECKED)) if now <= each.start < within.end]
    return sorted(coming, key=lambda each: (each.start, each.end, each.title))[:NEXT]


def open_entries(acting: Acting, most: int) -> Iterator[Entry]:
    """The open bookings, trains and planned releases, at most *most* of each."""
    yield from map(booked, list_bookings(acting, limit=most).items)
    for train in list_trains(acting, limit=most).items:
        title = f"{train.id} {train.line}".strip()
        for stop in train.stops:
            start = train.departs_at + timedelta(seconds=stop.after_s)
            text = f"{title} departs" if not stop.after_s else f"{title} in {stop}"
            yield Entry("train", text, start, start + MOMENT, stop.environments, f"/trains/{train.id}")
    for release in list_planned_releases(acting, limit=most).items:
        yield from dates_of(release)


def dates_of(release: PlannedRelease) -> Iterator[Entry]:
    """When the scope of *release* is frozen and when it is released; once that has happened, when it did."""
    dates = (
        ("frozen" if release.frozen_at else "freeze", release.frozen_at or release.freeze_at),
        ("released" if release.released_at else "release", release.released_at or release.release_at),
    )
    for text, moment in dates:
        title = f"{release.id} {release.title}: {text}"
        places = (release.environment,)
        yield Entry("release", title, moment, moment + MOMENT, places, f"/planned-releases/{release.id}")


def placed(entry: Entry, environments: tuple[str, ...]) -> Entry:
    """*entry* with the environments that its patterns mean."""
    return Entry(
        entry.kind,
        entry.title,
        entry.start,
        entry.end,
        tuple(name for name in environments if any(fnmatchcase(name, pattern) for pattern in entry.environments)),
    )


def booked(booking: EnvironmentBooking) -> Entry:
    """A booking as an entry. One that waits for another is a clash."""
    title = f"{booking.purpose} ({booking.holder.removeprefix('user:')})"
    waits = booking.state is BookingState.WAITING
    return Entry(
        "clash" if waits else "booking",
        f"{title} waits" if waits else title,
        booking.start,
        booking.end,
        (booking.environment,),
        f"/bookings/{booking.id}",
    )


def ran(runs: Sequence[Run], now: str) -> Iterator[Entry]:
    """Runs as entries, from their request to their end, or until *now*. Each is at least a minute long."""
    for run in runs:
        start = parse_moment(run.requested_at)
        end = max(parse_moment(run.ended_at or now), start + timedelta(minutes=1))
        yield Entry("run", str(run.release or run.kind), start, end, (run.environment,), f"/runs/{run.id}")
