"""Roles and collections that a `requirements.yml` names: installed when the package is built, never when it is used."""

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.adapters import safe_yaml
from orchestrator.adapters.archive import galaxy_lock
from orchestrator.adapters.archive.galaxy_lock import RequirementsLock
from orchestrator.adapters.archive.galaxy_process import GalaxyProcess, local_sources
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.text import clean_text
from orchestrator.file_system import files_of
from orchestrator.trees import discard, remove

PLACES = {"": ("collections", "roles"), "collections": ("collections",), "roles": ("roles",)}
FILES = ("requirements.yml", "requirements.yaml")
COLLECTION = re.compile(r"^([a-z_][a-z0-9_]*)\.([a-z_][a-z0-9_]*)$")
ARCHIVE = re.compile(r"(\.git|\.tar\.gz|\.tgz)$")
SHOWN = 1500  # characters of what is wrong with a file
SOURCES = "sources.json"  # beside what was installed: where each role and collection came from


@dataclass(frozen=True)
class RequirementsFile:
    """The requirements of one file: *kind* is `roles` or `collections`."""

    file: Path
    kind: str
    entries: tuple[Any, ...]


@dataclass(frozen=True)
class SearchPaths:
    """Where a project may have what it requires.

    *bases* are folders with a `requirements.yml`, `roles/` and `collections/`; *roles* and *collections* are further
    folders, which an `ansible.cfg` names.
    """

    bases: list[Path]
    roles: list[Path] = field(default_factory=list)
    collections: list[Path] = field(default_factory=list)

    def of(self, kind: str) -> list[Path]:
        """The folders that can hold roles, or collections."""
        further = self.roles if kind == "roles" else self.collections
        return list(dict.fromkeys([*(base / kind for base in self.bases), *further]))


def requirement_folders(places: SearchPaths) -> dict[str, set[Path]]:
    """The folders of roles and of collections in which something lies that a requirements file names."""
    found: dict[str, set[Path]] = {"roles": set(), "collections": set()}
    for wanted in (wanted for base in places.bases for wanted in _requirements(base)):
        names = [name for name in (_place(wanted.kind, entry) for entry in wanted.entries) if name is not None]
        found[wanted.kind] |= {
            folder for folder in places.of(wanted.kind) if any((folder / name).is_dir() for name in names)
        }
    return found


