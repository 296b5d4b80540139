"""A span for each request to the server, which continues the trace of its client."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator import tracing
from orchestrator.web.addresses import route_path
from orchestrator.web.logged import QUIET

NOT_TRACED = (*QUIET, "/api/v1/events", "/api/v1/record-events")
"""What is requested all the time, and streams, which end minutes later."""
FIRST_FAULT = 500


class Traced:
    """Records a span for each request to *app*, with the id of the request. It is used if there are traces."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or route_path(scope).startswith(NOT_TRACED):
            await self._app(scope, receive, send)
            return
        parent = Headers(scope=scope).get(tracing.HEADER, "")
        method, request_id = scope["method"], scope["state"]["request_id"]
        with tracing.record_span(f"{method} request", tracing.SERVER, parent, request=request_id) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    about = {"http.request.method": method, "http.response.status_code": status}
                    span.note(about, failed=status >= FIRST_FAULT)
                await send(message)

            try:
                await self._app(scope, receive, noted)
            finally:
                route = getattr(scope.get("route"), "path", "")
                if route:
                    span.name(f"{method} {route}")
                    span.note({"http.route": route})
