"""What differs between two packages: fields of the release, files, and the lines of small text files."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from orchestrator.adapters.archive.packages import open_package
from orchestrator.adapters.archive.sealed import Reader
from orchestrator.adapters.archive.tree import commits_between
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.package_comparison import Comparison, FieldChange, FileChange
from orchestrator.domain.release import Manifest, PackageFile, PackageRef

MAX_TEXT = 64 * 1024  # bytes: the difference of larger files is not shown line by line
MAX_LINES = 4000
VAULT = b"$ANSIBLE_VAULT"


def compare_packages(before: Path, after: Path, project: Path | None = None) -> Comparison:
    """Compare two sealed files, each verified as it is read; commits are those of the *project*. Raises P-codes."""
    old, new = _Side(before), _Side(after)
    changed = sorted(name for name in old.files.keys() | new.files.keys() if old.files.get(name) != new.files.get(name))
    small = {name for name in changed if all(side.size(name) <= MAX_TEXT for side in (old, new))}
    texts = old.texts(small), new.texts(small)
    files = [
        _file(name, old.files.get(name), new.files.get(name), *(side.get(name) for side in texts)) for name in changed
    ]
    fields = tuple(_fields(old.manifest, new.manifest))
    found = Comparison(before=old.ref, after=new.ref, fields=fields, files=tuple(files))
    return found.model_copy(update=_commits(old, new, project))


def _commits(old: "_Side", new: "_Side", project: Path | None) -> dict[str, object]:
    """The fields of a `Comparison` about Git."""
    about: dict[str, object] = {"revisions": (old.revision, new.revision)}
    if old.revision is None or new.revision is None:
        side = old if old.revision is None else new
        return {**about, "commits_unknown": f"{side.ref} has no Git revision"}
    if project is None:
        return {**about, "commits_unknown": "there is no project here"}
    try:
        return {**about, "commits": commits_between(project, old.revision, new.revision)}
    except OrchestratorError as error:
        return {**about, "commits_unknown": error.message}


class _Side:
    """One of the two packages."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with open_package(path) as source:
            reader = Reader(source)
            reader.verify()
        self.manifest = reader.manifest
        self.files = {_name(file): file for file in reader.manifest.files}
        self.revision = reader.revision
        release = reader.manifest.release
        self.ref = PackageRef(name=release.name, version=release.version, digest=reader.digest)

    def size(self, name: str) -> int:
        return self.files[name].size if name in self.files else 0

    def texts(self, names: set[str]) -> dict[str, bytes]:
        """The content of those of *names* that are here."""
        found = {}
        with open_package(self._path) as source:
            for file, data in Reader(source).files():
                name = _name(file)
                pieces = list(data) if name in names else _dropped(data)
                if name in names:
                    found[name] = f"{file.link}\n".encode() if file.link is not None else b"".join(pieces)
        return found


def _name(file: PackageFile) -> str:
    """A file of the project's tree by its path in the project; one of another area by its name in the archive."""
    return file.path if file.area == "content" else file.name


def _dropped(data: Iterator[bytes]) -> list[bytes]:
    for _ in data:
        pass
    return []


def _file(
    name: str, before: PackageFile | None, after: PackageFile | None, old: bytes | None, new: bytes | None
) -> FileChange:
    change: Literal["added", "removed", "changed"] = "changed"
    if before is None or after is None:
        change = "added" if before is None else "removed"
    lines = None
    if not ((before and old is None) or (after and new is None)):
        lines = _lines(old or b"", new or b"")
    area = next(file.area for file in (after, before) if file is not None)
    return FileChange(area=area, path=name, change=change, before=before, after=after, diff=lines)


def _lines(old: bytes, new: bytes) -> tuple[str, ...] | None:
    if any(b"\0" in data or data.startswith(VAULT) for data in (old, new)):
        return None
    try:
        before, after = (data.decode("utf-8").splitlines() for data in (old, new))
    except UnicodeDecodeError:
        return None
    if max(len(before), len(after)) > MAX_LINES:
        return None
    return tuple(difflib.unified_diff(before, after, lineterm="", n=2))[2:]


def _fields(before: Manifest, after: Manifest) -> Iterator[FieldChange]:
    old, new = dict(_flat(before.release.to_json())), dict(_flat(after.release.to_json()))
    for field in [*old, *(field for field in new if field not in old)]:
        if old.get(field) != new.get(field):
            yield FieldChange(field=field, before=old.get(field), after=new.get(field))


def _flat(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is not a mapping, with its path. Items of a list that have a name are found under it."""
    if isinstance(data, list) and data and all(isinstance(item, dict) and "name" in item for item in data):
        data = {str(item["name"]): item for item in data}
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, data
