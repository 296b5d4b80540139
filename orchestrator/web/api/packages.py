"""The routes by which clients upload packages, in parts that continue after any interruption."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from orchestrator.domain.release import Package
from orchestrator.domain.uploads import UploadPart, parse_content_range
from orchestrator.web.api.changing import Writer
from orchestrator.web.api.documents import PREFIX, Who, encoded_document
from orchestrator.web.requests import application

router = APIRouter(prefix=PREFIX)
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


@router.head("/packages/{digest}", tags=["packages"], responses={200: {"headers": OFFSET_HEADER}})
def head_package(request: Request, who: Who, digest: Digest) -> Response:
    """Where the upload of a package continues. The header `Upload-Complete` is `?1` if the package is kept."""
    return get_package_upload(request, who, digest)


@router.get("/packages/{digest}", tags=["packages"], responses={200: {"headers": OFFSET_HEADER}})
def get_package_upload(request: Request, who: Who, digest: Digest) -> Response:
    """The same as a document, whose errors have a text too."""
    offset, kept = application(request).uploading.upload_offset(who.actor, digest)
    headers = {OFFSET: str(offset), "Upload-Complete": f"?{int(kept)}"}
    body = encoded_document("Upload", {"digest": digest, "offset": offset, "kept": kept})
    return Response(body, 200, headers, "application/json")


@router.put(
    "/packages/{digest}",
    tags=["packages"],
    status_code=201,
    openapi_extra=BODY,
    responses={
        201: {"description": "The package is whole, verified and kept", "headers": OFFSET_HEADER},
        202: {"description": "The part is kept, and more is needed", "headers": OFFSET_HEADER},
    },
)
async def put_package(request: Request, who: Writer, digest: Digest, content_range: Range) -> Response:
    """Upload a part of a package. Parts follow each other; after an interruption, HEAD gives the place to continue."""
    data = await request.body()
    part = parse_content_range(content_range, len(data))
    return await run_in_threadpool(_put, request, who, digest, part, data)


def _put(request: Request, who: Writer, digest: str, part: UploadPart, data: bytes) -> Response:
    package = application(request).uploading.upload_part(who.actor, digest, part, data)
    headers = {OFFSET: str(part.end)}
    if package is None:
        document = {"digest": digest, "offset": part.end, "kept": False}
        return Response(encoded_document("Upload", document), 202, headers, "application/json")
    return Response(encoded_document("KeptPackage", _kept(package)), 201, headers, "application/json")


def _kept(package: Package) -> dict[str, Any]:
    """The package as data for documents."""
    return {"release": json.loads(package.ref.model_dump_json()), "files": len(package.manifest.files)}
