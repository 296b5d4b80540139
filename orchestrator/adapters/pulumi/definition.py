"""What defines an environment: its Pulumi program, what that reads of the project, and its own file, under one digest.

definitions/<hexadecimal digest>/definition.json      the environment's file as data, and each file's SHA-256
definitions/<hexadecimal digest>/tree/…               those files, each at its place below the project's root

The digest is that of `definition.json`, and each file is compared with it before every use. Definitions that earlier
versions kept have `environment.json` and `place` instead, and the program alone; they stay usable.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from pydantic import ValidationError

from orchestrator.adapters.pulumi.surroundings import surroundings
from orchestrator.adapters.pulumi.workspace import IGNORED
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, canonical_json, digest_of
from orchestrator.domain.release import PackageFile
from orchestrator.trees import discard, entries

PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
NOT_THE_PROGRAM = {"dist", "environments", "playbooks", "releases", "roles", "collections", "tests"}
MANIFEST, TREE = "definition.json", "tree"
ABOUT, PLACE = "environment.json", "place"  # of a definition in the first format
NAMED = 300  # characters of the name of a file in a message
_STACK_FILE = re.compile(r"^Pulumi\.(.+)\.(yaml|yml|json)$")


class Manifest(Model):
    """A definition: the program's *place* in the project, the *environment*'s file as data, and all *files*."""

    format: Literal[1, 2] = 2
    place: str
    environment: dict[str, object]
    files: tuple[PackageFile, ...]

    @property
    def text(self) -> bytes:
        """Its canonical text, from which the digest is made."""
        return canonical_json(self.to_json())

    @property
    def digest(self) -> str:
        """The definition's digest."""
        return digest_of(self.to_json())


