"""The calendar that programs of a user read, and the forms of its secret address."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from orchestrator.app.calendar_addresses import (
    calendar_address,
    calendar_reader,
    create_calendar_address,
    revoke_calendar_address,
)
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.calendar_feed import read_feed
from orchestrator.web.addresses import client_address, prefix_of
from orchestrator.web.pages.rendering import after_form, rendered
from orchestrator.web.requests import application, check_form, form_of, require_actor

router = APIRouter(include_in_schema=False)
MEDIA = "text/calendar; charset=utf-8"


@router.get("/calendars/{text}.ics")
def subscribed_calendar(
    request: Request, text: str, known: Annotated[str | None, Header(alias="if-none-match")] = None
) -> Response:
    """The calendar of the user to whom the secret address belongs; 304 if the program has it already. Raises N111."""
    app = application(request)
    found = calendar_reader(app.register, text)
    if found is None:
        raise OrchestratorError("N111", "the calendar does not exist")
    actor, address = found
    body = app.write_feed(read_feed(app.acting_as(actor), app.declared_rules(), address.created_at)).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if known is not None and tag in known.replace("W/", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=MEDIA)


@router.post("/me/calendar")
async def post_address(request: Request) -> Response:
    """Create the address, in place of an earlier one. The page has it once."""
    form = await form_of(request)
    return await run_in_threadpool(_create, request, form)


@router.post("/me/calendar/revoke")
async def post_revoke(request: Request) -> Response:
    """Revoke the address."""
    form = await form_of(request)
    return await run_in_threadpool(_revoke, request, form)


def _create(request: Request, form: dict[str, str]) -> Response:
    who = require_actor(request)
    check_form(who, form)
    made = create_calendar_address(application(request).acting_as(who.actor))
    address = f"{request.url.scheme}://{request.url.netloc}{client_address(prefix_of(request.scope), made.path)}"
    return rendered(request, "calendar_address", who, address=address)


def _revoke(request: Request, form: dict[str, str]) -> Response:
    who = require_actor(request)
    check_form(who, form)
    acting = application(request).acting_as(who.actor)
    if calendar_address(acting) is not None:
        revoke_calendar_address(acting, who.actor.name)
    return after_form("/me")
