"""Programs that tests keep in strings import what exists."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Each module and name of ours that a program in a string of the file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import" in node.value:
            for line in node.value.replace(";", "\n").splitlines():
                if line.strip().startswith(("from orchestrator", "import orchestrator")):
                    for found in ast.parse(line.strip()).body:
                        if isinstance(found, ast.ImportFrom):
                            yield from ((str(found.module), alias.name) for alias in found.names)
                        elif isinstance(found, ast.Import):
                            yield from ((alias.name, "") for alias in found.names)


def test_programs_in_strings_import_what_exists() -> None:
    """Every program in a string of a test imports modules and names of ours that exist: no type check reads it."""
    found = {pair for path in TESTS.rglob("*.py") if "projects" not in path.parts for pair in imports(path)}
    assert found
    for module, name in sorted(found):
        imported = importlib.import_module(module)
        if name and not hasattr(imported, name):
            importlib.import_module(f"{module}.{name}")
