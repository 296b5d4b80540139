"""The reference of routes: each with what it does, and the rights that its use cases need."""

from collections.abc import Callable, Iterator

from fastapi.routing import APIRoute

from orchestrator.web.route_table import ROUTES, Public, UseCaseRoute
from orchestrator.web.server import ROUTERS

HEAD = """# Routes of the server

The description of the API in OpenAPI 3.1, with every field and an example of each body, is at `/api/openapi.json` of a
server. A route needs the rights of its use cases, which are those of the commands.
[Roles](../life-of-a-run-request.md) lists the rights of each role. Every POST of the API takes an `Idempotency-Key`.
"""
SECTIONS: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    ("API: read", lambda method, path: method == "GET" and path.startswith("/api/")),
    ("API: change", lambda method, path: method != "GET" and path.startswith("/api/")),
    ("Pages", lambda method, path: method == "GET" and not path.startswith("/api/")),
    ("Forms", lambda method, path: method != "GET" and not path.startswith("/api/")),
)


def routes() -> str:
    """The page."""
    found = {f"{method} {route.path}": route for route in _routes() for method in route.methods or ()}
    lines = [HEAD]
    for title, fits in SECTIONS:
        chosen = sorted((name for name in found if fits(*name.split())), key=lambda name: (name.split()[1], name))
        lines += [f"## {title}\n", "| route | what it does | use cases |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {_summary(found[name])} | {_needs(name)} |" for name in chosen]
        lines.append("")
    return "\n".join(lines)


def _routes() -> Iterator[APIRoute]:
    return (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))


def _summary(route: APIRoute) -> str:
    return (route.endpoint.__doc__ or "").strip().splitlines()[0]


def _needs(name: str) -> str:
    entry = ROUTES[name]
    if isinstance(entry, UseCaseRoute):
        return "the one that is named"
    return f"none: {entry.reason}" if isinstance(entry, Public) else ", ".join(f"`{case}`" for case in entry)
