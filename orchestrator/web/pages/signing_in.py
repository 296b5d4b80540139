"""Pages for sign-in, sign-out and one-time links, and the files of pages."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from orchestrator.app.authentication import NewSession
from orchestrator.domain.calendar.zones import zone_names
from orchestrator.domain.error_codes import CREDENTIALS_NOT_POSSIBLE
from orchestrator.domain.errors import OrchestratorError, catalogue
from orchestrator.domain.text import nearest
from orchestrator.web.locked_assets import FOLDER, listed_assets
from orchestrator.web.pages.rendering import HERE, after_form, rendered
from orchestrator.web.problems import status_of
from orchestrator.web.requests import (
    ZONE_COOKIE,
    application,
    check_form,
    cookie_name,
    form_of,
    own_path,
    request_source,
    require_actor,
    signed_in,
)

STATIC = {name: (HERE / "static" / name).read_bytes() for name in ("app.css", "icon.svg", "keys.js", "steady.js")}
ZONE_LASTS_S = 400 * 86400
"""Browsers keep cookies no longer than 400 days."""
TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
router = APIRouter(include_in_schema=False)


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


@router.get("/errors/{code}")
def code_page(request: Request, code: str) -> HTMLResponse:
    """What a code means. Raises N111."""
    entry = catalogue().get(code)
    if entry is None:
        raise OrchestratorError("N111", f"there is no code {code[:20]}")
    return rendered(request, "code", signed_in(request), entry=entry)


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/", ended: str = "") -> HTMLResponse:  # noqa: A002 - the name of the parameter
    """The form to sign in with a password, and the providers. *ended* is the provider of a session that has ended."""
    return rendered(request, "sign_in", None, **_form_values(request, own_path(next), ended=ended))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Start a session. Any session before it ends."""
    form = await form_of(request)
    return await run_in_threadpool(_sign_in, request, form)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""
    form = await form_of(request)
    return await run_in_threadpool(_sign_out, request, form)


@router.post("/me/zone")
async def choose_zone(request: Request) -> Response:
    """Choose the time zone of the reader's pages. Raises N110."""
    form = await form_of(request)
    return await run_in_threadpool(_choose_zone, request, form)


@router.get("/link/{text}")
def link_page(request: Request, text: str) -> HTMLResponse:
    """The form to set a password. Raises N124."""
    link = application(request).authentication.link(text)
    return rendered(request, "link", None, link=link, error=None, name="")


@router.post("/link/{text}")
async def use_link(request: Request, text: str) -> Response:
    """Set the password, and start a session."""
    form = await form_of(request)
    return await run_in_threadpool(_use_link, request, form, text)


def _form_values(
    request: Request, next_path: str, *, error: OrchestratorError | None = None, name: str = "", ended: str = ""
) -> dict[str, Any]:
    """What the template of the sign-in page is given."""
    rules = application(request).single_sign_on.rules
    return {
        "next": next_path,
        "error": error,
        "name": name,
        "providers": rules.providers,
        "ended": rules.provider(ended),
    }


def _sign_in(request: Request, form: dict[str, str]) -> Response:
    way_in, name = application(request).authentication, form.get("name", "")
    before = signed_in(request)
    try:
        made = way_in.sign_in(name, form.get("password", ""), request_source(request))
    except OrchestratorError as error:
        where = own_path(form.get("next", "/"))
        values = _form_values(request, where, error=error, name=name)
        return rendered(request, "sign_in", None, int(status_of(error)), **values)
    if before is not None and before.session is not None:
        way_in.sign_out(before.session)
    return with_cookie(request, after_form(own_path(form.get("next", "/"))), made)


def _choose_zone(request: Request, form: dict[str, str]) -> Response:
    check_form(require_actor(request), form)
    name = form.get("zone", "").strip()
    if name not in zone_names():
        raise OrchestratorError(
            "N110", f"zone: a name such as Europe/Berlin; {nearest(name[:60], sorted(zone_names()))}"
        )
    response, secure = after_form("/me"), request.url.scheme == "https"
    response.set_cookie(ZONE_COOKIE, name, path="/", max_age=ZONE_LASTS_S, secure=secure, httponly=True, samesite="lax")
    return response


def _sign_out(request: Request, form: dict[str, str]) -> Response:
    who = require_actor(request)
    check_form(who, form)
    if who.session is not None:
        application(request).authentication.sign_out(who.session)
    origin = who.session.origin if who.session is not None else None
    response = after_form(f"/sign-in?{urlencode({'ended': origin.provider})}" if origin is not None else "/sign-in")
    remove_cookie(request, response, cookie_name(request))
    return response


def _use_link(request: Request, form: dict[str, str], text: str) -> Response:
    way_in, name = application(request).authentication, form.get("name", "")
    try:
        made = way_in.set_password(text, name, form.get("password", ""), request_source(request))
    except OrchestratorError as error:
        if error.code != CREDENTIALS_NOT_POSSIBLE:
            raise
        return rendered(request, "link", None, int(status_of(error)), link=way_in.link(text), error=error, name=name)
    return with_cookie(request, after_form("/"), made)


def with_cookie(request: Request, response: Response, session: NewSession) -> Response:
    """*response* with the cookie of a new session, for this browser session."""
    secure = request.url.scheme == "https"
    response.set_cookie(cookie_name(request), session.value, path="/", secure=secure, httponly=True, samesite="lax")
    return response


def remove_cookie(request: Request, response: Response, name: str) -> None:
    """Have the browser remove the cookie *name*: with TLS it ignores a `__Host-` cookie that is not `Secure`."""
    secure = request.url.scheme == "https"
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")
