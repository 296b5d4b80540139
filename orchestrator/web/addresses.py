"""Addresses on a server of several projects. Routes and pages name them as on a server of one project.

The pages of a project are below a prefix (`root_path` of ASGI). It is put in front of the links and redirects of a
response here, and nowhere else. What belongs to the whole server has no prefix.
"""

import re
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.domain.project_addresses import PROJECTS, client_address

LINK = re.compile(r'(?<=\s)((?:href|src|action|formaction|hx-get|hx-sse:connect)=")(/[^"]*)')
"""An attribute with an address. Texts of users have no quotation marks here: templates escape them."""


def prefix_of(scope: Mapping[str, Any]) -> str:
    """What precedes the addresses of the project that a request is for; empty on a server of one project."""
    return str(scope.get("root_path", ""))


def route_path(scope: Mapping[str, Any]) -> str:
    """The path of a request without the prefix."""
    return str(scope["path"]).removeprefix(prefix_of(scope))


def with_prefix(prefix: str, page: str) -> str:
    """The HTML *page* with its links at their addresses."""
    return LINK.sub(lambda found: found[1] + client_address(prefix, found[2]), page) if prefix else page


class ProjectsByPrefix:
    """Passes each request on to the server of its project in *projects*, by name; any other to the *root*."""

    def __init__(self, root: ASGIApp, projects: Mapping[str, ASGIApp]) -> None:
        self._root, self._projects = root, projects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or the start and the end of the server."""
        found = self._named(scope)
        if found is None:
            await self._root(scope, receive, send)
            return
        name, path = found
        prefix = PROJECTS + name

        async def leading(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [_led(prefix, *header) for header in message["headers"]]
            await send(message)

        await self._projects[name]({**scope, "root_path": prefix, "path": path}, receive, leading)

    def _named(self, scope: Scope) -> tuple[str, str] | None:
        """The project that a request names, and its path; `/p/NAME` is `/p/NAME/`."""
        if scope["type"] != "http" or not scope["path"].startswith(PROJECTS):
            return None
        path = str(scope["path"])
        name = path.removeprefix(PROJECTS).partition("/")[0]
        if name not in self._projects:
            return None
        return name, path if path != PROJECTS + name else f"{path}/"


def _led(prefix: str, name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header of a response, where it is a redirect with the address of the project."""
    if name.lower() != b"location" or value.startswith(b"//"):
        return name, value
    return name, client_address(prefix, value.decode("latin-1")).encode("latin-1")
