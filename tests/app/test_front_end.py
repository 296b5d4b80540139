"""What a front end can reach of a project."""

import ast
from collections.abc import Iterator
from pathlib import Path

import orchestrator
from orchestrator.app.application import Application
from orchestrator.app.front_end import FrontEndParts
from orchestrator.management.application import ManagedApplication

PACKAGE = Path(orchestrator.__file__).parent
BELOW = {"store", "store_url", "engine", "services", "provisioner", "deployer", "packages", "artifacts", "state"}
"""Parts that only use cases get."""
NAMES = {"app", "application", "_app"}
"""What front ends call the application."""


def reached() -> Iterator[str]:
    """Where a front end takes one of these parts from the application."""
    for folder in ("cli", "web"):
        for file in sorted((PACKAGE / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in {*BELOW, "_parts"} and _is_application(node.value):
                    yield f"{file.relative_to(PACKAGE)}:{node.lineno}: {node.attr}"


def _is_application(node: ast.expr) -> bool:
    named = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return named in NAMES


def test_the_type_of_a_front_end_has_no_part_below_use_cases() -> None:
    """The types that front ends get have neither the journal, durable execution, adapters nor what runs are given."""
    for kind in (FrontEndParts, Application, ManagedApplication):
        assert not {name for name in BELOW if hasattr(kind, name)}


def test_front_ends_reach_nothing_below_use_cases() -> None:
    """No module of a front end takes the journal, durable execution or an adapter from the application."""
    assert [where for where in reached() if "request.app.state" not in where and ": state" not in where] == []
