"""The route with the projects of the server."""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orchestrator.management.projects.queries import list_projects
from orchestrator.web.api.documents import PREFIX, KeyCursor, Limit, Who, page_after, sorted_by, tagged_document
from orchestrator.web.requests import managed_application

router = APIRouter(prefix=PREFIX)


@router.get("/projects", tags=["projects"])
def get_projects(
    request: Request,
    who: Who,
    sort: Literal["name", "-name"] = "name",
    cursor: KeyCursor = None,
    limit: Limit = 200,
) -> Response:
    """The projects that the actor may view: what is under way, waits and is due in each."""
    app = managed_application(request)
    found = list_projects(app.acting_as(who.actor), app.project_sources)
    ordered = sorted_by(found.projects, sort, name=lambda each: each.name)
    page, following = page_after(ordered, lambda each: each.name, cursor, limit)
    shown = {"projects": [each.to_json() for each in page], "unreadable": found.unreadable, "cursor": following}
    return tagged_document(request, "Projects", shown)
