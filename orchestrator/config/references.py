"""Names in `orchestrator.yaml`, `environment.yaml` and `access.yaml` that must exist elsewhere, each with its place."""

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from orchestrator.config.source import Path_, Source, read_source
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.text import nearest

Named = tuple[Path_, str]


def roles_named(source: Source) -> list[Named]:
    """The roles that `approvals:`, `windows:` and `policy:` of a file name."""
    data = source.data
    found = list(_texts(data, ("approvals", "roles")))
    for group in ("by_kind", "by_risk"):
        for key in _mapping(_get(data, "approvals"), group):
            found += _texts(data, ("approvals", group, key, "roles"))
    for number, _ in enumerate(_items(data, "windows")):
        found += _text(data, ("windows", number, "override_role"))
    for number, _ in enumerate(_items(data, "policy")):
        found += _texts(data, ("policy", number, "then", "roles"))
    return found


def unknown_roles(source: Source, known: Collection[str]) -> list[OrchestratorError]:
    """An error F140 for each role that *source* names, and that is not one of *known*."""
    return [
        OrchestratorError(
            "F140", f"there is no role {name!r}", where=source.where(at), hint=nearest(name, sorted(known))
        )
        for at, name in roles_named(source)
        if name not in known
    ]


def unknown_environments(source: Source, known: Collection[str]) -> list[OrchestratorError]:
    """An error F141 for each environment that `depends_on:` and `parity:` name, and that is not one of *known*."""
    named = [*_texts(source.data, ("depends_on",)), *_text(source.data, ("parity", "with"))]
    return [
        OrchestratorError(
            "F141", f"there is no environment {name!r}", where=source.where(at), hint=nearest(name, sorted(known))
        )
        for at, name in named
        if name not in known
    ]


def idle_patterns(source: Source, packages: Collection[str], environments: Collection[str]) -> list[OrchestratorError]:
    """A warning F142 for each pattern of `policy:` or of a binding that matches none of the known names."""
    named: list[tuple[str, Collection[str], Named]] = []
    for number, _ in enumerate(_items(source.data, "policy")):
        for key, known in (("packages", packages), ("environments", environments)):
            named += [(key[:-1], known, each) for each in _texts(source.data, ("policy", number, "when", key))]
    for number, _ in enumerate(_items(source.data, "bindings")):
        named += [
            ("environment", environments, each) for each in _text(source.data, ("bindings", number, "environment"))
        ]
    return [
        OrchestratorError(
            "F142", f"{pattern!r} matches no {what}", where=source.where(at), hint=nearest(pattern, sorted(known))
        )
        for what, known, (at, pattern) in named
        if pattern != "*" and not any(fnmatchcase(name, pattern) for name in known)
    ]


def source_of(file: Path, root: Path) -> Source:
    """The *file* as it is, below *root* in messages. Raises `OrchestratorErrors` if nothing of it can be read."""
    return read_source(file, str(file.relative_to(root)) if file.is_relative_to(root) else str(file))


def release_names(root: Path, releases: str) -> set[str]:
    """The names of the releases below the folder *releases*, of those whose file can be read."""
    found: set[str] = set()
    for file in sorted((root / releases).glob("*/release.yaml")):
        try:
            name = _get(read_source(file, file.name).data, "name")
        except OrchestratorErrors:  # it is reported where the release is checked
            continue
        found |= {name} if isinstance(name, str) else set()
    return found


def _get(data: object, key: str | int) -> Any:
    if isinstance(data, list) and isinstance(key, int):
        return data[key]
    return data.get(key) if isinstance(data, dict) else None


def _mapping(data: object, key: str) -> list[str]:
    found = _get(data, key)
    return [str(name) for name in found] if isinstance(found, dict) else []


def _items(data: object, key: str) -> list[Any]:
    found = _get(data, key)
    return found if isinstance(found, list) else []


def _at(data: object, path: Path_) -> Any:
    for key in path:
        data = _get(data, key)
    return data


def _text(data: object, path: Path_) -> Iterator[Named]:
    """The text at *path*, if there is one."""
    found = _at(data, path)
    if isinstance(found, str):
        yield path, found


def _texts(data: object, path: Path_) -> Iterator[Named]:
    """The texts in the list at *path*."""
    found = _at(data, path)
    for number, _ in enumerate(found if isinstance(found, list) else []):
        yield from _text(data, (*path, number))
