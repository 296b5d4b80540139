"""What defines an environment: every file of its Pulumi program, and its own file, kept under one digest.

definitions/<hexadecimal digest>/environment.json      the environment's file, as data
definitions/<hexadecimal digest>/place                 where the program is, below the project's root
definitions/<hexadecimal digest>/tree/<place>/…        the program, at its place below the project's root
"""

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters.pulumi.workspace import IGNORED
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json, digest_of
from orchestrator.ports import Artifacts

PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
NOT_THE_PROGRAM = {"dist", "environments", "playbooks", "releases", "roles", "collections", "tests"}
SHARED = "definitions/"  # names of shared definitions: their digests, in hexadecimal digits
_STACK_FILE = re.compile(r"^Pulumi\.(.+)\.(yaml|yml|json)$")


@dataclass(frozen=True)
class Program:
    """A Pulumi project in the folder *path*, at *place* below the root *project*, for one *stack*."""

    path: Path
    project: Path
    place: str
    stack: str

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file that defines it, by its name below *path*, sorted. Links are followed.

        Left out are installed packages, caches, and what is other stacks' configuration. Where the project's root
        is the program's folder as well, releases, playbooks and tests are none of its files.
        """
        outside = NOT_THE_PROGRAM if self.place == "." else set()
        yield from sorted(_walk(self.path, self.path, IGNORED | outside, self.stack.rsplit("/", 1)[-1]))


def _walk(top: Path, at: Path, ignored: set[str], stack: str) -> Iterator[tuple[str, Path]]:
    for entry in os.scandir(at):
        other = _STACK_FILE.match(entry.name)
        if entry.name in ignored or entry.name.endswith((".pyc", ".pyo")) or (other and other[1] != stack):
            continue
        path = at / entry.name
        if entry.is_file():
            yield path.relative_to(top).as_posix(), path
        elif entry.is_dir() and not (entry.is_symlink() and at.resolve().is_relative_to(path.resolve())):
            yield from _walk(top, path, IGNORED, stack)


def find(environment: Environment, folder: Path, project: Path) -> Program:
    """The program of *environment*, whose file is in *folder*. Raises E102.

    `program:` is relative to the environment's folder; when no Pulumi project is there, to the project's root.
    """
    wanted = environment.program or "."
    for base in (folder, project):
        path = Path(os.path.normpath(base / wanted))
        if any((path / name).is_file() for name in PROJECT_FILES):
            place = path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
            return Program(path, project, place, environment.stack or environment.name)
    raise OrchestratorError("E102", f"there is no Pulumi project (Pulumi.yaml) in {folder / wanted}")


def keep(program: Program, environment: Environment, store: Path) -> tuple[str, Path]:
    """The definition's digest, and the program's folder in a copy below *store*, made once for each digest.

    Raises E104 when a file changes while it is read.
    """
    about = environment.to_json()
    found = _digest(dict(program.files()), program.place, about)
    kept = store / found.removeprefix("sha256:")
    if not kept.is_dir():
        store.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = Path(tempfile.mkdtemp(prefix=".copying-", dir=store))
        try:
            _copy(program, environment, temporary)
            copied = Program(temporary / "tree" / program.place, temporary / "tree", program.place, program.stack)
            if _digest(dict(copied.files()), program.place, about) != found:
                raise OrchestratorError("E104", f"{program.path} changed while it was read")
            temporary.rename(kept)
        except OSError:
            if not kept.is_dir():  # otherwise another process kept the same definition
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return found, kept / "tree" / program.place


def _copy(program: Program, environment: Environment, target: Path) -> None:
    for name, path in program.files():
        copy = target / "tree" / program.place / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    (target / "environment.json").write_bytes(canonical_json(environment.to_json()))
    (target / "place").write_text(program.place, encoding="utf-8")


def _digest(files: dict[str, Path], place: str, about: Any) -> str:
    named = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    runnable = sorted(name for name, path in files.items() if os.access(path, os.X_OK))
    return digest_of({"place": place, "files": named, "runnable": runnable, "about": about})


def share(digest: str, store: Path, artifacts: Artifacts) -> None:
    """Share the kept definition as one archive. Raises S-codes."""
    name = f"{SHARED}{digest.removeprefix('sha256:')}"
    if artifacts.named(name) is not None:
        return
    folder = store / digest.removeprefix("sha256:")
    with tempfile.NamedTemporaryFile(prefix="orchestrator-definition-") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.add(path, path.relative_to(folder).as_posix(), recursive=False)
        file.flush()
        artifacts.name(name, artifacts.put(Path(file.name)))


def fetch(digest: str, store: Path, artifacts: Artifacts) -> None:
    """Keep a definition here that is shared; without effect when it is not. Raises E105 when it cannot be had."""
    plain = digest.removeprefix("sha256:")
    store.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=".copying-", dir=store))
    try:
        shared = artifacts.named(f"{SHARED}{plain}")
        if shared is None:
            return
        artifacts.get(shared, temporary / "archive")
        _extract(temporary / "archive", temporary / "kept")
        _check(temporary, digest)
        (temporary / "kept").rename(store / plain)
    except OrchestratorError as error:
        raise OrchestratorError("E105", f"the definition {digest[:19]} is not kept here: {error.message}") from error
    except (OSError, ValueError, tarfile.TarError) as error:
        if not (store / plain).is_dir():
            raise OrchestratorError("E105", f"the shared definition {digest[:19]} cannot be unpacked") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check(folder: Path, digest: str) -> None:
    """Whether the definition in *folder*/kept is the one with this digest. Raises E105."""
    tree, environment = folder / "kept" / "tree", kept_environment(folder, "kept")
    place = (folder / "kept" / "place").read_text(encoding="utf-8")
    program = Program(tree / place, tree, place, environment.stack or environment.name)
    if _digest(dict(program.files()), place, environment.to_json()) != digest:
        raise OrchestratorError("E105", f"the shared definition {digest[:19]} is another one")


def _extract(file: Path, target: Path) -> None:
    """Unpack regular files and nothing else; a name that leads out of *target* is a `ValueError`."""
    with tarfile.open(file) as archive:
        for member in archive:
            path = Path(os.path.normpath(target / member.name))
            if not member.isreg() or not path.is_relative_to(target):
                raise ValueError(member.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(member)
            assert source is not None
            with path.open("xb") as copy:
                shutil.copyfileobj(source, copy)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)


def kept_program(store: Path, digest: str) -> Path:
    """The program's folder in the kept definition *digest*. Raises E105 when it is not kept here."""
    folder = store / digest.removeprefix("sha256:")
    try:
        return folder / "tree" / (folder / "place").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise OrchestratorError("E105", f"the definition {digest[:19]} is not kept here") from error


def kept_environment(store: Path, digest: str) -> Environment:
    """The environment's file as it was in the kept definition *digest*."""
    text = (store / digest.removeprefix("sha256:") / "environment.json").read_text(encoding="utf-8")
    return Environment.model_validate_json(text)
