"""The page of a form again, after an error: with what was entered, and the error at its field."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse
from starlette.types import Message

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.project_addresses import client_address
from orchestrator.web.addresses import prefix_of
from orchestrator.web.pages.filled_form import PAGE_FIELD, SentForm, filled_page
from orchestrator.web.problems import status_of
from orchestrator.web.requests import own_path

SHOWN = frozenset(
    {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}
)
"""The statuses of errors that another input can avoid. The others have a page of their own."""
OF_A_BODY = frozenset({b"content-length", b"content-type", b"transfer-encoding", b"accept"})
LARGEST = 4 * 1024 * 1024


async def form_again(request: Request, error: OrchestratorError) -> HTMLResponse | None:
    """The page that has sent the form of *request*, filled, with *error*; None if that is not possible."""
    fields: dict[str, str] | None = getattr(request.state, "form", None)
    status = status_of(error)
    if request.method != "POST" or fields is None or status not in SHOWN:
        return None
    address = _page_of(request, fields)
    page = await _read_page(request, address) if address else None
    if page is None:
        return None
    name, _, text = error.message.partition(": ")
    name = name.split(".")[0]
    about = name if text and name in fields else ""
    message = error_text(error, text if about else error.message)
    explained = client_address(prefix_of(request.scope), f"/errors/{error.code}")
    sent = SentForm(request.scope["path"], address, fields, message, about, error.code, explained)
    filled = filled_page(page, sent)
    return HTMLResponse(filled, int(status)) if filled is not None else None


def error_text(error: OrchestratorError, message: str) -> str:
    """The text of *error* in a form: the line of a file, the *message*, and what to do if it is known."""
    line = f"line {error.where.line}: " if error.where is not None and error.where.line else ""
    return f"{line}{message}" + (f": {error.hint}" if error.hint else "")


def _page_of(request: Request, fields: dict[str, str]) -> str:
    """The address of the page with the form: as the form or the browser names it; empty if it is not of this server."""
    given = fields.get(PAGE_FIELD)
    if given is None:
        parts = urlsplit(request.headers.get("referer", ""))
        if parts.netloc != request.url.netloc:
            return ""
        given = parts.path + (f"?{parts.query}" if parts.query else "")
    path = own_path(given)
    start = request.scope.get("root_path", "")
    return path if path.startswith(f"{start}/") and not path.startswith(f"{start}/api/") else ""


async def _read_page(request: Request, address: str) -> str | None:
    """The HTML page at *address*, as the reader sees it; None if that is not one."""
    parts = urlsplit(address)
    headers = [(name, value) for name, value in request.scope["headers"] if name not in OF_A_BODY]
    scope: dict[str, Any] = {
        **request.scope,
        "method": "GET",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [*headers, (b"accept", b"text/html")],
    }
    answer, body = dict[str, Any](), bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.update(message)
        elif len(body) <= LARGEST:
            body.extend(message.get("body", b""))

    await request.app.router(scope, receive, send)
    kind = dict(answer.get("headers", ())).get(b"content-type", b"")
    if answer.get("status") != HTTPStatus.OK or not kind.startswith(b"text/html") or len(body) > LARGEST:
        return None
    return body.decode()
