"""What a server of several projects has at its root beside the portfolio: its health, and the way to a project."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json
from orchestrator.web.health import healthz
from orchestrator.web.requests import application

router = APIRouter(include_in_schema=False)
api = APIRouter(include_in_schema=False)
router.add_api_route("/healthz", healthz, methods=["GET"])
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@router.get("/")
def root_page() -> Response:
    """The portfolio."""
    return RedirectResponse("/projects", 303)


@router.get("/readyz")
def sign_in_readyz(request: Request) -> Response:
    """Users can sign in: the store of the project where they do can be read. 503 while it stops. Raises S-codes.

    Whether another project can be read is at its own address: it does not take the server away from the others.
    """
    if request.app.state.stopping.started:
        return Response(canonical_json({"stopping": True}), 503, media_type="application/json")
    application(request).require_store()
    return Response(canonical_json({"store": True}), media_type="application/json")


@api.api_route("/metrics", methods=["GET"])
@api.api_route("/api/v1/{rest:path}", methods=METHODS)
def other_route(rest: str = "") -> Response:
    """Every other address of the API is that of a project. Raises N171."""
    del rest
    raise OrchestratorError("N171", "the server has several projects, and the address names none")
