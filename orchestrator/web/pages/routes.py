"""The pages. Each reads its request, calls use cases as the actor, and renders what they return."""

from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.app.authentication import NewSession
from orchestrator.app.calendar import states
from orchestrator.app.run_requests import list_requests
from orchestrator.domain.errors import OrchestratorError, catalogue, lookup
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.run_reason import reason
from orchestrator.web.locked_assets import FOLDER, listed_assets
from orchestrator.web.problems import status_of
from orchestrator.web.requests import (
    SignedIn,
    application,
    check_form,
    cookie_name,
    form_of,
    own_path,
    request_source,
    require_actor,
    signed_in,
)

Who = Annotated[SignedIn, Depends(require_actor)]
HERE = files("orchestrator.web.pages")
OPEN_RUNS = RunFilter(is_open=True)
router = APIRouter(include_in_schema=False)
templates = Environment(
    loader=FileSystemLoader(str(HERE / "templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
STATIC = {"app.css": (HERE / "static" / "app.css").read_bytes()}
TYPES = {"css": "text/css", "js": "text/javascript"}

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


def minute(text: str | None) -> str:
    """A time for readers, in UTC; the exact one is in the attribute `datetime`."""
    return datetime.fromisoformat(text).strftime("%d %b %Y %H:%M UTC") if text else "–"


templates.filters["minute"] = minute
templates.globals["signs"] = SIGNS


def rendered(request: Request, name: str, who: SignedIn | None, status: int = 200, /, **values: Any) -> HTMLResponse:
    """The page of the template *name*."""
    own = {"who": who, "project": application(request).project.name, "here": request.url.path}
    return HTMLResponse(templates.get_template(f"{name}.html").render(**own, **values), status)


def error_page(request: Request, error: OrchestratorError) -> HTMLResponse:
    """The page for *error*, with its code and remedy."""
    about = {"error": error, "entry": lookup(error.code), "request_id": request.state.request_id}
    return rendered(request, "error", None, int(status_of(error)), **about)


@router.get("/assets/{name}")
def asset_file(name: str) -> Response:
    """A file of ours, or one of `assets.lock`. Raises N111."""
    data = STATIC.get(name)
    if data is None and name in {each.name for each in listed_assets()}:
        data = (FOLDER / name).read_bytes()
    if data is None:
        raise OrchestratorError("N111", f"there is no file {name}")
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(data, headers=headers, media_type=TYPES[name.rsplit(".", 1)[-1]])


@router.get("/")
def home_page(request: Request, who: Who) -> HTMLResponse:
    """What needs the reader, what is under way, and what is closed."""
    app = application(request)
    acting = app.acting_as(who.actor)
    waiting = list_requests(acting, app.request_rules())
    facts = app.queries.facts_of_all(who.actor, tuple(app.environments))
    return rendered(
        request,
        "home",
        who,
        mine=[each for each in waiting if str(who.actor) in each.could],
        problems=[problem for item in facts for problem in item.problems],
        under_way=app.queries.run_page(who.actor, OPEN_RUNS, None, 20).items,
        calendar=states(acting, app.declared_rules()),
        facts=facts,
    )


@router.get("/matrix")
def matrix_page(request: Request, who: Who, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> HTMLResponse:
    """Every release in every environment."""
    app = application(request)
    facts = app.queries.facts_of_all(who.actor, tuple(app.environments))
    rows = app.queries.release_rows(who.actor, app.queries.releases(who.actor)[:limit], facts)
    return rendered(request, "matrix", who, facts=facts, rows=rows)


@router.get("/runs")
def runs_page(
    request: Request, who: Who, cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None
) -> HTMLResponse:
    """The runs, newest first."""
    found = application(request).queries.run_page(who.actor, RunFilter(), cursor, 50)
    return rendered(request, "runs", who, runs=found.items, cursor=found.cursor)


@router.get("/runs/{run}")
def story_page(request: Request, who: Who, run: str) -> HTMLResponse:
    """One run, step by step."""
    app = application(request)
    story = app.queries.story(who.actor, run)
    facts = app.queries.run_facts(who.actor, story.run)
    return rendered(request, "run", who, story=story, facts=facts, reason=reason(story))


@router.get("/errors/{code}")
def code_page(request: Request, code: str) -> HTMLResponse:
    """What a code means. Raises N111."""
    entry = catalogue().get(code)
    if entry is None:
        raise OrchestratorError("N111", f"there is no code {code[:20]}")
    return rendered(request, "code", signed_in(request), entry=entry)


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> HTMLResponse:  # noqa: A002 - the name of the parameter
    """The form to sign in with a password."""
    return rendered(request, "sign_in", None, next=own_path(next), error=None, name="")


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Start a session. Any session before it ends."""
    form = await form_of(request)
    return await _in_thread(_sign_in, request, form)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""
    form = await form_of(request)
    return await _in_thread(_sign_out, request, form)


@router.get("/link/{text}")
def link_page(request: Request, text: str) -> HTMLResponse:
    """The form to set a password. Raises N124."""
    link = application(request).authentication.link(text)
    return rendered(request, "link", None, link=link, error=None, name="")


@router.post("/link/{text}")
async def use_link(request: Request, text: str) -> Response:
    """Set the password, and start a session."""
    form = await form_of(request)
    return await _in_thread(_use_link, request, form, text)


async def _in_thread(work: Any, *args: Any) -> Response:
    from starlette.concurrency import run_in_threadpool

    response: Response = await run_in_threadpool(work, *args)
    return response


def _sign_in(request: Request, form: dict[str, str]) -> Response:
    way_in, name = application(request).authentication, form.get("name", "")
    before = signed_in(request)
    try:
        made = way_in.sign_in(name, form.get("password", ""), request_source(request))
    except OrchestratorError as error:
        where = own_path(form.get("next", "/"))
        return rendered(request, "sign_in", None, int(status_of(error)), next=where, error=error, name=name)
    if before is not None and before.session is not None:
        way_in.sign_out(before.session)
    return _with_cookie(request, RedirectResponse(own_path(form.get("next", "/")), 303), made)


def _sign_out(request: Request, form: dict[str, str]) -> Response:
    who = require_actor(request)
    check_form(who, form)
    if who.session is not None:
        application(request).authentication.sign_out(who.session)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(cookie_name(request), path="/", httponly=True, samesite="lax")
    return response


def _use_link(request: Request, form: dict[str, str], text: str) -> Response:
    way_in, name = application(request).authentication, form.get("name", "")
    try:
        made = way_in.set_password(text, name, form.get("password", ""), request_source(request))
    except OrchestratorError as error:
        if error.code != "N125":
            raise
        return rendered(request, "link", None, int(status_of(error)), link=way_in.link(text), error=error, name=name)
    return _with_cookie(request, RedirectResponse("/", 303), made)


def _with_cookie(request: Request, response: Response, made: NewSession) -> Response:
    """*response* with the cookie of a new session, for this browser session."""
    secure = request.url.scheme == "https"
    response.set_cookie(cookie_name(request), made.value, path="/", secure=secure, httponly=True, samesite="lax")
    return response
