"""The table of routes is that of the server, and its use cases are those whose rights are kept by hand."""

import subprocess
import sys
from pathlib import Path

import yaml
from fastapi.routing import APIRoute

from orchestrator.web.route_table import ROUTES
from orchestrator.web.server import ROUTERS

RIGHTS = yaml.safe_load((Path(__file__).parents[1] / "app" / "rights.yaml").read_text())


def test_every_route_is_in_the_table() -> None:
    """A route that is added to the server without an entry in the table is found."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert {f"{method} {route.path}" for route in routes for method in route.methods or ()} == ROUTES.keys()


def test_every_use_case_of_the_table_has_rights() -> None:
    """Each use case of a route has its roles in the table that is kept by hand."""
    named = {name for entry in ROUTES.values() if isinstance(entry, tuple) for name in entry}
    assert named <= RIGHTS.keys()


def test_commands_do_not_import_the_server() -> None:
    """The command line starts without the server and its packages: they would make each command slower."""
    text = "import sys, orchestrator.cli.commands.serve, orchestrator.__main__; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.split()
    assert {"fastapi", "starlette", "uvicorn", "jinja2", "argon2", "orchestrator.web"} & set(found) == set()