@dataclass
class Installer:
    """Installs what a project requires and does not hold, and compares it with `requirements.lock`.

    Args:
        project: the folder of the project, which has the lock.
        cache: where installed content is kept, by its requirements.
        process: how `ansible-galaxy` is run.
    """

    project: Path
    cache: Path
    process: GalaxyProcess = field(default_factory=GalaxyProcess)
    warnings: list[OrchestratorError] = field(default_factory=list)

    def __call__(self, places: SearchPaths) -> Path | None:
        """A folder with the `roles/` and `collections/` that *places* require and do not hold; None if none is missing.

        It is made once for each content of the requirements files and of the local files that they name. Raises P107
        when `ansible-galaxy` fails, P110 when a requirements file cannot be read, P223 when the result differs from
        the lock, and P224 when the lock cannot be read.
        """
        missing = [wanted for base in places.bases for wanted in _requirements(base) if not _held(wanted, places)]
        if not missing:
            return None
        lock = galaxy_lock.read_lock(self._lock_file)
        final = self.cache / _fingerprint(missing)
        usable = _complete(final, missing, lock)
        if not usable or (lock is not None and lock.differences(self._described(final, missing))):
            self._fill(final, missing, lock)
        self._record(lock, self._described(final, missing))
        return final

    @property
    def _lock_file(self) -> Path:
        return self.project / galaxy_lock.FILE

    def _fill(self, final: Path, missing: list[RequirementsFile], lock: RequirementsLock | None) -> None:
        """Install into *final*, and replace its content. Raises P223 if the result differs from *lock*."""
        self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = Path(tempfile.mkdtemp(prefix=".installing-", dir=self.cache))
        try:
            made, scratch = temporary / "made", temporary / "scratch"
            made.mkdir()
            for number, wanted in enumerate(missing):
                file = _pinned(wanted, lock, temporary / f"requirements-{number}.yml")
                self.process.install(wanted.kind, file, wanted.file, made / wanted.kind, scratch)
            (temporary / SOURCES).write_text(json.dumps(_sources(made, missing)), "utf-8")
            for info in made.glob("collections/ansible_collections/*.info"):
                remove(info)  # where each collection came from: differs from server to server
            self._compare(lock, self._described(made, missing, temporary / SOURCES))
            if final.exists():
                final.rename(temporary / "old")
            (temporary / SOURCES).replace(self.cache / f"{final.name}.{SOURCES}")
            with contextlib.suppress(OSError):  # another process was faster: its folder is as good
                made.rename(final)
        finally:
            discard(temporary)

    def _described(
        self, folder: Path, missing: list[RequirementsFile], sources: Path | None = None
    ) -> RequirementsLock:
        """What was installed in *folder*, as a lock."""
        sources = sources or self.cache / f"{folder.name}.{SOURCES}"
        known: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            known = {str(name): str(source) for name, source in json.loads(sources.read_text("utf-8")).items()}
        requested: dict[str, list[Any]] = {}
        for wanted in missing:
            requested.setdefault(os.path.relpath(wanted.file, self.project), []).append([wanted.kind, wanted.entries])
        digests = {name: galaxy_lock.entries_digest(tuple(entries)) for name, entries in requested.items()}
        return galaxy_lock.installed(folder, digests, known)

    def _compare(self, lock: RequirementsLock | None, new: RequirementsLock) -> None:
        differences = lock.differences(new) if lock is not None else []
        if differences:
            text = f"installed requirements differ from {galaxy_lock.FILE}: {'; '.join(differences[:5])}"
            raise OrchestratorError("P223", text)

    def _record(self, lock: RequirementsLock | None, new: RequirementsLock) -> None:
        """Write what is new into the lock."""
        merged = lock.merged(new) if lock is not None else RequirementsLock(requirements={}).merged(new)
        if merged == lock:
            return
        what = "written" if lock is None else "extended"
        try:
            galaxy_lock.write_lock(self._lock_file, merged)
            text, hint = f"{galaxy_lock.FILE} was {what}: later builds compare with it", "commit it"
        except OSError as error:
            text = (
                f"{galaxy_lock.FILE} cannot be written ({error.strerror}): a later build does not compare with this one"
            )
            hint = "let the folder of the project be written to"
        self.warnings.append(OrchestratorError("P225", text, hint=hint))


def _complete(folder: Path, missing: list[RequirementsFile], lock: RequirementsLock | None) -> bool:
    """Whether *folder* has all that is *missing*, as far as it has plain names, and what that needs by the lock."""
    places = [(wanted.kind, _place(wanted.kind, entry)) for wanted in missing for entry in wanted.entries]
    names = [".".join(place.split("/")[-2:]) for kind, place in places if kind == "collections" and place]
    needed = lock.needed(names) if lock is not None else []
    places += [("collections", f"ansible_collections/{item.name.replace('.', '/')}") for item in needed]
    return folder.is_dir() and all((folder / kind / place).is_dir() for kind, place in places if place)


def _sources(installed: Path, missing: list[RequirementsFile]) -> dict[str, str]:
    """Where each role and collection in *installed* came from: its server, or the source in the requirements file."""
    found = {}
    for wanted in missing:
        for entry in wanted.entries:
            data = entry if isinstance(entry, dict) else {"name": entry}
            place = _place(wanted.kind, entry)
            if place is not None:
                name = ".".join(place.split("/")[-2:]) if wanted.kind == "collections" else place
                found[f"{wanted.kind} {name}"] = str(data.get("source") or data.get("src") or data.get("name") or "")
    others = [str(data.get("source") or data.get("name")) for data in _unplaced(missing)]
    for path in installed.glob("collections/ansible_collections/*/*"):
        found.setdefault(f"collections {path.parent.name}.{path.name}", _other_source(path, others))
    for info in installed.glob("collections/ansible_collections/*.info/GALAXY.yml"):
        data = yaml.safe_load(info.read_text("utf-8"))
        found[f"collections {data['namespace']}.{data['name']}"] = str(data["server"])
    return found


def _unplaced(missing: list[RequirementsFile]) -> Iterator[dict[str, object]]:
    """The entries for collections that name an archive or a repository, and not the collection."""
    for wanted in missing:
        for entry in wanted.entries:
            if wanted.kind == "collections" and _place(wanted.kind, entry) is None:
                yield entry if isinstance(entry, dict) else {"name": entry}


