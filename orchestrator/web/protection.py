"""What every response has: an id of its request, and the headers that protect its reader."""

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.domain.errors import OrchestratorError
from orchestrator.structured_logs import FIELDS
from orchestrator.web.limits import Limits
from orchestrator.web.problems import problem_response

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
LARGEST_HEADERS = 32 * 1024
MOST_HEADERS = 200
HSTS = "max-age=31536000"
log = logging.getLogger("orchestrator.web")


class Protection:
    """Adds the headers to each response of *app*, also to the one that *failed* makes for a mistake of ours.

    A request for a host that is not one of *hosts* is refused: the name of another site can be made to lead here.
    Too many requests of one actor or address are refused, by *limits*. *count* gets the method, the status and the
    seconds of each.
    Responses are not cached unless their route has decided it.
    """

    def __init__(
        self,
        app: ASGIApp,
        failed: Callable[[Request, Exception], Response],
        hosts: frozenset[str],
        count: Callable[[str, int, float], None],
        limits: Limits,
    ) -> None:
        self._app, self._failed, self._hosts, self._count = app, failed, hosts, count
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id

        started, began = False, time.perf_counter()

        async def protected(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._count(scope["method"], message["status"], time.perf_counter() - began)
                message["headers"] = [*message["headers"], *_missing(message["headers"], scope, request_id)]
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            error, wait = refused
            response = problem_response(error, request_id)
            if wait:
                response.headers["Retry-After"] = str(wait)
            else:  # what follows may be a part of this request for another reader
                response.headers["Connection"] = "close"
            await response(scope, receive, protected)
            return
        try:
            await self._app(scope, receive, protected)
        except ClientDisconnect:
            log.info("request %s: the client has gone", request_id)
        except Exception as error:
            log.exception("request %s failed", request_id, extra={FIELDS: {"request": request_id}})
            if started:
                raise
            await self._failed(Request(scope, receive), error)(scope, receive, protected)

    def _refused(self, scope: Scope) -> tuple[OrchestratorError, int] | None:
        """Why the request is not handled, and after how many seconds it is."""
        if is_ambiguous(Headers(scope=scope)):
            return OrchestratorError("N110", "the request has both a length and an encoding, or one of them twice"), 0
        if is_too_large(scope):
            return OrchestratorError("N110", f"more than {MOST_HEADERS} headers, or {LARGEST_HEADERS} bytes"), 0
        if _host(scope) not in self._hosts:
            return OrchestratorError("N110", "the request is for another host"), 0
        wait = self._limits.wait_s(scope)
        return (OrchestratorError("N128", f"the next request is possible in {wait} s"), wait) if wait else None


def is_ambiguous(headers: Headers) -> bool:
    """Whether a proxy may see another end of a request with these *headers* than this server: request smuggling."""
    lengths, encodings = headers.getlist("content-length"), headers.getlist("transfer-encoding")
    return len(lengths) + len(encodings) > 1


def is_too_large(scope: Scope) -> bool:
    """Whether a request has more in its first part than this server reads, however it arrived."""
    if len(scope["headers"]) > MOST_HEADERS:
        return True
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    return size + sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEADERS


def _host(scope: Scope) -> str | None:
    """The host that the request is for, without a port; None if it is not one."""
    try:
        return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
    except ValueError:
        return None


def _missing(headers: Any, scope: Scope, request_id: str) -> list[tuple[bytes, bytes]]:
    given = {bytes(name).lower() for name, _ in headers}
    added = {**HEADERS, "x-request-id": request_id, "cache-control": "no-store"}
    if scope["scheme"] == "https":
        added["strict-transport-security"] = HSTS
    return [(name.encode(), value.encode()) for name, value in added.items() if name.encode() not in given]
