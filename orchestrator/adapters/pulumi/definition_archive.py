"""Shared definitions: each as one archive in the form of a release package, read as strictly.

    manifest.json            `definition.json`, whose SHA-256 is the definition's digest
    content/…                its files, in that order

Nothing else is accepted, so an archive holds nothing that the digest does not cover. Archives that earlier versions
shared are read too: they are unpacked, and then every file has to be one that the digest covers.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from orchestrator.adapters.archive.names import check_name, check_together
from orchestrator.adapters.archive.sealed import END, MAX_MANIFEST, Member, Reader, put_all
from orchestrator.adapters.archive.sealed import MANIFEST as FIRST
from orchestrator.adapters.pulumi.definition import MANIFEST, TREE, Manifest, verify_definition, write_verified
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import PackageFile
from orchestrator.ports import Artifacts
from orchestrator.trees import discard, temporary_folder

SHARED = "definitions/"  # names of shared definitions: their digests, in hexadecimal digits


class DefinitionReader(Reader):
    """Reads a shared definition from front to back. Raises P-codes, and `ValueError` for other content."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.attachments: list[str] = []
        first = self._next()
        if first is None or first != Member(FIRST, first.size, executable=False) or first.size > MAX_MANIFEST:
            raise ValueError("the first file is not the manifest")
        text = self._exactly(first.size, FIRST)
        self._padding(first)
        self.definition = Manifest.model_validate_json(text)
        self.digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        check_together([check_name(file.path) for file in self.definition.files])

    def content(self) -> Iterator[tuple[PackageFile, bytes]]:
        """Each file with its data."""
        for file in self.definition.files:
            expected = Member.of(file)
            if file.link is not None or file.area != "content" or self._next() != expected:
                raise ValueError(f"{file.path} is not in the order of the manifest")
            yield file, b"".join(self._data(expected, file.sha256))
        if self._next() is not None:
            raise ValueError("it has more than the manifest lists")


def share(digest: str, store: Path, artifacts: Artifacts) -> None:
    """Share the kept definition as one archive. Raises E105, E166, P203, P204 and S-codes."""
    name = f"{SHARED}{digest.removeprefix('sha256:')}"
    if artifacts.named(name) is not None:
        return
    manifest, folder = verify_definition(store, digest), store / digest.removeprefix("sha256:")
    if not (folder / MANIFEST).is_file():
        return  # an earlier version kept it, and shared it if it could
    check_together([check_name(file.path) for file in manifest.files])
    with temporary_folder("orchestrator-definition-") as temporary:
        archive = Path(temporary, "archive")
        with archive.open("wb") as target:
            put_all(
                target, manifest.text, manifest.files, lambda file: (folder / TREE / file.path).open("rb"), _changed
            )
            target.write(END)
        artifacts.name(name, artifacts.put(archive))


def _changed(path: str) -> OrchestratorError:
    return OrchestratorError("E166", f"the kept definition was changed: {path}")


def fetch_definition(digest: str, store: Path, artifacts: Artifacts) -> None:
    """Keep a definition here that is shared; without effect when it is not. Raises E105 when it cannot be had."""
    plain = digest.removeprefix("sha256:")
    store.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=".copying-", dir=store))
    try:
        shared = artifacts.named(f"{SHARED}{plain}")
        if shared is None:
            return
        artifacts.get(shared, temporary / "archive")
        unpack_definition(temporary / "archive", temporary, digest)
        (temporary / plain).rename(store / plain)
    except OrchestratorError as error:
        raise OrchestratorError("E105", f"the definition {digest[:19]} is not kept here: {error.message}") from error
    except OSError as error:
        if not (store / plain).is_dir():  # otherwise another process was faster
            raise OrchestratorError("E105", f"the shared definition {digest[:19]} cannot be unpacked") from error
    finally:
        discard(temporary)


def unpack_definition(archive: Path, store: Path, digest: str) -> None:
    """Unpack the definition *digest* below *store*, and compare every file. Raises E105, E166 and P-codes.

    What was written by then has to be removed when it raises.
    """
    try:
        _unpack(archive, store / digest.removeprefix("sha256:"), digest)
    except (ValueError, ValidationError, tarfile.TarError) as error:
        raise OrchestratorError("E105", f"the shared definition {digest[:19]} cannot be unpacked") from error
    verify_definition(store, digest)


def _unpack(archive: Path, target: Path, digest: str) -> None:
    with archive.open("rb") as source:
        if not source.read(len(FIRST) + 1).startswith(FIRST.encode() + b"\0"):
            _unpack_first_format(archive, target)
            return
        source.seek(0)
        reader = DefinitionReader(source)
        if reader.digest != digest:
            raise OrchestratorError("E105", f"the shared definition {digest[:19]} has another digest")
        for file, data in reader.content():
            write_verified(target, file, data, "E105", f"{file.path} has another digest")
        (target / TREE / reader.definition.place).mkdir(parents=True, exist_ok=True)
        (target / MANIFEST).write_bytes(reader.definition.text)


def _unpack_first_format(file: Path, target: Path) -> None:
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
