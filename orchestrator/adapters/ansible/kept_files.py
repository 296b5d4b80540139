"""The controller files that an environment declares: kept over releases, each version with the run that wrote it.

`lookup('password', ...)` and fetched files then behave over releases as they do by hand. A play gets the newest version
into its copy; a step that restores a release gets the version which that release wrote last.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "controller-files"
INDEX = "versions.json"


@dataclass(frozen=True)
class Writer:
    """The play that uses the files: its *job*, the *digest* of its package, and whether it *restores* a release."""

    job: str
    digest: str
    restores: bool


class KeptFiles:
    """The declared controller files of one environment.

    Args:
        folder: where the versions of this environment lie.
        declared: the files and folders, relative to the project.
    """

    def __init__(self, folder: Path, declared: tuple[str, ...]) -> None:
        self._folder = folder
        self._declared = tuple(path.strip("/") for path in declared)

    def covers(self, path: str) -> bool:
        """Whether *path* is declared, or lies in a folder that is."""
        return any(path == own or path.startswith(f"{own}/") for own in self._declared)

    def lay(self, copy: Path, writer: Writer) -> None:
        """Put the version for *writer* into *copy*; a sealed file is never replaced."""
        version = self._version(writer)
        for path in _files(version) if version is not None else ():
            name = path.relative_to(version or path).as_posix()
            if self.covers(name) and not os.path.lexists(copy / name):
                _put(path, copy / name)

    def take(self, copy: Path, sealed: Path, writer: Writer) -> None:
        """Keep what *writer* left in *copy*, in a version of its own where it differs from the version before."""
        versions = self._versions()
        if not self._declared or any(version["job"] == writer.job for version in versions):
            return
        names = [path.relative_to(copy).as_posix() for path in _files(copy)]
        own = {name: copy / name for name in names if self.covers(name) and not os.path.lexists(sealed / name)}
        last = self._folder / str(versions[-1]["folder"]) if versions else None
        if not own and last is None:
            return
        if last is not None and _same(own, last) and versions[-1]["digest"] == writer.digest:
            return
        name = f"{len(versions) + 1:06d}"
        shutil.rmtree(self._folder / name, ignore_errors=True)
        (self._folder / name).mkdir(parents=True, mode=0o700)
        for path, source in own.items():
            _put(source, self._folder / name / path)
        self._write([*versions, {"job": writer.job, "digest": writer.digest, "folder": name}])

    def _version(self, writer: Writer) -> Path | None:
        versions = self._versions()
        mine = [version for version in versions if version["digest"] == writer.digest]
        chosen = mine if writer.restores and mine else versions
        return self._folder / str(chosen[-1]["folder"]) if chosen else None

    def _versions(self) -> list[dict[str, Any]]:
        try:
            return list(json.loads((self._folder / INDEX).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return []

    def _write(self, versions: list[dict[str, Any]]) -> None:
        new = self._folder / f"{INDEX}.new"
        new.write_text(json.dumps(versions), encoding="utf-8")
        new.chmod(0o600)
        new.replace(self._folder / INDEX)


def _files(folder: Path) -> Iterator[Path]:
    """The ordinary files below *folder*; links are not kept."""
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in names if not (Path(place) / name).is_symlink())


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source, target)
    target.chmod(0o600)


def _same(files: dict[str, Path], version: Path) -> bool:
    before = {path.relative_to(version).as_posix(): path for path in _files(version)}
    return files.keys() == before.keys() and all(
        path.read_bytes() == before[name].read_bytes() for name, path in files.items()
    )
