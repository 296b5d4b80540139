"""The calendar that programs of a user read, and the forms of its secret address."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response

from orchestrator.app.calendar_addresses import (
    calendar_address,
    calendar_reader,
    create_calendar_address,
    revoke_calendar_address,
)
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.calendar_feed import read_feed
from orchestrator.web.pages.changing import Form, shown_page, submitted
from orchestrator.web.pages.rendering import rendered
from orchestrator.web.requests import SignedIn, application, full_address

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

    def work(app: Any, who: SignedIn, form: Form) -> Response:
        del form
        made = create_calendar_address(app.acting_as(who.actor))
        return rendered(request, "calendar_address", who, address=full_address(request, made.path))

    return await shown_page(request, work)


@router.post("/me/calendar/revoke")
async def post_revoke(request: Request) -> Response:
    """Revoke the address."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        del form
        acting = app.acting_as(who.actor)
        if calendar_address(acting) is not None:
            revoke_calendar_address(acting, who.actor.name)
        return "/me"

    return await submitted(request, work)
