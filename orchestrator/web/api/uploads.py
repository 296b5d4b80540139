"""What the routes of uploads share: sealed files arrive in parts, and continue after any interruption."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from orchestrator.domain.uploads import UploadPart, parse_content_range
from orchestrator.web.api.documents import encoded_document

OFFSET = "Upload-Offset"
ZEROS = f"sha256:{'0' * 64}"
Digest = Annotated[str, Path(pattern=r"^sha256:[0-9a-f]{64}$", examples=[ZEROS])]
Range = Annotated[
    str,
    Header(alias="Content-Range", description="The place of the part.", examples=["bytes 0-524287/1310720"]),
]
OFFSET_HEADER: dict[str, Any] = {
    OFFSET: {"description": "The bytes that have arrived: where the upload continues", "schema": {"type": "integer"}}
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The part: at most 1 MiB of the sealed file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
TYPE = "application/json"
Document = tuple[str, dict[str, Any]]
"""The kind of a document, and what is in it."""


def part_responses(noun: str) -> dict[int | str, dict[str, Any]]:
    """The descriptions of the responses to a part of a *noun*."""
    return {
        201: {"description": f"The {noun} is whole, verified and kept", "headers": OFFSET_HEADER},
        202: {"description": "The part is kept, and more is needed", "headers": OFFSET_HEADER},
    }


def offset_response(digest: str, offset: int, *, kept: bool) -> Response:
    """The *offset* at which the upload of *digest* continues, and whether it is *kept*."""
    headers = {OFFSET: str(offset), "Upload-Complete": f"?{int(kept)}"}
    return Response(_upload(digest, offset, kept=kept), 200, headers, TYPE)


async def part_response(
    request: Request, digest: str, content_range: str, add: Callable[[UploadPart, bytes], Document | None]
) -> Response:
    """The response after *add* has added the part in the body. *add* returns what is kept, once the upload is whole.

    Raises N110 for a wrong `Content-Range`, and what *add* raises.
    """
    data = await request.body()
    part = parse_content_range(content_range, len(data))
    made = await run_in_threadpool(add, part, data)
    headers = {OFFSET: str(part.end)}
    if made is None:
        return Response(_upload(digest, part.end, kept=False), 202, headers, TYPE)
    return Response(encoded_document(*made), 201, headers, TYPE)


def _upload(digest: str, offset: int, *, kept: bool) -> bytes:
    return encoded_document("Upload", {"digest": digest, "offset": offset, "kept": kept})