@dataclass(frozen=True)
class Program:
    """A Pulumi project in the folder *path*, at *place* below the root *project*, for one *stack*."""

    path: Path
    project: Path
    place: str
    stack: str

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file of the program itself, by its name below *path*, sorted. Links are followed.

        Left out are installed packages, caches, and what is other stacks' configuration. Where the project's root
        is the program's folder as well, releases, playbooks and tests do not belong to its files.
        """
        outside = NOT_THE_PROGRAM if self.place == "." else set()
        yield from sorted(_files_below(self.path, IGNORED | outside, self.stack.rsplit("/", 1)[-1]))

    def everything(self, reads: tuple[str, ...] | None, state: Path) -> dict[str, Path]:
        """Its files and what it reads of the project, by their names below the project's root.

        *reads* is what is declared; None: it is found. *state* is the state folder. Raises E165 and E167.
        """
        own = {(PurePath(self.place) / name).as_posix(): path for name, path in self.files()}
        if not self.path.is_relative_to(self.project):
            return own
        return {**surroundings(self.project, self.place, own.values(), reads, state), **own}


def _files_below(top: Path, ignored: set[str], stack: str) -> Iterator[tuple[str, Path]]:
    waiting = [(top, ignored)]
    while waiting:
        at, left_out = waiting.pop()
        for entry in os.scandir(at):
            other = _STACK_FILE.match(entry.name)
            if entry.name in left_out or entry.name.endswith((".pyc", ".pyo")) or (other and other[1] != stack):
                continue
            path = at / entry.name
            if entry.is_file():
                yield path.relative_to(top).as_posix(), path
            elif entry.is_dir() and not (entry.is_symlink() and at.resolve().is_relative_to(path.resolve())):
                waiting.append((path, IGNORED))


def find_program(environment: Environment, folder: Path, project: Path) -> Program:
    """The program of *environment*, whose file is in *folder*. Raises E102.

    `program:` is relative to the environment's folder; when no Pulumi project is there, to the project's root.
    """
    wanted = environment.program or "."
    for base in (folder, project):
        path = Path(os.path.normpath(base / wanted))
        if any((path / name).is_file() for name in PROJECT_FILES):
            place = path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
            return Program(path, project, place, environment.stack or environment.name)
    hint = "name its folder with `program:`" if environment.program else "add the program, or name it with `program:`"
    if environment.inventory.files:
        hint = "if the environment has inventory files only, write `program: null` into environment.yaml"
    raise OrchestratorError("E102", f"there is no Pulumi project (Pulumi.yaml) in {folder / wanted}", hint=hint)


def keep_definition(program: Program, environment: Environment, store: Path) -> tuple[str, Path]:
    """The definition's digest, and the program's folder in a copy below *store*, made once for each digest.

    Raises E104 when a file changes while it is read, E165, E167, and E166 when the copy was changed.
    """
    files = program.everything(environment.pulumi.reads, store.parent.parent)
    listed = tuple(_listed(name, path) for name, path in sorted(files.items()))
    manifest = Manifest(place=program.place, environment=environment.to_json(), files=listed)
    kept = store / manifest.digest.removeprefix("sha256:")
    if kept.is_dir():
        verify_definition(store, manifest.digest)
    else:
        _keep(manifest, files, kept)
    return manifest.digest, kept / TREE / program.place


def _listed(name: str, path: Path) -> PackageFile:
    data = path.read_bytes()
    executable = bool(path.stat().st_mode & 0o111)
    return PackageFile(path=name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), executable=executable)


def _keep(manifest: Manifest, files: Mapping[str, Path], kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=".copying-", dir=kept.parent))
    try:
        for file in manifest.files:
            write_verified(
                temporary, file, files[file.path].read_bytes(), "E104", f"{files[file.path]} changed while it was read"
            )
        (temporary / TREE / manifest.place).mkdir(parents=True, exist_ok=True)
        (temporary / MANIFEST).write_bytes(manifest.text)
        temporary.rename(kept)
    except OSError:
        if not kept.is_dir():  # otherwise another process kept the same definition
            raise
    finally:
        discard(temporary)


def write_verified(folder: Path, file: PackageFile, data: bytes, code: str, message: str) -> None:
    """Write *data* as *file* below the tree in *folder*. Raises *code* when it does not match the manifest."""
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise OrchestratorError(code, message)
    copy = folder / TREE / file.path
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(data)
    copy.chmod(0o755 if file.executable else 0o644)


# -- kept definitions --------------------------------------------------------------------------------------------------


def verify_definition(store: Path, digest: str) -> Manifest:
    """The kept definition *digest*, each of its files compared with it.

    Raises E105 when it is not kept here, and E166 when a file was changed, added or removed since.
    """
    folder = store / digest.removeprefix("sha256:")
    if not folder.is_dir():
        raise OrchestratorError("E105", f"the definition {digest[:19]} is not kept here")
    manifest = _manifest(folder, digest)
    missing = {file.path: file for file in manifest.files}
    for found in entries(folder / TREE):
        name = found.name
        file = missing.pop(name, None)
        same = file is not None and found.is_file and found.status.st_size == file.size
        if file is None or not same or _listed(name, folder / TREE / name) != file:
            raise _changed(folder, f"{TREE}/{name[:NAMED]}")
    for name in missing:
        raise _changed(folder, f"{TREE}/{name}")
    return manifest


def _manifest(folder: Path, digest: str) -> Manifest:
    """The manifest of the definition in *folder*. Raises E166."""
    first = not (folder / MANIFEST).is_file()
    strange = {path.name for path in folder.iterdir()} - ({ABOUT, PLACE, TREE} if first else {MANIFEST, TREE})
    strange |= {path.name for path in folder.iterdir() if path.is_symlink()}
    if strange:
        raise _changed(folder, min(strange))
    try:
        if first:
            return _first_format(folder, digest)
        text = (folder / MANIFEST).read_bytes()
        manifest = Manifest.model_validate_json(text)
    except (OSError, ValueError, ValidationError, KeyError, TypeError, AttributeError) as error:
        raise _changed(folder, ABOUT if first else MANIFEST) from error
    if f"sha256:{hashlib.sha256(text).hexdigest()}" != digest:
        raise _changed(folder, MANIFEST)
    return manifest


def _first_format(folder: Path, digest: str) -> Manifest:
    """The definition that an earlier version kept: its digest covers the program's own files."""
    text = (folder / ABOUT).read_bytes()
    about, place = json.loads(text), (folder / PLACE).read_text(encoding="utf-8")
    if PurePath(place).is_absolute() or ".." in PurePath(place).parts or canonical_json(about) != text:
        raise _changed(folder, PLACE)
    program = Program(folder / TREE / place, folder / TREE, place, str(about["stack"] or about["name"]))
    files = dict(program.files())
    named = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    runnable = sorted(name for name, path in files.items() if os.access(path, os.X_OK))
    if digest_of({"place": place, "files": named, "runnable": runnable, "about": about}) != digest:
        raise _changed(folder, TREE)
    listed = tuple(_listed((PurePath(place) / name).as_posix(), path) for name, path in files.items())
    return Manifest(format=1, place=place, environment=about, files=listed)


def _changed(folder: Path, name: str) -> OrchestratorError:
    return OrchestratorError("E166", f"the kept definition was changed: {folder / name}", hint=f"remove {folder}")


def kept_environment(store: Path, digest: str) -> Environment:
    """The environment's file as it was in the kept definition *digest*. Raises E105 and E166."""
    return Environment.from_json(verify_definition(store, digest).environment)
