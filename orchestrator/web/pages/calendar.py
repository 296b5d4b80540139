"""The page of the calendar: what is open now, a month, week or timeline as a drawing, and the line."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from orchestrator.app.calendar import recorded_overrides, show_calendar, states
from orchestrator.domain.access.actions import Action
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.rules import CalendarRule, occurrences
from orchestrator.domain.calendar.zones import zone_names, zone_of
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import parse_moment
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.queries import list_bookings
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.drawn_calendar import VIEWS, Entry, drawing, entries_of, span_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.pages.shown_environments import EnvironmentCursor, NameText, is_found, shown_environments
from orchestrator.web.requests import SignedIn, managed_application, reader_zone

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

router = APIRouter(include_in_schema=False)
MOST = 200
"""How many bookings and runs are drawn."""
MOST_OCCURRENCES = 2000
FIRST, LAST = date(2000, 1, 10), date(2199, 12, 1)
Word = Annotated[str | None, Query(max_length=60)]


@router.get("/calendar")
def calendar_page(
    request: Request,
    who: Who,
    view: str = "month",
    day: date | None = None,
    zone: Word = None,
    name: NameText = None,
    after: EnvironmentCursor = None,
) -> HTMLResponse:
    """Which environments are open, everything that has a time as a drawing, and where the line is stopped."""
    app = managed_application(request)
    chosen = shown_environments(app.environments, name, after)
    acting, declared = app.acting_as(who.actor), app.declared_rules()
    calendar, now = show_calendar(acting, declared), parse_moment(acting.clock.now())
    chosen_zone = checked_zone(zone) or reader_zone(request)
    chosen_day = day or now.astimezone(zone_of(chosen_zone)).date()
    if view not in VIEWS or not FIRST <= chosen_day <= LAST:
        raise OrchestratorError("N110", f"view: one of {', '.join(VIEWS)}; day: from {FIRST} to {LAST}")
    span = span_of(view, chosen_day, chosen_zone)
    entries = drawn_entries(app, who, calendar.rules, Interval(span.start, span.end))
    if chosen.text:
        entries = [each for each in entries if any(is_found(place, chosen.text) for place in each.environments)]
    about: dict[str, Any] = {
        "states": states(acting, declared, chosen.names),
        "shown": chosen,
        "after": after,
        "stops": [stop for stop in calendar.line_stops if stop.resumed_at is None],
        "overrides": recorded_overrides(acting).items,
        "environments": tuple(app.environments),
        "has_rules": bool(calendar.rules),
        "actions": {
            "stop": is_allowed(acting, Action.STOP_LINE),
            "resume": is_allowed(acting, Action.RESUME_LINE),
        },
    }
    return rendered(request, "calendar", who, 200, chosen_zone, **about, **drawing(span, chosen.names, entries, now))


def drawn_entries(
    app: "ManagedApplication", who: SignedIn, rules: Iterable[CalendarRule], within: Interval
) -> list[Entry]:
    """Everything that has a time *within* the drawing: the occurrences of *rules*, bookings and runs."""
    acting = app.acting_as(who.actor)
    found = sorted((each for rule in rules for each in occurrences(rule, within)), key=lambda each: each.sort_key)
    runs = app.queries.recent_runs(who.actor, MOST)
    return [
        *(placed(each, acting.environments) for each in entries_of(found[:MOST_OCCURRENCES])),
        *(booked(each) for each in list_bookings(acting, limit=MOST).items),
        *ran(runs, parse_moment(acting.clock.now()).isoformat()),
    ]


def checked_zone(name: str | None) -> str | None:
    """*name*, if it is a time zone. Raises N110."""
    if name and name not in zone_names():
        raise OrchestratorError("N110", "zone: a name such as Europe/Berlin is required")
    return name or None


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
    """A booking as an entry."""
    title = f"{booking.purpose} ({booking.holder.removeprefix('user:')})"
    return Entry("booking", title, booking.start, booking.end, (booking.environment,), f"/bookings/{booking.id}")


def ran(runs: Sequence[Run], now: str) -> Iterator[Entry]:
    """Runs as entries, from their request to their end, or until *now*. Each is at least a minute long."""
    for run in runs:
        start = parse_moment(run.requested_at)
        end = max(parse_moment(run.ended_at or now), start + timedelta(minutes=1))
        yield Entry("run", str(run.release or run.kind), start, end, (run.environment,), f"/runs/{run.id}")
