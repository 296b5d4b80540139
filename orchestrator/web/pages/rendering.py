"""Templates, and what every page is given."""

from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.domain.errors import OrchestratorError, lookup
from orchestrator.domain.moments import utc
from orchestrator.web.problems import status_of
from orchestrator.web.requests import SignedIn, application, require_actor, signed_in

Who = Annotated[SignedIn, Depends(require_actor)]
HERE = files("orchestrator.web.pages")
templates = Environment(
    loader=FileSystemLoader(str(HERE / "templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PLACES = (
    ("Now", (("/", "Home"), ("/matrix", "What runs where"), ("/runs", "Runs"), ("/environments", "Environments"))),
    ("Plan", (("/requests", "Requests"), ("/calendar", "Calendar"))),
    ("Records", (("/audit", "Audit"), ("/me", "Your account"))),
)
"""The pages of the navigation."""
SIGNS = {
    "verified": "good",
    "current": "good",
    "partly": "warn",
    "standing by": "cold",
    "rolled back": "warn",
    "needs intervention": "bad",
    "absent": "none",
}
"""The meaning of each state of a release in an environment, which has one colour and one sign."""
RUN_SIGNS = {"succeeded": "good", "rolled back": "warn", "failed": "bad", "needs intervention": "bad"}
REQUEST_SIGNS = {"waiting": "wait", "ready": "run", "held": "cold", "started": "run", "finished": "good"}
CONDITION_SIGNS = {"met": "good", "warning": "warn", "waiting": "wait", "refused": "bad"}


def minute(time: str | datetime | None) -> str:
    """A time for readers, in UTC; the exact one is in the attribute `datetime`."""
    if not time:
        return "–"
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return utc(moment).strftime("%d %b %Y %H:%M UTC")


def short_digest(text: str) -> str:
    """The beginning of a digest, which identifies it for readers."""
    return text.removeprefix("sha256:")[:12]


def run_sign(run: Any) -> str:
    """The sign of a run: that of its state after its end, otherwise that of what it does."""
    if run.ended:
        return RUN_SIGNS.get(str(run.state.value), "none")
    return "bad" if getattr(run, "interrupted", False) else "run"


templates.filters.update(minute=minute, short=short_digest)
templates.globals.update(
    signs=SIGNS, run_sign=run_sign, request_signs=REQUEST_SIGNS, condition_signs=CONDITION_SIGNS, places=PLACES
)


def rendered(request: Request, name: str, who: SignedIn | None, status: int = 200, /, **values: Any) -> HTMLResponse:
    """The page of the template *name*."""
    own = {"who": who, "project": application(request).project.name, "here": request.url.path}
    return HTMLResponse(templates.get_template(f"{name}.html").render(**own, **values), status)


def error_page(request: Request, error: OrchestratorError) -> HTMLResponse:
    """The page for *error*, with its code and remedy."""
    try:
        who = signed_in(request)
    except OrchestratorError:
        who = None
    about = {"error": error, "entry": lookup(error.code), "request_id": request.state.request_id}
    return rendered(request, "error", who, int(status_of(error)), **about)


def after_form(path: str) -> RedirectResponse:
    """What follows a form: the page at *path*, which a reload does not send again."""
    return RedirectResponse(path, 303)
