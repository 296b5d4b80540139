"""Roles and collections that a `requirements.yml` names: installed when the package is built, never when it is used."""

import contextlib
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.text import clean_text

PLACES = {"": ("collections", "roles"), "collections": ("collections",), "roles": ("roles",)}
FILES = ("requirements.yml", "requirements.yaml")
COLLECTION = re.compile(r"^([a-z_][a-z0-9_]*)\.([a-z_][a-z0-9_]*)$")
ARCHIVE = re.compile(r"(\.git|\.tar\.gz|\.tgz)$")
TIMEOUT = 900.0  # seconds, for one requirements file
SHOWN = 1500  # characters of what ansible-galaxy said


@dataclass(frozen=True)
class Wanted:
    """What one requirements file asks for: *kind* is `roles` or `collections`."""

    file: Path
    kind: str
    entries: tuple[Any, ...]


@dataclass(frozen=True)
class Places:
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


def held(places: Places) -> dict[str, set[Path]]:
    """The folders of roles and of collections in which something lies that a requirements file names."""
    found: dict[str, set[Path]] = {"roles": set(), "collections": set()}
    for wanted in (wanted for base in places.bases for wanted in _requirements(base)):
        names = [name for name in (_place(wanted.kind, entry) for entry in wanted.entries) if name is not None]
        found[wanted.kind] |= {
            folder for folder in places.of(wanted.kind) if any((folder / name).is_dir() for name in names)
        }
    return found


def install(places: Places, cache: Path) -> Path | None:
    """A folder with the `roles/` and `collections/` that *places* require and do not hold; None when none is missing.

    It is made once for each content of the requirements files and of the local files that they name. Raises P107
    when `ansible-galaxy` fails, P110 when a requirements file cannot be read.
    """
    missing = [wanted for base in places.bases for wanted in _requirements(base) if not _held(wanted, places)]
    if not missing:
        return None
    final = cache / _fingerprint(missing)
    if final.is_dir():
        return final
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=".installing-", dir=cache))
    try:
        for wanted in missing:
            _galaxy(wanted, temporary / wanted.kind)
        for info in temporary.glob("collections/ansible_collections/*.info"):
            shutil.rmtree(info)  # where each collection came from: differs from server to server
        with contextlib.suppress(OSError):  # another process was faster: its folder is as good
            temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def _requirements(base: Path) -> Iterator[Wanted]:
    for folder, kinds in PLACES.items():
        for file in (base / folder / name for name in FILES):
            if file.is_file():
                data = _read(file)
                for kind in kinds:
                    entries = data.get(kind) or []
                    if not isinstance(entries, list):
                        raise OrchestratorError("P110", f"{kind} in {file} is not a list")
                    if entries:
                        yield Wanted(file, kind, tuple(entries))


def _read(file: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = clean_text(str(error), SHOWN)
        raise OrchestratorError("P110", f"the requirements file {file} cannot be read: {reason}") from error
    data = {"roles": data} if isinstance(data, list) else data or {}
    if not isinstance(data, dict):
        raise OrchestratorError("P110", f"the requirements file {file} is neither a list nor a mapping")
    return data


def _held(wanted: Wanted, places: Places) -> bool:
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


def _galaxy(wanted: Wanted, target: Path) -> None:
    command = [sys.executable, "-P", "-m", "ansible", "galaxy", wanted.kind.removesuffix("s"), "install"]
    command += ["-r", str(wanted.file), "-p", str(target)]
    try:
        done = subprocess.run(
            command, cwd=wanted.file.parent, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise OrchestratorError("P107", f"ansible-galaxy took more than {TIMEOUT:.0f} s for {wanted.file}") from error
    if done.returncode:
        said = clean_text((done.stderr or done.stdout).decode("utf-8", "replace").strip())[-SHOWN:]
        raise OrchestratorError("P107", f"the {wanted.kind} of {wanted.file} could not be installed:\n{said}")


def _fingerprint(missing: list[Wanted]) -> str:
    """A name for what will be installed: the requirements files, and the local files and folders that they name."""
    digest = hashlib.sha256()
    for wanted in missing:
        digest.update(wanted.kind.encode() + b"\0" + wanted.file.read_bytes() + b"\0")
        for source in _local(wanted):
            files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
            for file in files:
                digest.update(str(file.relative_to(source)).encode(errors="surrogateescape") + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _local(wanted: Wanted) -> Iterator[Path]:
    for entry in wanted.entries:
        data = entry if isinstance(entry, dict) else {"name": entry}
        for key in ("name", "source", "src"):
            path = Path(str(data.get(key) or "").removeprefix("git+").removeprefix("file://"))
            if path.parts and (wanted.file.parent / path).exists():
                yield wanted.file.parent / path
