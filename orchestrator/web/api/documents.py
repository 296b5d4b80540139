"""How the API writes documents, and what every route of it has."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Query, Request
from fastapi.responses import Response

from orchestrator.app.acting import Acting, expecting
from orchestrator.app.run_requests import RequestView
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, canonical_json
from orchestrator.domain.register import RecordKind
from orchestrator.web.requests import SignedIn, require_actor

T = TypeVar("T", bound=Model)
R = TypeVar("R")
VERSION = "orchestrator/v1"
PREFIX = "/api/v1"
Who = Annotated[SignedIn, Depends(require_actor)]
Match = Annotated[
    str | None, Header(alias="If-Match", description="The ETag of the version that is changed.", max_length=200)
]
KeyCursor = Annotated[str | None, Query(max_length=400, description="Where the page before ended.")]
"""The cursor of a list that is read whole: the key of the last item of the page before."""
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


def expecting_tag(
    acting: Acting, match: str | None, kind: RecordKind[T], read: Callable[[], T], shown: tuple[str, Callable[[T], Any]]
) -> Acting:
    """*acting* for a change of the version with the ETag *match* of the record that *read* returns.

    *shown* is the kind of its document, and what is in it. Without *match* every version is changed. Raises N145.
    """
    if match is None:
        return acting
    found = read()
    require_tag(match, shown[0], shown[1](found))
    return expecting(acting, kind, found)


def expecting_stored(
    acting: Acting,
    match: str | None,
    kind: RecordKind[T],
    key: str,
    show: Callable[[Acting, str], T],
    shown: tuple[str, Callable[[T], Any]],
) -> Acting:
    """As `expecting_tag`, for the record *key*, of which *show* returns a copy without its secret.

    *show* checks that the actor may read it.
    """

    def read() -> T:
        copy = show(acting, key)
        return acting.register.reading(lambda records: records.get(kind, key)) or copy

    return expecting_tag(acting, match, kind, read, shown)


def sorted_by(items: Sequence[R], sort: str, **keys: Callable[[R], Any]) -> list[R]:
    """*items* by the key that *sort* names, backwards after a `-`. Items that are equal stay in their order."""
    return sorted(items, key=keys[sort.removeprefix("-")], reverse=sort.startswith("-"))


def page_after(
    items: Sequence[R], key: Callable[[R], str], cursor: str | None, limit: int
) -> tuple[list[R], str | None]:
    """The page of *items* after the one whose *key* is the *cursor*, and the cursor of the next page.

    For lists that are read whole. Raises N110 if no item has that key any more.
    """
    start = 0
    if cursor is not None:
        start = next((at for at, item in enumerate(items, 1) if key(item) == cursor), 0)
        if not start:
            raise OrchestratorError("N110", "the cursor is not one of this list")
    page = list(items[start : start + limit])
    return page, key(page[-1]) if start + limit < len(items) else None


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
