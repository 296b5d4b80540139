"""The page of the calendar: what is open now, a month, week or timeline as a drawing, and the line."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from orchestrator.app.calendar import recorded_overrides, show_calendar, states
from orchestrator.domain.access.actions import Action
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.zones import zone_names, zone_of
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import parse_moment
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.calendar_entries import entries_within
from orchestrator.web.pages.calendar_rules import entry_list
from orchestrator.web.pages.drawn_calendar import VIEWS, drawing, span_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.pages.shown_environments import EnvironmentCursor, NameText, is_found, shown_environments
from orchestrator.web.requests import managed_application, reader_zone

router = APIRouter(include_in_schema=False)
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
    entries, whole = entries_within(app, who, calendar.rules, Interval(span.start, span.end))
    if chosen.text:
        entries = [each for each in entries if any(is_found(place, chosen.text) for place in each.environments)]
    about: dict[str, Any] = {
        "states": states(acting, declared, chosen.names),
        "shown": chosen,
        "after": after,
        "stops": [stop for stop in calendar.line_stops if stop.resumed_at is None],
        "overrides": recorded_overrides(acting).items,
        "environments": tuple(app.environments),
        "zones": zone_names(),
        **entry_list(acting, calendar.rules),
        "whole": whole,
        "actions": {
            "stop": is_allowed(acting, Action.STOP_LINE),
            "resume": is_allowed(acting, Action.RESUME_LINE),
        },
    }
    return rendered(request, "calendar", who, 200, chosen_zone, **about, **drawing(span, chosen.names, entries, now))


def checked_zone(name: str | None) -> str | None:
    """*name*, if it is a time zone. Raises N110."""
    if name and name not in zone_names():
        raise OrchestratorError("N110", "zone: a name such as Europe/Berlin is required")
    return name or None
