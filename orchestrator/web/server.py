"""The application factory: routes, errors and headers of the server of one project."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from orchestrator import __version__
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.web.api.routes import router as api
from orchestrator.web.events import Broadcast
from orchestrator.web.health import router as health
from orchestrator.web.pages.routes import error_page
from orchestrator.web.pages.routes import router as pages
from orchestrator.web.problems import first_of, problem_response
from orchestrator.web.protection import Protection

if TYPE_CHECKING:
    from orchestrator.app.application import Application


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def server_of(application: "Application", hosts: frozenset[str] = LOOPBACK) -> FastAPI:
    """The server of *application*, as an ASGI application. *hosts* are the names under which it is reached."""
    server = FastAPI(
        title="Orchestrator",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifetime,
    )
    server.state.application = application
    server.state.broadcast = Broadcast(application.store)
    for router in (health, api, pages):
        server.include_router(router)
    server.add_exception_handler(OrchestratorError, _known)
    server.add_exception_handler(OrchestratorErrors, _known)
    server.add_exception_handler(HTTPException, _of_http)
    server.add_exception_handler(RequestValidationError, _invalid)
    server.add_middleware(Protection, failed=_unknown, hosts=hosts)
    return server


@asynccontextmanager
async def _lifetime(server: FastAPI) -> AsyncIterator[None]:
    reading = asyncio.create_task(server.state.broadcast.run())
    await asyncio.to_thread(server.state.application.authentication.tidy)
    yield
    reading.cancel()


def _response(request: Request, error: OrchestratorError) -> Response:
    """A problem document for programs, a page for browsers; whoever has to sign in is sent there."""
    path, wants_page = request.url.path, "text/html" in request.headers.get("accept", "")
    if path.startswith("/api/") or not wants_page:
        return problem_response(error, request.state.request_id)
    if error.code == "N120" and request.method == "GET":
        return RedirectResponse(f"/sign-in?next={quote(path, safe='/')}", 303)
    return error_page(request, error)


async def _known(request: Request, error: Exception) -> Response:
    found = first_of(error) if isinstance(error, OrchestratorErrors) else error
    assert isinstance(found, OrchestratorError)
    return _response(request, found)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "N111", 405: "N112"}.get(error.status_code, "N110")
    response = _response(request, OrchestratorError(code, f"{request.method} {request.url.path}: {error.detail}"))
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = dict(error.errors()[0])
    where = ".".join(str(part) for part in first["loc"])
    return _response(request, OrchestratorError("N110", f"{where}: {first['msg']}"))


def _unknown(request: Request, error: Exception) -> Response:
    """A mistake of ours: the log has it, under the id that the response has."""
    del error
    return _response(request, OrchestratorError("M199", f"request {request.state.request_id} failed"))
