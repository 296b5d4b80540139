"""The exception to the calendar: what closes an environment for a release, and the form that passes it."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.admission import override_calendar, show_closings
from orchestrator.app.calendar import recorded_overrides
from orchestrator.web.pages.changing import Form, submitted, text_of
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import SignedIn, managed_application, required_reason

router = APIRouter(include_in_schema=False)
Word = Annotated[str, Query(max_length=200)]
LATEST = 10
"""How many overrides of the release in the environment are shown."""


@router.get("/promote/override")
def override_page(request: Request, who: Who, release: Word, environment: Word) -> HTMLResponse:
    """What closes an environment for a release now, what the reader may pass of it, and the form for that."""
    app = managed_application(request)
    package = app.releases.kept_package(who.actor, release)
    acting = app.acting_as(who.actor)
    found = show_closings(acting, app.promotion(package, environment))
    here = (package.ref.digest, environment)
    about: dict[str, Any] = {
        "package": package,
        "environment": environment,
        "closings": found,
        "passable": [each.closing for each in found if not each.refusal],
        "overrides": [each for each in recorded_overrides(acting).items if (each.package, each.environment) == here][
            :LATEST
        ],
    }
    return rendered(request, "override", who, **about)


@router.post("/promote/override")
async def send_override(request: Request) -> Response:
    """Let a release pass what closes an environment now, for good in the records."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        release, environment = text_of(form, "release", needed=True), text_of(form, "environment", needed=True)
        package = app.releases.kept_package(who.actor, release)
        reason = required_reason(text_of(form, "reason"), "override")
        entry = text_of(form, "entry", needed=True)
        override_calendar(app.acting_as(who.actor), app.promotion(package, environment), reason, entry)
        return "/promote/override?" + urlencode({"release": package.ref.digest, "environment": environment})

    return await submitted(request, work)
