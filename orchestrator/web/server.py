"""The application factories: routes, errors and headers of the server of one project, or of several."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from orchestrator import __version__, structured_logs, tracing
from orchestrator.app.request_duties import Shows
from orchestrator.domain.error_codes import NOT_SIGNED_IN
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.management.projects.served import ServedProject
from orchestrator.management.search_index import SearchIndex
from orchestrator.management.worker_calls import tidy_calls
from orchestrator.web.addresses import ProjectsByPrefix, route_path
from orchestrator.web.api.changing import router as api_changing
from orchestrator.web.api.definitions import router as api_definitions
from orchestrator.web.api.description import described_api
from orchestrator.web.api.hook_rules import router as api_hook_rules
from orchestrator.web.api.hooks import router as api_hooks
from orchestrator.web.api.management import router as api_management
from orchestrator.web.api.notifications import router as api_notifications
from orchestrator.web.api.packages import router as api_packages
from orchestrator.web.api.people import router as api_people
from orchestrator.web.api.projects import router as api_projects
from orchestrator.web.api.reading import router as api_reading
from orchestrator.web.api.trains import router as api_trains
from orchestrator.web.api.use_cases import router as api_use_cases
from orchestrator.web.events import Broadcast
from orchestrator.web.health import router as health
from orchestrator.web.limits import Limits
from orchestrator.web.logged import Logged
from orchestrator.web.metrics import RequestCounts
from orchestrator.web.metrics import router as metrics
from orchestrator.web.pages.access import router as pages_access
from orchestrator.web.pages.bookings import router as pages_bookings
from orchestrator.web.pages.calendar import router as pages_calendar
from orchestrator.web.pages.calendar_address import router as pages_calendar_address
from orchestrator.web.pages.calendar_override import router as pages_calendar_override
from orchestrator.web.pages.calendar_rules import router as pages_calendar_rules
from orchestrator.web.pages.change_requests import router as pages_change_requests
from orchestrator.web.pages.changing import router as pages_changing
from orchestrator.web.pages.definitions import router as pages_definitions
from orchestrator.web.pages.dossier import router as pages_dossier
from orchestrator.web.pages.environment import router as pages_environment
from orchestrator.web.pages.form_again import form_again
from orchestrator.web.pages.hooks import router as pages_hooks
from orchestrator.web.pages.implementation_plans import router as pages_implementation_plans
from orchestrator.web.pages.imports import router as pages_imports
from orchestrator.web.pages.logs import router as pages_logs
from orchestrator.web.pages.measures import router as pages_measures
from orchestrator.web.pages.notifications import router as pages_notifications
from orchestrator.web.pages.people import router as pages_people
from orchestrator.web.pages.planned_releases import router as pages_planned_releases
from orchestrator.web.pages.plans import router as pages_plans
from orchestrator.web.pages.projects import router as pages_projects
from orchestrator.web.pages.reading import router as pages_reading
from orchestrator.web.pages.release_board import router as pages_release_board
from orchestrator.web.pages.release_phases import router as pages_release_phases
from orchestrator.web.pages.rendering import error_page
from orchestrator.web.pages.requirements import router as pages_requirements
from orchestrator.web.pages.retries import router as pages_retries
from orchestrator.web.pages.reviews import router as pages_reviews
from orchestrator.web.pages.run_page import router as pages_run
from orchestrator.web.pages.signing_in import router as pages_signing_in
from orchestrator.web.pages.single_sign_on import router as pages_single_sign_on
from orchestrator.web.pages.tokens import router as pages_tokens
from orchestrator.web.pages.train_lines import router as pages_train_lines
from orchestrator.web.pages.trains import router as pages_trains
from orchestrator.web.problems import PROBLEM_RESPONSE, first_of, problem_response
from orchestrator.web.protection import Protection
from orchestrator.web.record_events import EVERY_S, AuditProject, record_event
from orchestrator.web.root import api as root_api
from orchestrator.web.root import router as root
from orchestrator.web.stopping import Stopping
from orchestrator.web.traced import Traced

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.management.application import ManagedApplication


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LARGEST_BODY = 1024 * 1024
TIDY_EVERY_S = 600.0
FOLLOW_EVERY_S = 1.0
"""Between two readings of the current project definition: another server or a command can change it."""
ROUTERS = (
    health,
    metrics,
    api_reading,
    api_changing,
    api_management,
    api_trains,
    api_people,
    api_projects,
    api_use_cases,
    api_packages,
    api_definitions,
    api_hooks,
    api_hook_rules,
    api_notifications,
    pages_reading,
    pages_run,
    pages_changing,
    pages_change_requests,
    pages_bookings,
    pages_planned_releases,
    pages_release_phases,
    pages_trains,
    pages_train_lines,
    pages_implementation_plans,
    pages_retries,
    pages_reviews,
    pages_plans,
    pages_calendar,
    pages_calendar_override,
    pages_imports,
    pages_calendar_address,
    pages_calendar_rules,
    pages_logs,
    pages_measures,
    pages_release_board,
    pages_definitions,
    pages_dossier,
    pages_environment,
    pages_requirements,
    pages_people,
    pages_access,
    pages_tokens,
    pages_notifications,
    pages_hooks,
    pages_projects,
    pages_signing_in,
    pages_single_sign_on,
)
ROOT_ROUTERS = (root, api_projects, pages_projects, pages_signing_in, pages_single_sign_on, root_api)
"""What a server of several projects has beside their prefixes. The last one responds to the rest of the API."""


Lifetime = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def server_of(
    application: "Application", shows: Shows, hosts: frozenset[str] = LOOPBACK, limits: Limits | None = None
) -> FastAPI:
    """The server of *application*, as an ASGI application.

    Plans are shown to approvers by *shows*. *hosts* are the names under which it is reached. *limits* are those of
    a server that it shares with other projects.
    """
    server = _made(application, hosts, ROUTERS, _lifetime, limits or Limits())
    server.state.shows, server.state.title, server.state.of_project = shows, application.project.name, True
    return server


def server_of_several(
    projects: Sequence[ServedProject], shows: Shows, hosts: frozenset[str] = LOOPBACK
) -> tuple[ASGIApp, Stopping]:
    """The server of *projects*, each below its path, with its end. Users sign in at the first one.

    The root has the portfolio.
    """
    home, limits = projects[0].app, Limits()
    for each in projects:
        each.app.serve_with(home, tuple(projects))
    servers = {each.app.project.name: server_of(each.app, shows, hosts, limits) for each in projects}

    @asynccontextmanager
    async def lifetime(_root: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for server in servers.values():
                await stack.enter_async_context(server.router.lifespan_context(server))
            yield

    async def end_streams() -> None:
        for server in servers.values():
            await _end_streams(server)

    made = _made(home, hosts, ROOT_ROUTERS, lifetime, limits)
    made.state.title, made.state.of_project = "All projects", False
    stopping = Stopping(end_streams)
    for server in (made, *servers.values()):
        server.state.stopping = stopping
    return ProjectsByPrefix(made, servers), stopping


def _made(
    application: "Application", hosts: frozenset[str], routers: Sequence[APIRouter], lifetime: Lifetime, limits: Limits
) -> FastAPI:
    server = FastAPI(
        title="Orchestrator",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifetime,
        max_body_size=LARGEST_BODY,
        responses={"default": PROBLEM_RESPONSE},
    )
    server.state.application = application
    server.state.search_index = SearchIndex()
    server.state.broadcast = Broadcast(application)
    server.state.record_broadcast = Broadcast(AuditProject(application), EVERY_S, record_event)
    server.state.stopping = Stopping(partial(_end_streams, server))
    for router in routers:
        server.include_router(router)
    setattr(server, "openapi", partial(described_api, server))  # noqa: B010 - a method, which FastAPI lets replace
    server.add_exception_handler(OrchestratorError, _known)
    server.add_exception_handler(OrchestratorErrors, _known)
    server.add_exception_handler(HTTPException, _of_http)
    server.add_exception_handler(RequestValidationError, _invalid)
    server.state.counts = counts = RequestCounts()
    if structured_logs.is_json():
        server.add_middleware(Logged)
    if tracing.is_on():
        server.add_middleware(Traced)
    server.add_middleware(Protection, failed=_unknown, hosts=hosts, count=counts.count, limits=limits)
    return server


async def _end_streams(server: FastAPI) -> None:
    """End every stream of events of *server*."""
    await server.state.broadcast.stop()
    await server.state.record_broadcast.stop()


@asynccontextmanager
async def _lifetime(server: FastAPI) -> AsyncIterator[None]:
    reading = asyncio.create_task(server.state.broadcast.run())
    records = asyncio.create_task(server.state.record_broadcast.run())
    tidying = asyncio.create_task(_tidy(server.state.application))
    following = asyncio.create_task(_follow_definition(server.state.application))
    yield
    for task in (reading, records, tidying, following):
        task.cancel()
    tracing.flush()


async def _follow_definition(application: "Application") -> None:
    """Use the current project definition, as long as the server runs. One that cannot be used changes nothing."""
    if not application.receives_definitions:
        return
    while True:
        with contextlib.suppress(OrchestratorError, OrchestratorErrors):
            await asyncio.to_thread(application.refresh_definition)
        await asyncio.sleep(FOLLOW_EVERY_S)


async def _tidy(application: "Application") -> None:
    """Remove what has ended, as long as the server runs. A database that is away is tidied later."""
    while True:
        for work in (_tidy_sign_ins, _tidy_replies, tidy_calls):
            with contextlib.suppress(OrchestratorError):
                await asyncio.to_thread(work, cast("ManagedApplication", application))
        await asyncio.sleep(TIDY_EVERY_S)


def allowed_methods(path: str) -> frozenset[str]:
    """The methods of every route with this *path*: the framework names those of the first one only."""
    return frozenset(
        method
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path_regex.match(path)
        for method in route.methods or ()
    )


def _tidy_sign_ins(application: "ManagedApplication") -> None:
    application.authentication.tidy()


def _tidy_replies(application: "ManagedApplication") -> None:
    application.idempotent_requests.tidy()


def wants_page(request: Request) -> bool:
    """Whether an error is shown as a page: to browsers, and not to programs."""
    return "text/html" in request.headers.get("accept", "") and not route_path(request.scope).startswith("/api/")


def _response(request: Request, error: OrchestratorError) -> Response:
    """A problem document for programs, a page for browsers, or a redirect to the sign-in."""
    if not wants_page(request):
        return problem_response(error, request.state.request_id)
    if error.code == NOT_SIGNED_IN and request.method == "GET":
        return RedirectResponse(f"/sign-in?next={quote(request.url.path, safe='/')}", 303)
    return error_page(request, error)


async def _known(request: Request, error: Exception) -> Response:
    found = first_of(error) if isinstance(error, OrchestratorErrors) else error
    assert isinstance(found, OrchestratorError)
    again = await form_again(request, found) if wants_page(request) else None
    return again or _response(request, found)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "N111", 405: "N112"}.get(error.status_code, "N110")
    response = _response(request, OrchestratorError(code, f"{request.method} {request.url.path}: {error.detail}"))
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(sorted(allowed_methods(route_path(request.scope))))
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = dict(error.errors()[0])
    where = ".".join(str(part) for part in first["loc"])
    return _response(request, OrchestratorError("N110", f"{where}: {first['msg'].removeprefix('Value error, ')}"))


def _unknown(request: Request, error: Exception) -> Response:
    """A mistake of ours: the log has it, under the id that the response has."""
    del error
    return _response(request, OrchestratorError("M199", f"request {request.state.request_id} failed"))
