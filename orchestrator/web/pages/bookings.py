"""Pages of bookings: who has which environment when, free times, demand, and the forms of a booking's events."""

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.access import allowed_environments
from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.application import ManagedApplication
from orchestrator.management.bookings.contention import WeekDemand
from orchestrator.management.bookings.queries import (
    BookingFilter,
    find_slots,
    list_bookings,
    list_quotas,
    show_booking,
    show_contention,
)
from orchestrator.web import management
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.change_requests import number_of
from orchestrator.web.pages.changing import Form, submitted, text_of
from orchestrator.web.pages.rendering import PartName, Since, Who, live_state, rendered
from orchestrator.web.requests import SignedIn, managed_application, moment_in, reader_zone

router = APIRouter(include_in_schema=False)
Word = Annotated[str | None, Query(max_length=200)]
PageCursor = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9:.TZ-]{1,60} B-\d{1,9}$")]
Hours = Annotated[float, Query(ge=0.02, le=90 * 24)]
SEARCHED = timedelta(days=30)
SHOWN_WEEKS = 6
EVENT_WORDS = {"extend": "Extend", "hand-over": "Hand over", "end": "End", "cancel": "Cancel the booking"}


@router.get("/bookings")
def bookings_page(
    request: Request,
    who: Who,
    *,
    environment: Word = None,
    mine: bool = False,
    ended: bool = False,
    hours: Hours = 4,
    cursor: PageCursor = None,
) -> HTMLResponse:
    """The bookings by their end; for one environment also its next free times; and the demand of each week."""
    app = managed_application(request)
    acting, place = app.acting_as(who.actor), environment or None
    page = list_bookings(acting, BookingFilter(place, mine, ended), cursor, 50)
    within = timedelta(hours=hours)
    bookable = allowed_environments(acting, Action.BOOK, app.environments)
    about: dict[str, Any] = {
        "bookings": page.items,
        "cursor": page.cursor,
        "environments": tuple(app.environments),
        "bookable": bookable,
        "environment": place or "",
        "mine": mine,
        "ended": ended,
        "hours": hours,
        "slots": find_slots(acting, place, within, SEARCHED, app.booking_sources) if place else (),
        "weeks": demand_weeks(app, acting, place),
        "quotas": list_quotas(acting),
        "manages": is_allowed(acting, Action.MANAGE_BOOKINGS),
    }
    return rendered(request, "bookings", who, **about)


def demand_weeks(app: ManagedApplication, acting: Acting, environment: str | None) -> list[WeekDemand]:
    """The weeks with a demand for one *environment*, or for any: the last one and the next ones."""
    names = (environment,) if environment is not None else None
    found = show_contention(acting, app.booking_sources, SHOWN_WEEKS, names, booked_only=True)
    return [week for week in found if has_demand(week)]


def has_demand(week: WeekDemand) -> bool:
    """Whether a week of the demand has anything to show."""
    return bool(week.booked or week.requested or week.used or week.waited or week.clashes or week.unused)


@router.get("/bookings/{booking}")
def booking_page(request: Request, who: Who, booking: str, part: PartName = None, since: Since = "") -> HTMLResponse:
    """One booking with its use, its former holders, and what can be done; with *part* only what changes."""
    acting = managed_application(request).acting_as(who.actor)
    found = show_booking(acting, booking)
    about = {"booking": found, **live_state(found.state.value, since)}
    if part is not None:
        return rendered(request, "booking_part", who, **about)
    events = management.possible_bookings(acting, found)
    return rendered(request, "booking", who, events=events, words=EVENT_WORDS, **about)


@router.post("/bookings")
async def send_booking(request: Request) -> Response:
    """Book an environment."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        start = moment_in(zone, text_of(form, "start", needed=True), "start")
        assert start is not None
        fields: dict[str, Any] = {
            "environment": text_of(form, "environment", needed=True),
            "start": start,
            "end": start + length_of(form),
            "purpose": text_of(form, "purpose", needed=True),
        }
        if text_of(form, "holder"):
            fields["holder"] = text_of(form, "holder")
        made = management.enter_booking(app, app.acting_as(who.actor), fields, wait=form.get("wait") == "yes")
        return f"/bookings/{made.id}"

    return await submitted(request, work)


def length_of(form: Form) -> timedelta:
    """The field *hours* as a length. Raises N110."""
    hours = number_of(text_of(form, "hours", needed=True), "hours")
    if not 0.02 <= hours <= 90 * 24:
        raise OrchestratorError("N110", "hours: at least 0.02 and at most 2160 are possible")
    return timedelta(hours=hours)


@router.post("/booking-quotas")
async def send_quota(request: Request) -> Response:
    """Limit the hours that a team books in a week; an empty field removes the limit."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        text = text_of(form, "hours")
        hours = number_of(text, "hours") if text else None
        team, place = text_of(form, "team", needed=True), text_of(form, "environment", needed=True)
        management.enter_quota(app.acting_as(who.actor), team, place, hours)
        return "/bookings"

    return await submitted(request, work)


def _event_route(event: str) -> None:
    """The form of one *event*."""

    async def send_booking_event(request: Request, booking: str) -> Response:
        zone = reader_zone(request)

        def work(app: Any, who: SignedIn, form: Form) -> str:
            until = moment_in(zone, text_of(form, "until"), "until")
            how = management.Decided(text_of(form, "reason"), until, text_of(form, "holder"))
            done = management.BOOKING_EVENTS[event](app, app.acting_as(who.actor), booking, how)
            return f"/bookings/{quote(done.id)}"

        return await submitted(request, work)

    send_booking_event.__doc__ = management.EVENT_TEXTS[event]
    router.post(f"/bookings/{{booking}}/{event}", name=f"send_booking_{event}")(send_booking_event)


for _event in management.BOOKING_EVENTS:
    _event_route(_event)
