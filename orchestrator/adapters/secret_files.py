"""Which kept controller files are secret: those that a backup contains only with `--with-secrets`.

A version of the files records which of its paths were declared as secret. What `environment.yaml` declares counts as
well. Versions of earlier programs record nothing: if their environment is not known any more, all their files count.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from orchestrator.trees import entries

FOLDER = "controller-files"
INDEX = "versions.json"
SECRET = "secret"  # noqa: S105 - the name of a field
"""The paths of a version that were declared as secret, in its entry of the index: one a line."""


def is_below_any(declared: Iterable[str], path: str) -> bool:
    """Whether *path* is one of the *declared* paths, or lies in a folder that is."""
    return any(path == own or path.startswith(f"{own}/") for own in (each.strip("/") for each in declared))


def secret_files(state: Path, declared: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, Path]]:
    """The secret controller files below *state*: their names relative to it, and where they are.

    *declared* are the paths that each environment of the project declares as secret.
    """
    for folder in sorted(path for path in (state / FOLDER).glob("*") if path.is_dir() and not path.is_symlink()):
        recorded = _recorded(folder / INDEX)
        for version in sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()):
            own = _paths(recorded.get(version.name), declared.get(folder.name))
            for path in _files(version):
                if own is None or is_below_any(own, path.relative_to(version).as_posix()):
                    yield path.relative_to(state).as_posix(), path


def is_listed(name: str, index: Path | None) -> bool:
    """Whether the file *name* belongs to a version in the *index* of its environment."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        versions = json.loads(index.read_text(encoding="utf-8")) if index is not None else []
        return name.split("/")[2] in {version["folder"] for version in versions}
    return False


def _paths(recorded: tuple[str, ...] | None, declared: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The paths that count as secret; None: all, because nothing is known."""
    if recorded is None:
        return declared
    return (*recorded, *(declared or ()))


def _recorded(index: Path) -> dict[str, tuple[str, ...]]:
    """The paths that each version records as secret, by its folder; without those that record nothing."""
    found: dict[str, tuple[str, ...]] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        versions: list[dict[str, object]] = json.loads(index.read_text(encoding="utf-8"))
        for version in versions:
            if SECRET in version:
                found[str(version["folder"])] = tuple(str(version[SECRET]).splitlines())
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (folder / found.name for found in entries(folder) if found.is_file)
