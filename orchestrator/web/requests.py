"""What a request to the server is: its application, its actor, its form."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast
from urllib.parse import parse_qsl

from fastapi import Query, Request
from pydantic import ValidationError
from pydantic_core import to_json

from orchestrator.app.authentication import Source
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.access.sign_in import Session, form_token
from orchestrator.domain.calendar.zones import to_utc, zone_names
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import RELEASE_CURSOR
from orchestrator.domain.model import Model
from orchestrator.domain.project_addresses import client_address
from orchestrator.web.addresses import prefix_of
from orchestrator.web.multipart import LARGEST_UPLOAD, boundary_of, multipart_fields

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.management.application import ManagedApplication

M = TypeVar("M", bound=Model)

COOKIE, SECURE_COOKIE = "orchestrator", "__Host-orchestrator"
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
FORM_HEADER = "x-form-token"
LARGEST_FORM = 64 * 1024
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
ZONE_COOKIE = "zone"
BROWSER_ZONE_COOKIE = "browser-zone"
"""The zone of the reader's machine, which `keys.js` sets. The page of the account sets the other one."""
UTC_NAME = "UTC"
FIRST_YEAR, LAST_YEAR = 1970, 2200
ReleaseCursor = Annotated[str | None, Query(pattern=f"^(?:{RELEASE_CURSOR.pattern})$", max_length=500)]
"""The cursor of a list of releases."""
RequestCursor = Annotated[str | None, Query(max_length=200, pattern=r"^[0-9:.TZ-]{1,40} \S{1,120}$")]
"""The cursor of a list of run requests: the time and the id of the last one."""
TrainCursor = Annotated[str | None, Query(max_length=200, pattern=r"^[0-9:.TZ-]{1,60} T-\d{1,9}$")]
"""The cursor of a list of trains."""


@dataclass(frozen=True)
class SignedIn:
    """The *actor* of a request; with a *session* also the *value* of its cookie."""

    actor: Actor
    session: Session | None = None
    value: str = ""

    @property
    def form_token(self) -> str:
        """The token for the forms of a page."""
        return form_token(self.value)


def application(request: Request) -> "Application":
    """The project that the server serves."""
    return cast("Application", request.app.state.application)


def managed_application(request: Request) -> "ManagedApplication":
    """The project that the server serves, with its release management."""
    return cast("ManagedApplication", request.app.state.application)


def required_reason(reason: str, noun: str) -> str:
    """*reason* of what happens to a *noun*. Raises N110 if it is empty."""
    if not reason:
        raise OrchestratorError("N110", f"reason: it is required, and shown with the {noun}")
    return reason


def checked_model(model: type[M], fields: dict[str, Any]) -> M:
    """The *model* with these *fields*. Raises N110, with the name of the first wrong one."""
    try:
        return model.model_validate_json(to_json(fields))
    except ValidationError as error:
        raise field_error(error) from error


def field_error(error: ValidationError) -> OrchestratorError:
    """N110 with the name of the first wrong field."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or error.title
    return OrchestratorError("N110", f"{where}: {first['msg'].removeprefix('Value error, ')}")


def reader_zone(request: Request) -> str:
    """The name of the time zone in which times are shown: that of the account, else of the browser, else UTC."""
    given = (request.cookies.get(name, "") for name in (ZONE_COOKIE, BROWSER_ZONE_COOKIE))
    return next((name for name in given if name in zone_names()), UTC_NAME)


def moment_in(zone: str, text: str, name: str) -> datetime | None:
    """The moment that the field *name* of a form means by *text*, a time on the clocks of *zone*. Raises N110."""
    if not text:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        given = None
    if given is None or not FIRST_YEAR <= given.year <= LAST_YEAR:
        raise OrchestratorError("N110", f"{name}: a time such as 2026-12-01T08:00 is possible")
    return given if given.tzinfo is not None else to_utc(given, zone)


def full_address(request: Request, path: str) -> str:
    """The address of *path*, which a page or the server names, with the scheme and the host of *request*."""
    return f"{request.url.scheme}://{request.url.netloc}{client_address(prefix_of(request.scope), path)}"


def request_source(request: Request) -> Source:
    """Where the request comes from."""
    address = request.client.host if request.client is not None else ""
    return Source(address, request.headers.get("user-agent", ""))


def cookie_name(request: Request) -> str:
    """The name of the cookie: with TLS one that no other host or path can set."""
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE


def signed_in(request: Request) -> SignedIn | None:
    """Who acts: the owner of the token, otherwise the user of the session. Raises A108 for a wrong token."""
    way_in = application(request).authentication
    given = request.headers.get("authorization")
    if given is not None:
        scheme, _, text = given.partition(" ")
        if scheme.lower() != "bearer":
            raise OrchestratorError("N120", "the header Authorization has another scheme than Bearer")
        return SignedIn(way_in.token(text.strip()))
    value = request.cookies.get(cookie_name(request), "")
    session = way_in.session(value) if value else None
    return SignedIn(session.actor(), session, value) if session is not None else None


def require_actor(request: Request) -> SignedIn:
    """The actor. Raises A108, and N120 without a sign-in."""
    found = signed_in(request)
    if found is None:
        raise OrchestratorError("N120", "the request has neither a token nor a session")
    return found


def require_writer(request: Request) -> SignedIn:
    """Who acts in a request that changes something. With a session it needs the token of forms in a header.

    Raises A108, N120 and N122.
    """
    who = require_actor(request)
    if who.session is not None:
        check_origin(request)
        check_form(who, {FORM_TOKEN: request.headers.get(FORM_HEADER, "")})
    return who


def check_origin(request: Request) -> None:
    """Return if a page of this server has sent the form, by the headers that a page cannot set. Raises N122."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = origin is not None and origin.partition("://")[2] == request.url.netloc
    if site == "same-origin" or (site is None and own):
        return
    raise OrchestratorError("N122", "the form was sent from another site")


def check_form(who: SignedIn, form: dict[str, str]) -> None:
    """Return if *form* has the token of the session. Raises N122."""
    if not hmac.compare_digest(form.get(FORM_TOKEN, "").encode(), who.form_token.encode()):
        raise OrchestratorError("N122", "the form is of another session")


async def form_of(request: Request, *, files: bool = False) -> dict[str, str]:
    """The fields of a form that a page of this server has sent, also with *files*. Raises N110 and N122."""
    check_origin(request)
    boundary = boundary_of(request.headers.get("content-type", "")) if files else None
    if boundary is None:
        form = await read_form(request)
    else:
        form = multipart_fields(await _body(request, LARGEST_UPLOAD), boundary)
    request.state.form = form
    return form


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, from any sender. Raises N110."""
    body = await _body(request, LARGEST_FORM)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise OrchestratorError("N110", "the form cannot be read") from error


async def _body(request: Request, largest: int) -> bytes:
    """The body of a form. Raises N110 if it has more than *largest* bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise OrchestratorError("N110", f"the form has more than {largest} bytes")
    return bytes(body)


def own_path(text: str) -> str:
    """*text* if it is a path of this server, otherwise the first page."""
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() else "/"
