"""A line of the log for each request, if the log is structured."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.structured_logs import log_about, log_event
from orchestrator.web.addresses import route_path

QUIET = ("/healthz", "/readyz", "/metrics", "/assets/")
"""What is requested all the time."""


class Logged:
    """Logs each request to *app* with the pattern of its route: the path itself may contain a one-time link."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or route_path(scope).startswith(QUIET):
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with log_about(request=scope["state"]["request_id"]):
            try:
                await self._app(scope, receive, noted)
            finally:
                log_event(
                    "orchestrator.web.requests",
                    "response",
                    method=scope["method"],
                    route=getattr(scope.get("route"), "path", None),
                    status=status,
                    seconds=round(time.perf_counter() - began, 4),
                    client=scope["client"][0] if scope.get("client") else None,
                )