def _other_source(path: Path, others: list[str]) -> str:
    """The archive or repository that a collection came from: the one with its usual name, or the only one."""
    start = f"{path.parent.name}-{path.name}-"
    named = [other for other in others if other.rsplit("/", 1)[-1].startswith(start)]
    return next(iter(named or (others if len(others) == 1 else [])), galaxy_lock.UNKNOWN)


def _pinned(wanted: RequirementsFile, lock: RequirementsLock | None, target: Path) -> Path:
    """The requirements file, or a copy that requests from a server the versions that the *lock* has."""
    if lock is None or wanted.kind != "collections":
        return wanted.file
    known, entries, names = lock.of("collections"), [], []
    for entry in wanted.entries:
        data = dict(entry) if isinstance(entry, dict) else {"name": str(entry).partition(":")[0]}
        locked = known.get(str(data.get("name")))
        from_server = data.get("type", "galaxy") == "galaxy" and COLLECTION.match(str(data.get("name")))
        names.append(str(data.get("name")))
        same = locked is not None and _asks_for(entry, locked.version)
        entries.append({**data, "version": locked.version} if locked and from_server and same else entry)
    needed = [item for item in lock.needed(names) if item.name not in names and item.source.startswith("http")]
    entries += [{"name": item.name, "version": item.version} for item in needed]
    if entries == list(wanted.entries):
        return wanted.file
    target.write_text(yaml.safe_dump({"collections": entries}), "utf-8")
    return target


def _asks_for(entry: Any, version: str) -> bool:
    """Whether *entry* lets the server choose a version, or requests a range that contains *version*."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    requested = entry.get("version") if isinstance(entry, dict) else str(entry).partition(":")[2]
    words = [word.strip() for word in str(requested or "*").split(",")]
    try:
        return bool(version) and all(
            word == "*" or Version(version) in SpecifierSet(_pep440(word), prereleases=True) for word in words
        )
    except (InvalidSpecifier, InvalidVersion):
        return False


def _pep440(word: str) -> str:
    """A condition of Ansible as one of Python's: a bare version is exact."""
    return word if re.match(r"[<>=!]=|[<>]", word) else f"=={word.lstrip('=')}"


def _requirements(base: Path) -> Iterator[RequirementsFile]:
    for folder, kinds in PLACES.items():
        for file in (base / folder / name for name in FILES):
            if file.is_file():
                data = _read(file)
                for kind in kinds:
                    entries = data.get(kind) or []
                    if not isinstance(entries, list):
                        raise OrchestratorError("P110", f"{kind} in {file} is not a list")
                    if entries:
                        yield RequirementsFile(file, kind, tuple(entries))


def _read(file: Path) -> dict[str, object]:
    try:
        data = safe_yaml.load_yaml(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = clean_text(str(error), SHOWN)
        raise OrchestratorError("P110", f"the requirements file {file} cannot be read: {reason}") from error
    data = {"roles": data} if isinstance(data, list) else data or {}
    if not isinstance(data, dict):
        raise OrchestratorError("P110", f"the requirements file {file} is neither a list nor a mapping")
    return data


def _held(wanted: RequirementsFile, places: SearchPaths) -> bool:
    """Whether all entries lie in one of *places* already. What has no plain name is taken to be missing."""
    names = [_place(wanted.kind, entry) for entry in wanted.entries]
    return all(name and any((folder / name).is_dir() for folder in places.of(wanted.kind)) for name in names)


def _place(kind: str, entry: Any) -> str | None:
    """Where *entry* lies in a folder of roles or collections; None if it has no plain name."""
    data = entry if isinstance(entry, dict) else {"name": entry}
    name = str(data.get("name") or data.get("src") or "")
    if kind == "roles":
        name = ARCHIVE.sub("", name.partition(",")[0].rstrip("/").rpartition("/")[2])
        return name or None
    found = COLLECTION.match(name.partition(":")[0])
    return f"ansible_collections/{found[1]}/{found[2]}" if found else None


def _fingerprint(missing: list[RequirementsFile]) -> str:
    """A name for what will be installed: the requirements files, and the local files and folders that they name."""
    digest = hashlib.sha256(b"2\0")  # the second form of the kept content
    for wanted in missing:
        digest.update(wanted.kind.encode() + b"\0" + wanted.file.read_bytes() + b"\0")
        for source in local_sources(wanted.file, wanted.entries):
            for file in files_of(source):
                digest.update(str(file.relative_to(source)).encode(errors="surrogateescape") + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]
