"""Sign-in and sign-out with OpenID Connect providers. Everything is a link or a redirect: no page needs a script."""

import contextlib
import logging
from collections.abc import Iterator
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from orchestrator.app.provider_accounts import ProviderRefusal
from orchestrator.domain.error_codes import ATTEMPT_OVER
from orchestrator.web.pages.rendering import after_form
from orchestrator.web.pages.signing_in import remove_cookie, with_cookie
from orchestrator.web.problems import problem_response
from orchestrator.web.requests import application, full_address, own_path, read_form, request_source, signed_in

ATTEMPT_COOKIE, SECURE_ATTEMPT_COOKIE = "orchestrator-sign-in", "__Host-orchestrator-sign-in"
ATTEMPT_S = 600
MOST_PARAMETERS = 20
log = logging.getLogger("orchestrator.web")
router = APIRouter(include_in_schema=False)


@router.get("/sign-in/{provider}")
def leave_for_provider(request: Request, provider: str, next: str = "/") -> Response:  # noqa: A002 - the name of the parameter
    """Lead to the provider. Raises N111 and N151."""
    with _logged(request, provider):
        found = application(request).single_sign_on.depart(provider, _callback(request, provider), own_path(next))
    response, secure = RedirectResponse(found.url, 303), request.url.scheme == "https"
    name = _cookie(request)
    response.set_cookie(name, found.value, max_age=ATTEMPT_S, path="/", secure=secure, httponly=True, samesite="lax")
    return response


@router.get("/sign-in/{provider}/callback")
def return_from_provider(request: Request, provider: str) -> Response:
    """Start a session for the answer of the provider. Any session before it ends. Raises N111 and N151 to N157."""
    way_in, value = application(request).single_sign_on, request.cookies.get(_cookie(request), "")
    before = signed_in(request)
    with _logged(request, provider):
        made = way_in.arrive(provider, _answer(request), value, request_source(request))
    if before is not None and before.session is not None:
        application(request).authentication.sign_out(before.session)
    response = with_cookie(request, after_form(made.next), made.session)
    remove_cookie(request, response, _cookie(request))
    return response


@router.get("/sign-in/{provider}/sign-out")
def sign_out_there(request: Request, provider: str) -> Response:
    """Lead to the page of the provider that ends its session. Raises N111 and N151."""
    back = full_address(request, "/sign-in")
    with _logged(request, provider):
        found = application(request).single_sign_on.sign_out_url(provider, back)
    return RedirectResponse(found or "/sign-in", 303)


@router.post("/sign-in/{provider}/back-channel")
async def back_channel(request: Request, provider: str) -> Response:
    """End the sessions that a logout token of the provider names. The provider sends it, and not a browser."""
    form = await read_form(request)
    return await run_in_threadpool(_end_sessions, request, provider, form.get("logout_token", ""))


def _end_sessions(request: Request, provider: str, token: str) -> Response:
    try:
        with _logged(request, provider):
            application(request).single_sign_on.end_sessions(provider, token)
    except ProviderRefusal as refusal:
        return problem_response(refusal, request.state.request_id)
    return Response(status_code=200, headers={"Cache-Control": "no-store"})


def _answer(request: Request) -> dict[str, str]:
    """The parameters of the provider's answer. Raises N153."""
    try:
        found = parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise ProviderRefusal(ATTEMPT_OVER, "the answer cannot be read") from None
    if len({name for name, _ in found}) != len(found):
        raise ProviderRefusal(ATTEMPT_OVER, "the answer has a parameter twice")
    return dict(found)


def _callback(request: Request, provider: str) -> str:
    """The address to which the provider leads back: under the name that the browser uses, which was checked."""
    return full_address(request, f"/sign-in/{provider}/callback")


def _cookie(request: Request) -> str:
    return SECURE_ATTEMPT_COOKIE if request.url.scheme == "https" else ATTEMPT_COOKIE


@contextlib.contextmanager
def _logged(request: Request, provider: str) -> Iterator[None]:
    """Write the reason of a refusal by the *provider* to the log, which users do not read."""
    try:
        yield
    except ProviderRefusal as refusal:
        log.warning("request %s: %s %s: %r", request.state.request_id, provider, refusal.code, refusal.why)
        raise
