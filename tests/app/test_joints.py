"""The joints between the layers are typed: ports, use cases, flow, and what the wiring makes of adapters, have no `Any`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(orchestrator.__file__).parent
JOINTS = ("ports", "app", "flow")
ALLOWED = {
    "app/requests/base.py": {"Data", "Fields"},  # recorded requests of any version, read field by field
}
"""Names that may be made of `Any`, by module, with the reason."""
WIRING = sorted({*ROOT.glob("*wiring.py"), ROOT / "register_ports.py", ROOT / "services.py"})


def uses_any(node: ast.AST) -> bool:
    """Whether *node* names `Any`, also in a quoted annotation."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id == "Any":
            return True
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and "Any]" in part.value:
            return True
    return False


def untyped(tree: ast.Module, allowed: set[str]) -> Iterator[int]:
    """The lines of *tree* that name `Any`, but those that import it or define a name that is *allowed*."""
    for node in tree.body:
        targets = {ast.unparse(target) for target in node.targets} if isinstance(node, ast.Assign) else set()
        if isinstance(node, ast.ImportFrom) or targets & allowed:
            continue
        if uses_any(node):
            yield node.lineno


def signature(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """The annotations of the parameters and of the result of *function*."""
    of = function.args
    for parameter in (*of.posonlyargs, *of.args, *of.kwonlyargs, *filter(None, (of.vararg, of.kwarg))):
        if parameter.annotation is not None:
            yield parameter.annotation
    if function.returns is not None:
        yield function.returns


def joined(tree: ast.AST) -> Iterator[tuple[Path, str]]:
    """The module and the name of each adapter that *tree* imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("orchestrator.adapters"):
            place = ROOT.parent / str(node.module).replace(".", "/")
            for name in node.names:
                yield (
                    place.with_suffix(".py") if place.with_suffix(".py").exists() else place / "__init__.py",
                    name.name,
                )


def adapters() -> list[tuple[Path, str]]:
    """The adapters that the wiring makes or calls."""
    return sorted({item for path in WIRING for item in joined(ast.parse(path.read_text()))})


@pytest.mark.parametrize("folder", JOINTS)
def test_no_joint_has_any(folder: str) -> None:
    """No port, no use case and no verb of the flow names `Any`, but the short list with its reasons."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in untyped(ast.parse(path.read_text()), ALLOWED.get(str(path.relative_to(ROOT)), set()))
    ]
    assert found == []


def test_adapters_are_typed_where_they_are_joined() -> None:
    """No constructor and no public method of an adapter that the wiring uses has `Any` in its signature."""
    found = []
    for path, name in adapters():
        for node in ast.parse(path.read_text()).body:
            if getattr(node, "name", "") != name:
                continue
            inside = node.body if isinstance(node, ast.ClassDef) else [node]
            public = [
                item
                for item in inside
                if isinstance(item, ast.FunctionDef) and item.name.strip("_") in {item.name, "init"}
            ]
            found += [
                f"{path.relative_to(ROOT)}:{item.lineno} {name}.{item.name}"
                for item in public
                if any(map(uses_any, signature(item)))
            ]
    assert found == []
    assert len(adapters()) > 25


def test_an_untyped_joint_is_noticed() -> None:
    """The check finds `Any` in a signature, in a quoted annotation and in an alias that is not on the list."""
    text = "from typing import Any\nData = dict[str, Any]\ndef one(data: Any) -> None: ...\ndef two(data: 'list[Any]') -> None: ...\n"
    assert list(untyped(ast.parse(text), set())) == [2, 3, 4]
    assert list(untyped(ast.parse(text), {"Data"})) == [3, 4]
