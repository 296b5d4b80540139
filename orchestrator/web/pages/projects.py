"""The page of the portfolio."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from orchestrator.management.projects.queries import list_projects
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import managed_application

router = APIRouter(include_in_schema=False)


@router.get("/projects")
def projects_page(request: Request, who: Who) -> HTMLResponse:
    """What is under way, waits and is due in each project that the reader may view."""
    app = managed_application(request)
    return rendered(request, "projects", who, portfolio=list_projects(app.acting_as(who.actor), app.project_sources))
