"""The routes of `/api/v1` for change requests and bookings. Each calls one use case of release management."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from orchestrator.app.acting import Acting, unknown
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import parse_moment
from orchestrator.management.bookings.model import Quota
from orchestrator.management.bookings.queries import (
    BookingFilter,
    find_slots,
    list_bookings,
    list_quotas,
    show_booking,
    show_contention,
)
from orchestrator.management.bookings.store import BOOKINGS, QUOTAS
from orchestrator.management.change_requests.decisions import add_change
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.queries import list_changes, show_change, show_ranking
from orchestrator.management.change_requests.state import OPEN_STATES, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.documents import booking_item, change_item, ranking_data
from orchestrator.management.measures.queries import MeasureFilter, show_measures
from orchestrator.web import management
from orchestrator.web.api.changing import Key, Result, Writer, reply_once
from orchestrator.web.api.documents import (
    PREFIX,
    KeyCursor,
    Limit,
    Match,
    Who,
    expecting_tag,
    page_after,
    tagged_document,
)
from orchestrator.web.api.management_orders import (
    BookingEventOrder,
    BookingOrder,
    ChangeEdit,
    ChangeEventOrder,
    ChangeOrder,
    QuotaOrder,
    RankOrder,
)
from orchestrator.web.api.orders import Time
from orchestrator.web.requests import managed_application

Hours = Annotated[float, Query(ge=0.02, le=90 * 24)]
Days = Annotated[float, Query(ge=0.001, le=366)]
"""Of free times: both are longer than the shortest time that is searched for, a minute."""
Word = Annotated[str | None, Query(max_length=200)]
PageCursor = Annotated[str | None, Query(max_length=200, pattern=r"^[A-Z0-9:.TZ-]{1,60} [BR]-\d{1,9}$")]
SlotCursor = Annotated[str | None, Query(max_length=40, pattern=r"^[0-9T:.+-]{10,40}Z?$")]
router = APIRouter(prefix=PREFIX)


@router.get("/change-requests", tags=["change requests"])
def get_changes(
    request: Request,
    who: Who,
    state: Annotated[tuple[ChangeState, ...] | None, Query()] = None,
    sort: Literal["rank", "-rank"] = "-rank",
    cursor: PageCursor = None,
    limit: Limit = 50,
) -> Response:
    """The change requests, the highest rank first; by default those that have not ended."""
    acting = managed_application(request).acting_as(who.actor)
    page = list_changes(acting, state or OPEN_STATES, cursor, limit, lowest_first=sort == "rank")
    data = {"requests": [change_item(each) for each in page.items], "cursor": page.cursor}
    return tagged_document(request, "ChangeRequests", data)


@router.get("/change-ranking", tags=["change requests"])
def get_ranking(request: Request, who: Who, cursor: PageCursor = None, limit: Limit = 200) -> Response:
    """The open change requests by their rank, and with the first page those whose rank moved since one day ago."""
    found = show_ranking(managed_application(request).acting_as(who.actor), None, cursor, limit)
    data = ranking_data(found)
    return tagged_document(request, "ChangeRanking", data if cursor is None else {**data, "moved": []})


@router.get("/change-requests/{change}", tags=["change requests"])
def get_change(request: Request, who: Who, change: str) -> Response:
    """One change request."""
    app = managed_application(request)
    found = show_change(app.acting_as(who.actor), change, app.change_sources)
    return tagged_document(request, "ChangeRequest", change_item(found.request))


@router.post("/change-requests", tags=["change requests"], status_code=201)
def post_change(request: Request, who: Writer, order: ChangeOrder, key: Key = None) -> Response:
    """Add a draft; with *submit* it is assessed at once."""
    app = managed_application(request)

    def work() -> Result:
        draft = management.draft_of(order.model_dump(mode="json", exclude={"submit"}))
        made = add_change(app.acting_as(who.actor), draft, app.change_sources, submit=order.submit)
        return 201, "ChangeRequest", change_item(made)

    return reply_once(request, who, key, order, work)


def _changing(request: Request, who: Writer, change: str, match: str | None) -> Acting:
    """The actor for a change of the version *match* of a change request. Raises N145."""
    app = managed_application(request)
    acting = app.acting_as(who.actor)

    def read() -> ChangeRequest:
        return show_change(acting, change, app.change_sources).request

    return expecting_tag(acting, match, CHANGE_REQUESTS, read, ("ChangeRequest", change_item))


@router.post("/change-requests/{change}/edit", tags=["change requests"])
def post_edit(
    request: Request, who: Writer, change: str, order: ChangeEdit, key: Key = None, match: Match = None
) -> Response:
    """Change fields of a draft. Lists are replaced. With `If-Match` only the version that was read is changed."""
    app, fields = managed_application(request), order.model_dump(mode="json", exclude_unset=True)

    def work() -> Result:
        edited = management.enter_edit(app, _changing(request, who, change, match), change, fields)
        return 200, "ChangeRequest", change_item(edited)

    return reply_once(request, who, key, order, work)


@router.post("/change-requests/{change}/rank", tags=["change requests"])
def post_rank(
    request: Request, who: Writer, change: str, order: RankOrder, key: Key = None, match: Match = None
) -> Response:
    """Set the rank of a change request by hand; without a rank the formula counts again."""

    def work() -> Result:
        acting = _changing(request, who, change, match)
        return 200, "ChangeRequest", change_item(management.rank_change(acting, change, order.rank, order.reason))

    return reply_once(request, who, key, order, work)


def _change_route(event: str) -> None:
    """The route of one *event* of a change request."""

    def post_change_event(
        request: Request, who: Writer, change: str, order: ChangeEventOrder, key: Key = None, match: Match = None
    ) -> Response:
        app, how = managed_application(request), management.Decided(order.reason.strip(), order.until)

        def work() -> Result:
            done = management.CHANGE_EVENTS[event](app, _changing(request, who, change, match), change, how)
            return 200, "ChangeRequest", change_item(done)

        return reply_once(request, who, key, order, work)

    post_change_event.__doc__ = management.EVENT_TEXTS[event]
    path, name = f"/change-requests/{{change}}/{event}", f"{event} a change request"
    router.post(path, tags=["change requests"], name=name)(post_change_event)


for _event in management.CHANGE_EVENTS:
    _change_route(_event)


@router.get("/bookings", tags=["bookings"])
def get_bookings(
    request: Request,
    who: Who,
    *,
    environment: Word = None,
    mine: bool = False,
    ended: bool = False,
    sort: Literal["end", "-end"] = "end",
    cursor: PageCursor = None,
    limit: Limit = 50,
) -> Response:
    """The bookings by their end; by default those that have not ended."""
    acting, chosen = managed_application(request).acting_as(who.actor), BookingFilter(environment, mine, ended)
    page = list_bookings(acting, chosen, cursor, limit, latest_first=sort == "-end")
    data = {"bookings": [booking_item(each) for each in page.items], "cursor": page.cursor}
    return tagged_document(request, "Bookings", data)


@router.get("/bookings/{booking}", tags=["bookings"])
def get_booking(request: Request, who: Who, booking: str) -> Response:
    """One booking."""
    found = show_booking(managed_application(request).acting_as(who.actor), booking)
    return tagged_document(request, "Booking", booking_item(found))


@router.get("/free-slots", tags=["bookings"])
def get_slots(
    request: Request,
    who: Who,
    environment: str,
    hours: Hours = 4,
    days: Days = 30,
    cursor: SlotCursor = None,
    limit: Limit = 5,
) -> Response:
    """The next times at which an environment is open and can be booked."""
    app = managed_application(request)
    length, within, after = timedelta(hours=hours), timedelta(days=days), _moment(cursor)
    found = find_slots(
        app.acting_as(who.actor), environment, length, within, app.booking_sources, limit + 1, after=after
    )
    slots = [{"start": each.start.isoformat(), "end": each.end.isoformat()} for each in found[:limit]]
    following = slots[-1]["end"] if len(found) > limit else None
    return tagged_document(request, "FreeSlots", {"environment": environment, "slots": slots, "cursor": following})


def _moment(cursor: str | None) -> datetime | None:
    """The moment of a *cursor* in a list of slots. Raises N110."""
    try:
        return parse_moment(cursor) if cursor is not None else None
    except ValueError as error:
        raise OrchestratorError("N110", "the cursor is not one of this list") from error


@router.get("/contention", tags=["bookings"])
def get_contention(
    request: Request,
    who: Who,
    weeks: Annotated[int, Query(ge=1, le=26)] = 6,
    environment: Word = None,
    cursor: KeyCursor = None,
    limit: Limit = 200,
) -> Response:
    """The demand for each environment, or one, in the last week and the next ones."""
    app = managed_application(request)
    names = tuple(name for name in app.environments if environment in {None, name})
    first = names.index(last) if cursor is not None and (last := cursor.partition(" ")[0]) in names else 0
    names = names[first : first + limit // (weeks + 1) + 2]  # enough for a page, and for the first week after it
    found = show_contention(app.acting_as(who.actor), app.booking_sources, weeks, names)
    page, following = page_after(found, lambda each: f"{each.environment} {each.week.isoformat()}", cursor, limit)
    return tagged_document(request, "Contention", {"weeks": [each.to_json() for each in page], "cursor": following})


@router.get("/measures", tags=["measures"])
def get_measures(
    request: Request,
    who: Who,
    since: Time | None = None,
    until: Time | None = None,
    environment: Annotated[tuple[str, ...], Query()] = (),
) -> Response:
    """The five DORA measures of the last 90 days or another period of at most 3,660 days, each with its runs."""
    app = managed_application(request)
    chosen = MeasureFilter(since, until, environment)
    found = show_measures(app.acting_as(who.actor), app.measure_sources, chosen)
    return tagged_document(request, "Measures", {"measures": found.to_json()})


@router.get("/booking-quotas", tags=["bookings"])
def get_quotas(
    request: Request,
    who: Who,
    team: Word = None,
    environment: Word = None,
    sort: Literal["team", "-team", "hours", "-hours"] = "team",
    cursor: KeyCursor = None,
    limit: Limit = 200,
) -> Response:
    """The hours that teams can book in a week."""
    found = list_quotas(managed_application(request).acting_as(who.actor))
    chosen = [each for each in found if team in {None, each.team} and environment in {None, each.environment}]
    chosen.sort(key=lambda each: each.key)
    chosen.sort(key=lambda each: each.hours if "hours" in sort else each.team, reverse=sort.startswith("-"))
    page, following = page_after(chosen, lambda each: each.key, cursor, limit)
    return tagged_document(request, "Quotas", {"quotas": [each.to_json() for each in page], "cursor": following})


@router.get("/booking-quotas/{team}/{environment}", tags=["bookings"])
def get_quota(request: Request, who: Who, team: str, environment: str) -> Response:
    """The hours that a team can book in a week in one environment."""
    found = _quota(managed_application(request).acting_as(who.actor), team, environment)
    return tagged_document(request, "Quota", found.to_json())


def _quota(acting: Acting, team: str, environment: str) -> Quota:
    """The quota of *team* in *environment*. Raises A110."""
    every = list_quotas(acting)
    found = next((each for each in every if (each.team, each.environment) == (team, environment)), None)
    if found is None:
        raise unknown("quota", f"{team} in {environment}", [f"{each.team} in {each.environment}" for each in every])
    return found


@router.post("/bookings", tags=["bookings"], status_code=201)
def post_booking(request: Request, who: Writer, order: BookingOrder, key: Key = None) -> Response:
    """Book an environment; with *wait* a booking that is not possible waits until its time is free."""
    app = managed_application(request)

    def work() -> Result:
        fields = order.model_dump(exclude={"wait"}, exclude_none=True)
        made = management.enter_booking(app, app.acting_as(who.actor), fields, wait=order.wait)
        return 201, "Booking", booking_item(made)

    return reply_once(request, who, key, order, work)


@router.post("/booking-quotas", tags=["bookings"])
def post_quota(request: Request, who: Writer, order: QuotaOrder, key: Key = None, match: Match = None) -> Response:
    """Limit the hours that a team books in a week; without hours the limit is removed.

    With `If-Match` only the quota that was read is changed.
    """
    acting = managed_application(request).acting_as(who.actor)

    def work() -> Result:
        def read() -> Quota:
            return _quota(acting, order.team, order.environment)

        expecting = expecting_tag(acting, match, QUOTAS, read, ("Quota", Quota.to_json))
        return 200, "Quota", management.enter_quota(expecting, order.team, order.environment, order.hours).to_json()

    return reply_once(request, who, key, order, work)


def _booking_route(event: str) -> None:
    """The route of one *event* of a booking."""

    def post_booking_event(
        request: Request, who: Writer, booking: str, order: BookingEventOrder, key: Key = None, match: Match = None
    ) -> Response:
        app = managed_application(request)
        how = management.Decided(order.reason.strip(), order.until, order.holder.strip())

        def work() -> Result:
            acting = app.acting_as(who.actor)
            shown = ("Booking", booking_item)
            acting = expecting_tag(acting, match, BOOKINGS, lambda: show_booking(acting, booking), shown)
            done = management.BOOKING_EVENTS[event](app, acting, booking, how)
            return 200, "Booking", booking_item(done)

        return reply_once(request, who, key, order, work)

    post_booking_event.__doc__ = management.EVENT_TEXTS[event]
    path, name = f"/bookings/{{booking}}/{event}", f"{event} a booking"
    router.post(path, tags=["bookings"], name=name)(post_booking_event)


for _event in management.BOOKING_EVENTS:
    _booking_route(_event)
