"""Pages of change requests: the backlog, one request, and the forms of its events."""

import math
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.change_requests.decisions import add_change
from orchestrator.management.change_requests.queries import list_changes, show_change, show_ranking
from orchestrator.management.change_requests.state import OPEN_STATES, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.web import management
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, expecting_shown, submitted, text_of
from orchestrator.web.pages.rendering import PartName, Since, Who, live_state, rendered
from orchestrator.web.requests import SignedIn, managed_application, moment_in, reader_zone

router = APIRouter(include_in_schema=False)
PageCursor = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9.]{1,40} R-\d{1,9}$")]
LISTS = ("packages", "environments", "links")
LONGEST_REASON = 10_000
EVENT_WORDS = {
    "submit": "Have it assessed",
    "revise": "Make it a draft again",
    "accept": "Accept",
    "reject": "Reject",
    "defer": "Defer",
    "reopen": "Assess it again",
    "withdraw": "Withdraw",
    "close": "Close",
}


@router.get("/change-requests")
def changes_page(
    request: Request, who: Who, *, state: str = "", everything: bool = False, cursor: PageCursor = None
) -> HTMLResponse:
    """The backlog, the highest rank first, with what moved since yesterday."""
    acting = managed_application(request).acting_as(who.actor)
    if state and state not in set(ChangeState):
        raise OrchestratorError("N110", f"state: one of {', '.join(ChangeState)}")
    states = (ChangeState(state),) if state else tuple(ChangeState) if everything else OPEN_STATES
    page = list_changes(acting, states, cursor, 50)
    about: dict[str, Any] = {
        "requests": page.items,
        "cursor": page.cursor,
        "state": state,
        "states": tuple(ChangeState),
        "everything": everything,
        "ranking": show_ranking(acting, limit=1),
        "adds": is_allowed(acting, Action.EDIT_REQUESTS),
    }
    return rendered(request, "change_requests", who, **about)


@router.post("/change-requests")
async def send_change(request: Request) -> Response:
    """Add a change request."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        draft = management.draft_of(fields_of(form))
        submit = form.get("submit") == "yes"
        made = add_change(app.acting_as(who.actor), draft, app.change_sources, submit=submit)
        return f"/change-requests/{made.id}"

    return await submitted(request, work)


@router.get("/change-requests/{change}")
def change_page(request: Request, who: Who, change: str, part: PartName = None, since: Since = "") -> HTMLResponse:
    """One change request: why, its rank and risk with their arithmetic, its checks, and what can be done.

    With *part* only what changes while it is read.
    """
    app = managed_application(request)
    acting = app.acting_as(who.actor)
    shown = show_change(acting, change, app.change_sources)
    state = live_state(f"{shown.request.state.value}, rank {shown.request.rank:.2f}", since)
    if part is not None:
        return rendered(request, "change_request_part", who, shown=shown, **state)
    decides = is_allowed(acting, Action.DECIDE_REQUESTS)
    owns = shown.request.reporter == str(who.actor) and is_allowed(acting, Action.EDIT_REQUESTS)
    about: dict[str, Any] = {
        "shown": shown,
        "events": management.possible_changes(acting, shown.request),
        "words": EVENT_WORDS,
        "edits": shown.request.state is ChangeState.DRAFT and (decides or owns),
        "ranks": decides and not shown.request.has_ended,
    }
    return rendered(request, "change_request", who, **about, **state)


@router.post("/change-requests/{change}/edit")
async def send_edit(request: Request, change: str) -> Response:
    """Change the fields of a draft."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting = expecting_shown(app.acting_as(who.actor), CHANGE_REQUESTS, change, form)
        edited = management.enter_edit(app, acting, change, fields_of(form))
        return f"/change-requests/{edited.id}"

    return await submitted(request, work)


@router.post("/change-requests/{change}/rank")
async def send_rank(request: Request, change: str) -> Response:
    """Set the rank by hand; an empty field lets the formula count again."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        text = text_of(form, "rank")
        rank = number_of(text, "rank") if text else None
        ranked = management.rank_change(app.acting_as(who.actor), change, rank, text_of(form, "reason"))
        return f"/change-requests/{ranked.id}"

    return await submitted(request, work)


def _event_route(event: str) -> None:
    """The form of one *event*."""

    async def send_change_event(request: Request, change: str) -> Response:
        zone = reader_zone(request)

        def work(app: Any, who: SignedIn, form: Form) -> str:
            until = moment_in(zone, text_of(form, "until"), "until")
            how = management.Decided(text_of(form, "reason"), until)
            done = management.CHANGE_EVENTS[event](app, app.acting_as(who.actor), change, how)
            return f"/change-requests/{quote(done.id)}"

        return await submitted(request, work)

    send_change_event.__doc__ = management.EVENT_TEXTS[event]
    router.post(f"/change-requests/{{change}}/{event}", name=f"send_change_{event}")(send_change_event)


for _event in management.CHANGE_EVENTS:
    _event_route(_event)


def fields_of(form: Form) -> dict[str, Any]:
    """The fields of a draft in *form*, as JSON data; names are separated by commas. Raises N110."""
    fields: dict[str, Any] = {name: text_of(form, name) for name in ("title", "due") if form.get(name, "").strip()}
    if "reason" in form:
        fields["reason"] = form["reason"].strip().replace("\r\n", "\n")
    for name in ("value", "urgency"):
        if form.get(name):
            fields[name] = int(number_of(form[name], name))
    for name in LISTS:
        if name in form:
            parts = text_of(form, name).replace("\n", ",").split(",")
            fields[name] = [part.strip() for part in parts if part.strip()]
    return fields


def number_of(text: str, name: str) -> float:
    """*text* as a number. Raises N110."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise OrchestratorError("N110", f"{name}: a number is required")
    return found
