"""The route to which other systems post what has happened."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from orchestrator.management.hooks.signatures import Received
from orchestrator.web.api.documents import PREFIX, encoded_document
from orchestrator.web.requests import managed_application

router = APIRouter(prefix=PREFIX)


class HookBody(BaseModel):
    """What the sender reports, as GitHub, GitLab and Gitea write it, or of the generic form.

    The generic form names a release that is kept, or a branch or tag with its commit.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"release": "shop-1.4.0"}, {"ref": "refs/heads/main", "commit": "0" * 40}]},
    )


@router.post("/hooks/{hook}", tags=["hooks"], status_code=202)
async def post_hook(request: Request, order: HookBody, hook: Annotated[str, Path(max_length=200)]) -> Response:
    """Report an event. The request is signed with the secret of the hook, and needs no token.

    The response is 202 for a new delivery, and 200 for one that was received before, which has no effect.
    """
    del order  # the signature is of the bytes
    headers = {name.lower(): value for name, value in request.headers.items()}
    received = Received(headers, await request.body())
    return await run_in_threadpool(_receive, request, hook, received)


def _receive(request: Request, hook: str, received: Received) -> Response:
    delivery, is_new = managed_application(request).hook_receiver.receive(hook, received)
    data: dict[str, Any] = {"delivery": delivery.id, "state": delivery.state.value, "note": delivery.note}
    return Response(encoded_document("HookDelivery", data), 202 if is_new else 200, {}, "application/json")
