"""`requirements.lock`: what the requirements of a project were resolved to: each role and collection with a digest.

The first build that installs something writes the file, and later builds compare what they get with it. The digest
covers the installed files, and not the archive that brought them: servers pack the same content in different ways.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import StringConstraints, ValidationError

from orchestrator.adapters import safe_yaml
from orchestrator.adapters.archive.tree import below
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Digest, Model, canonical_json
from orchestrator.domain.text import clean_text
from orchestrator.file_system import SHARED, write_whole

FILE = "requirements.lock"
HEAD = "# Written by `orchestrator build`. Commit it. To accept other content, remove its entry and build again.\n"
MARK = b"kind: RequirementsLock"
UNKNOWN = "another requirement"  # the source of a dependency that no Galaxy server gave
LARGEST = 4 * 1024 * 1024  # bytes
GENERATED = {"FILES.json", "MANIFEST.json"}  # of a collection from Git: their order differs from machine to machine
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")

Text = Annotated[str, StringConstraints(pattern=r"^[^\u0000-\u001f]*$", max_length=2000)]
Kind = Literal["collections", "roles"]
KINDS: tuple[Kind, ...] = ("collections", "roles")


class LockedContent(Model):
    """One role or collection: where it came from, the digest of its files, and which collections it needs."""

    name: Text
    version: Text
    source: Text
    sha256: Digest
    dependencies: tuple[Text, ...] = ()


class RequirementsLock(Model):
    """The file. *requirements* are the digests of the requirements in each requirements file."""

    apiVersion: Literal["orchestrator/v1"] = "orchestrator/v1"
    kind: Literal["RequirementsLock"] = "RequirementsLock"
    requirements: dict[Text, Digest]
    collections: tuple[LockedContent, ...] = ()
    roles: tuple[LockedContent, ...] = ()

    def of(self, kind: Kind) -> dict[str, LockedContent]:
        """The content of one kind by its name."""
        return {item.name: item for item in (self.collections if kind == "collections" else self.roles)}

    def differences(self, new: "RequirementsLock") -> list[str]:
        """How *new* differs from this file; empty if it does not, or if only the requirements differ."""
        same = all(self.requirements.get(file) == digest for file, digest in new.requirements.items())
        found = []
        for kind in KINDS:
            known = self.of(kind)
            for item in new.of(kind).values():
                found += _difference(f"{kind[:-1]} {item.name}", known.get(item.name), item, same)
        return found

    def merged(self, new: "RequirementsLock") -> "RequirementsLock":
        """This file with what *new* has; other releases of the project may need the rest."""
        both = {kind: {**self.of(kind), **new.of(kind)} for kind in KINDS}
        collections, roles = (tuple(item for _, item in sorted(both[kind].items())) for kind in KINDS)
        requirements = dict(sorted({**self.requirements, **new.requirements}.items()))
        return RequirementsLock(requirements=requirements, collections=collections, roles=roles)

    def needed(self, names: Iterable[str]) -> list[LockedContent]:
        """The collections *names* that this file has, with all that they need."""
        known, waiting, found = self.of("collections"), list(names), dict[str, LockedContent]()
        while waiting:
            name = waiting.pop()
            if name in known and name not in found:
                found[name] = known[name]
                waiting += known[name].dependencies
        return [item for _, item in sorted(found.items())]


def _difference(what: str, known: LockedContent | None, item: LockedContent, same: bool) -> list[str]:
    if known is None:
        return [f"the {what} {item.version} is not in it"] if same else []
    if known.version == item.version and known.sha256 != item.sha256:
        return [f"the {what} {item.version} has other files"]
    if same and known.version != item.version:
        return [f"the {what} is {item.version}, and {known.version} is locked"]
    if same and known.source != item.source:
        return [f"the {what} comes from {item.source}, and {known.source} is locked"]
    return []


def read_lock(file: Path) -> RequirementsLock | None:
    """The lock in *file*; None if there is none. Raises P224."""
    try:
        data = file.read_bytes()[: LARGEST + 1]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OrchestratorError("P224", f"cannot read {file}: {error.strerror}") from error
    try:
        content = safe_yaml.load_yaml(data.decode("utf-8")) if len(data) <= LARGEST else None
        return RequirementsLock.from_json(content)
    except (yaml.YAMLError, ValidationError, ValueError, TypeError, RecursionError) as error:
        why = clean_text(str(error).splitlines()[0], 200)
        raise OrchestratorError("P224", f"{file} is not a lock of requirements: {why}") from error


def write_lock(file: Path, lock: RequirementsLock) -> None:
    """Write *lock* into *file*, as a whole or not at all. Raises `OSError`."""
    write_whole(file, HEAD + yaml.safe_dump(lock.to_json(), sort_keys=False, width=1000), mode=SHARED)


def is_lock(file: Path) -> bool:
    """Whether *file* is such a file, and not one of another tool with its name."""
    try:
        with file.open("rb") as source:
            return MARK in source.read(1024)
    except OSError:
        return False


# -- what was installed ------------------------------------------------------------------------------------------------


def entries_digest(entries: tuple[Any, ...]) -> str:
    """The digest of the requirements in a requirements file."""
    return "sha256:" + hashlib.sha256(json.dumps(entries, sort_keys=True, default=str).encode()).hexdigest()


def installed(folder: Path, requirements: dict[str, str], sources: Mapping[str, str]) -> RequirementsLock:
    """The content of a *folder* of installed requirements, as a lock. The keys of *sources* are `KIND NAME`."""

    def items(kind: Kind) -> tuple[LockedContent, ...]:
        found = []
        for name, path in sorted(_places(folder, kind), key=lambda item: item[0]):
            version, dependencies = _about(path, kind)
            source = plain_source(sources.get(f"{kind} {name}", UNKNOWN))
            digest = _files_digest(path, kind)
            needs = tuple(dependencies)
            found.append(LockedContent(name=name, version=version, source=source, sha256=digest, dependencies=needs))
        return tuple(found)

    return RequirementsLock(requirements=requirements, collections=items("collections"), roles=items("roles"))


def plain_source(source: str) -> str:
    """The address of a source without the user and password in it."""
    return clean_text(CREDENTIALS.sub("", source), 2000)


def _places(folder: Path, kind: Kind) -> Iterator[tuple[str, Path]]:
    if kind == "roles":
        yield from ((path.name, path) for path in folder.glob("roles/*") if path.is_dir())
        return
    for path in folder.glob("collections/ansible_collections/*/*"):
        if path.is_dir() and not path.parent.name.endswith(".info"):
            yield f"{path.parent.name}.{path.name}", path


def _about(path: Path, kind: Kind) -> tuple[str, list[str]]:
    """The version that a role or collection declares (empty if it declares none), and the collections that it needs."""
    with contextlib.suppress(OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        if kind == "collections":
            about = json.loads((path / "MANIFEST.json").read_text("utf-8"))["collection_info"]
            return str(about["version"]), sorted(map(str, about.get("dependencies") or ()))
        return str(yaml.safe_load((path / "meta/.galaxy_install_info").read_text("utf-8"))["version"] or ""), []
    return "", []


def _files_digest(path: Path, kind: Kind) -> str:
    """The digest of the files below *path*: their names, contents, links, and whether they are programs."""
    digest = hashlib.sha256()
    for name in sorted(below(path, "")):
        file = path / name
        if kind == "collections" and name in GENERATED:
            content = _info(file)
        elif file.is_symlink():
            content = b"link\0" + os.fsencode(file.readlink())
        else:
            program = b"program" if os.access(file, os.X_OK) else b"file"
            content = program + b"\0" + hashlib.sha256(file.read_bytes()).hexdigest().encode()
        digest.update(canonical_json([name, content.decode("utf-8", "replace")]) + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _info(file: Path) -> bytes:
    """The part of a generated file that counts: the collection's own description, such as its dependencies."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if file.name == "MANIFEST.json":
            return canonical_json(json.loads(file.read_text("utf-8"))["collection_info"])
    return b""
