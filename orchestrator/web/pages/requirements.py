"""The page of requirements: what the hosts of an environment have of what releases require, host by host."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.acting import Right, require_unrecorded
from orchestrator.app.requirement_reports import requirement_reports
from orchestrator.domain.access.actions import Action
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, managed_application
from orchestrator.web.worker_call import call_view, have_done

router = APIRouter(include_in_schema=False)
Short = Annotated[str, Query(max_length=200)]
CHECK = "inspections.requirements"
SHOWN = 20
"""Reports on the page; `release` names another one."""
OFFERED = 200
"""Packages in the list of the form."""


@router.get("/environments/{environment}/requirements")
def requirements_page(
    request: Request, who: Who, environment: str, release: Short = "", call: Short = "", part: Short = ""
) -> HTMLResponse:
    """The newest report of each release in one environment, or of *release* alone; *call* is the check of a worker."""
    app = managed_application(request)
    app.require_environment(environment)
    acting = app.acting_as(who.actor)
    reports = [each for each in requirement_reports(acting, environment) if release in {"", each.digest}]
    view = call_view(app, who.actor, call, CHECK, {"environment": environment}) if call else None
    about: dict[str, Any] = {
        "environment": environment,
        "reports": reports[:SHOWN],
        "more": len(reports) - SHOWN,
        "release": release,
        "call": view,
        "checking": view is not None and not view.has_ended,
        "observes": is_allowed(acting, Action.OBSERVE, environment),
        "worker": app.scheduler_runs(),
    }
    if part:
        return rendered(request, "requirement_reports", who, **about)
    return rendered(request, "requirements", who, packages=app.releases.kept_refs(who.actor)[-OFFERED:], **about)


@router.post("/environments/{environment}/requirements")
async def send_requirements_check(request: Request, environment: str) -> Response:
    """Have a worker measure what the hosts have of what a release requires."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        app.require_environment(environment)
        rights = (Right(Action.OBSERVE, environment),)
        require_unrecorded(app.acting_as(who.actor), rights)
        package = app.releases.kept_package(who.actor, text_of(form, "release", needed=True))
        arguments = {"package": package.ref.to_json(), "environment": environment}
        made = have_done(app, who.actor, CHECK, arguments)
        return f"/environments/{quote(environment)}/requirements?call={made}#reports"

    return await submitted(request, work)
