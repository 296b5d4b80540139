"""How the API writes documents, and what every route of it has."""

import hashlib
import json
import re
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.responses import Response

from orchestrator.app.run_requests import RequestView
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json
from orchestrator.web.requests import SignedIn, require_actor

VERSION = "orchestrator/v1"
PREFIX = "/api/v1"
Who = Annotated[SignedIn, Depends(require_actor)]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=40)]


def encoded_document(kind: str, data: dict[str, Any]) -> bytes:
    """The bytes of a document."""
    return canonical_json({"apiVersion": VERSION, "kind": kind, **data})


def ordered_document(kind: str, data: dict[str, Any]) -> bytes:
    """The bytes of a document whose fields stay in their order."""
    return json.dumps({"apiVersion": VERSION, "kind": kind, **data}, ensure_ascii=False).encode()


def tagged_document(request: Request, kind: str, data: dict[str, Any]) -> Response:
    """A document with a weak ETag; 304 if the client has it already."""
    body = encoded_document(kind, data)
    tag = _tag(body)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _tag(body: bytes) -> str:
    """The ETag of a document."""
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


def require_tag(tag: str, kind: str, data: dict[str, Any]) -> None:
    """Return if *tag* is `*`, or the ETag that the document has at the moment. Raises N145."""
    if tag.strip() not in {"*", _tag(encoded_document(kind, data))}:
        raise OrchestratorError("N145", f"this {kind} has changed since it was read")


def checked_cursor(text: str | None, form: re.Pattern[str]) -> str | None:
    """*text*, if it has the form of a cursor. Raises N110."""
    if text is not None and not form.fullmatch(text):
        raise OrchestratorError("N110", "the cursor is not one of this list")
    return text


def request_data(seen: RequestView) -> dict[str, Any]:
    """A run request as JSON data."""
    return {
        "request": seen.request.to_json(),
        "state": seen.state.value,
        "approval": seen.approval.to_json(),
        "admission": seen.admission.to_json(),
        "votes": [vote.to_json() for vote in seen.votes],
    }
