"""The routes of project definitions: those that are kept, which one is current, and their uploads."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from orchestrator.app.acting import Right, require_unrecorded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.uploads import UploadPart
from orchestrator.web.api.changing import Key, Result, Writer, reply_once
from orchestrator.web.api.documents import (
    PREFIX,
    Limit,
    Match,
    Who,
    require_tag,
    tagged_document,
)
from orchestrator.web.api.orders import Order
from orchestrator.web.api.uploads import (
    BODY,
    OFFSET_HEADER,
    Digest,
    Document,
    Range,
    offset_response,
    part_response,
    part_responses,
)
from orchestrator.web.requests import application

router = APIRouter(prefix=PREFIX)
PageCursor = Annotated[
    str | None,
    Query(
        max_length=200, pattern=r"^[0-9:.TZ-]{1,60} sha256:[0-9a-f]{64}$", description="Where the page before ended."
    ),
]
KIND = "ProjectDefinition"


class UseOrder(Order):
    """Why the definition becomes current."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"message": "the new inventory"}]})

    message: Annotated[str, Field(max_length=500)] = ""


@router.get("/definitions", tags=["definitions"])
def get_definitions(
    request: Request,
    who: Who,
    sort: Literal["pushed", "-pushed"] = "-pushed",
    cursor: PageCursor = None,
    limit: Limit = 50,
) -> Response:
    """The definitions that the project keeps, the newest first."""
    page = application(request).definitions.kept(who.actor, cursor, limit, oldest_first=sort == "pushed")
    data = {"definitions": [each.to_json() for each in page.items], "cursor": page.cursor}
    return tagged_document(request, "ProjectDefinitions", data)


@router.get("/definitions/{digest}", tags=["definitions"])
def get_definition(request: Request, who: Who, digest: Digest) -> Response:
    """One definition with its files."""
    return tagged_document(request, KIND, application(request).definitions.show(who.actor, digest).to_json())


@router.post("/definitions/{digest}/use", tags=["definitions"])
def post_definition_use(
    request: Request, who: Writer, digest: Digest, order: UseOrder, key: Key = None, match: Match = None
) -> Response:
    """Make a kept definition current. With `If-Match` only if the definition that is current now has this ETag."""
    definitions = application(request).definitions

    def work() -> Result:
        require_unrecorded(application(request).acting_as(who.actor), (Right(Action.PUSH_DEFINITION),))
        current = definitions.current(who.actor)
        if match is not None:
            shown = definitions.show(who.actor, current.digest).to_json() if current is not None else {}
            require_tag(match, KIND, shown)
        expected = current.digest if current is not None else ""
        made = definitions.make_current(who.actor, digest, expected, order.message)
        return 200, "DefinitionChange", made.to_json()

    return reply_once(request, who, key, order, work)


@router.head("/definition-uploads/{digest}", tags=["definitions"], responses={200: {"headers": OFFSET_HEADER}})
def head_definition_upload(request: Request, who: Who, digest: Digest) -> Response:
    """Where the upload of a definition continues. The header `Upload-Complete` is `?1` if the definition is kept."""
    return get_definition_upload(request, who, digest)


@router.get("/definition-uploads/{digest}", tags=["definitions"], responses={200: {"headers": OFFSET_HEADER}})
def get_definition_upload(request: Request, who: Who, digest: Digest) -> Response:
    """The same as a document, whose errors have a text too."""
    offset, kept = application(request).definitions.definition_offset(who.actor, digest)
    return offset_response(digest, offset, kept=kept)


@router.put(
    "/definition-uploads/{digest}",
    tags=["definitions"],
    status_code=201,
    openapi_extra=BODY,
    responses=part_responses("definition"),
)
async def put_definition_upload(request: Request, who: Writer, digest: Digest, content_range: Range) -> Response:
    """Upload a part of a definition. Parts follow each other. The definition is kept, and does not become current."""

    def add(part: UploadPart, data: bytes) -> Document | None:
        made = application(request).definitions.definition_part(who.actor, digest, part, data)
        return None if made is None else ("KeptDefinition", {"definition": made.to_json()})

    return await part_response(request, digest, content_range, add)
