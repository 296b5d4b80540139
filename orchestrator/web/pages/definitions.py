"""Pages of project definitions: the list with the one that is used, and one with its files and runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.domain.access.actions import Action
from orchestrator.domain.listing import RunFilter
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, application

router = APIRouter(include_in_schema=False)
PAGE = 50
Cursor = Annotated[str | None, Query(max_length=200, pattern=r"^[0-9T:.+Z-]{1,40} [0-9a-z:]{1,80}$")]
RunCursor = Annotated[str | None, Query(pattern=r"^\d{1,18}$")]


@router.get("/definitions")
def definitions_page(request: Request, who: Who, cursor: Cursor = None) -> HTMLResponse:
    """The definitions that were pushed, and which one new runs use."""
    app = application(request)
    about: dict[str, Any] = {
        "page": app.definitions.kept(who.actor, cursor, PAGE),
        "current": app.definitions.current(who.actor),
        "receives": app.receives_definitions,
        "pushes": is_allowed(app.acting_as(who.actor), Action.PUSH_DEFINITION),
    }
    return rendered(request, "definitions", who, **about)


@router.get("/definitions/{digest}")
def definition_page(request: Request, who: Who, digest: str, cursor: RunCursor = None) -> HTMLResponse:
    """One definition: its files, what is not in it, the runs that name it, and the button to use it. Raises A110."""
    app = application(request)
    shown = app.definitions.show(who.actor, digest)
    found = app.queries.run_page(who.actor, RunFilter(project_definition=shown.definition.digest), cursor, PAGE)
    current = app.definitions.current(who.actor)
    about: dict[str, Any] = {
        "shown": shown,
        "definition": shown.definition,
        "current": current.digest if current is not None else "",
        "runs": found.items,
        "cursor": found.cursor,
        "pushes": app.receives_definitions and is_allowed(app.acting_as(who.actor), Action.PUSH_DEFINITION),
    }
    return rendered(request, "definition", who, **about)


@router.post("/definitions/{digest}/use")
async def send_definition_use(request: Request, digest: str) -> Response:
    """Use a kept definition for new runs, if the one that the page has shown is still current."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        app.definitions.make_current(who.actor, digest, text_of(form, "current"), text_of(form, "reason"))
        return "/definitions"

    return await submitted(request, work)
