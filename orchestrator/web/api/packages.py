"""The routes by which clients upload packages, in parts that continue after any interruption."""

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orchestrator.domain.uploads import UploadPart
from orchestrator.web.api.changing import Writer
from orchestrator.web.api.documents import PREFIX, Who
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


@router.head("/packages/{digest}", tags=["packages"], responses={200: {"headers": OFFSET_HEADER}})
def head_package(request: Request, who: Who, digest: Digest) -> Response:
    """Where the upload of a package continues. The header `Upload-Complete` is `?1` if the package is kept."""
    return get_package_upload(request, who, digest)


@router.get("/packages/{digest}", tags=["packages"], responses={200: {"headers": OFFSET_HEADER}})
def get_package_upload(request: Request, who: Who, digest: Digest) -> Response:
    """The same as a document, whose errors have a text too."""
    offset, kept = application(request).uploading.upload_offset(who.actor, digest)
    return offset_response(digest, offset, kept=kept)


@router.put(
    "/packages/{digest}",
    tags=["packages"],
    status_code=201,
    openapi_extra=BODY,
    responses=part_responses("package"),
)
async def put_package(request: Request, who: Writer, digest: Digest, content_range: Range) -> Response:
    """Upload a part of a package. Parts follow each other; after an interruption, HEAD gives the place to continue."""

    def add(part: UploadPart, data: bytes) -> Document | None:
        package = application(request).uploading.upload_part(who.actor, digest, part, data)
        if package is None:
            return None
        release = json.loads(package.ref.model_dump_json())
        return "KeptPackage", {"release": release, "files": len(package.manifest.files)}

    return await part_response(request, digest, content_range, add)
