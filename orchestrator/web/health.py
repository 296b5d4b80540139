"""Whether the process runs, and whether it can serve."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from orchestrator.domain.model import canonical_json
from orchestrator.web.requests import application

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def healthz() -> Response:
    """The process runs."""
    return Response(b"ok\n", media_type="text/plain")


@router.get("/readyz")
def readyz(request: Request) -> Response:
    """The store can be read, and whether a worker does what is due. 503 while the server stops. Raises S-codes."""
    if request.app.state.stopping.started:
        return Response(canonical_json({"stopping": True}), 503, media_type="application/json")
    app = application(request)
    app.require_store()
    return Response(canonical_json({"store": True, "worker": app.scheduler_runs()}), media_type="application/json")
