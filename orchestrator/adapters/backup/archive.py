"""A backup's file: the form of a release package, with a manifest of its own; read as strictly.

    manifest.json            what it is, and every file with its size and SHA-256
    content/…                those files, in that order

Regular files only, canonical names, no links, nothing compressed, nothing behind the end (see `archive/sealed.py`).
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, Self

from pydantic import Field, ValidationError

from orchestrator.adapters.archive import packages
from orchestrator.adapters.archive.names import check_name, check_together
from orchestrator.adapters.archive.sealed import END, MANIFEST, Member, Reader, put_all
from orchestrator.adapters.backup.authentication import BackupAuthentication, authenticate, fits
from orchestrator.adapters.withheld import Withheld
from orchestrator.domain.error_codes import DAMAGED_BACKUP, NOT_A_BACKUP, NOT_A_PACKAGE
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model, canonical_json
from orchestrator.domain.release import PackageFile
from orchestrator.domain.text import clean_text

MAX_MANIFEST = 256 * 1024 * 1024
MAX_FILES = 1_000_000


class BackupManifest(Model):
    """The manifest of a backup. *schema_version* is the journal's, *made_at* UTC, ISO 8601, *logs* whether it has logs.

    *withheld* are the secrets of the state that are not in it. *authentication* is None in backups of earlier versions.
    """

    apiVersion: Literal["orchestrator/v1"] = "orchestrator/v1"
    kind: Literal["Backup"] = "Backup"
    project: str
    program: str
    made_at: str
    store: Literal["sqlite", "postgresql"]
    schema_version: str
    logs: bool
    files: tuple[PackageFile, ...]
    withheld: tuple[Withheld, ...] = Field(default=(), exclude_if=lambda items: not items)
    authentication: BackupAuthentication | None = Field(default=None, exclude_if=lambda about: about is None)

    def authenticated(self, passphrase: bytes) -> Self:
        """This manifest with an authentication code made with *passphrase*."""
        return self.model_copy(update={"authentication": authenticate(self.to_json(), passphrase)})

    def verify(self, passphrase: bytes) -> None:
        """Return if the code was made with *passphrase*. Raises S191."""
        if self.authentication is None:
            raise OrchestratorError("S191", "the backup has no authentication code")
        if not fits(self.to_json(), self.authentication, passphrase):
            raise OrchestratorError("S191", "the backup was changed, or was made with another passphrase")


class BackupReader(Reader):
    """Reads a backup from front to back. Raises S131 for anything that :func:`write_backup` would not have written."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.attachments: list[str] = []
        with translate_package_errors():
            first = self._next()
            if first is None or first != Member(MANIFEST, first.size, executable=False) or first.size > MAX_MANIFEST:
                raise OrchestratorError("S130", "the file is not a backup")
            text = self._exactly(first.size, MANIFEST)
            self._padding(first)
        self.description = _manifest(text)

    def content(self) -> Iterator[tuple[PackageFile, Iterator[bytes]]]:
        """Each file with its data in pieces, which must be read before the next file is requested."""
        for file in self.description.files:
            member = self._next()
            expected = Member.of(file)
            if member != expected:
                raise OrchestratorError(
                    "S131", f"the backup is damaged: {file.path!r} is not in the order of the manifest"
                )
            yield file, self._data(expected, file.sha256)
        if self._next() is not None:
            raise OrchestratorError("S131", "the backup is damaged: it contains more than its manifest")

    def check(self) -> None:
        """Read everything, for its digests alone."""
        with translate_package_errors():
            for _, data in self.content():
                for _piece in data:
                    pass


@contextlib.contextmanager
def translate_package_errors() -> Iterator[None]:
    """Translate the errors of the reader of packages into those of a backup: S130 or S131."""
    try:
        yield
    except OrchestratorError as error:
        if not error.code.startswith("P"):
            raise
        code = NOT_A_BACKUP if error.code == NOT_A_PACKAGE else DAMAGED_BACKUP
        what = "the file is not a backup" if code == NOT_A_BACKUP else "the backup is damaged"
        raise OrchestratorError(code, f"{what}: {error.message}") from error


def write_backup(target: BinaryIO, manifest: BackupManifest, content: Callable[[str], BinaryIO]) -> None:
    """Write the file: *content* opens each file of the manifest by name. Raises S134 when one has changed."""
    check_together([check_name(file.path) for file in manifest.files])
    text = canonical_json(manifest.to_json())
    put_all(target, text, manifest.files, lambda file: content(file.path), _changed)
    target.write(END)


def _changed(path: str) -> OrchestratorError:
    return OrchestratorError("S134", f"{path} changed while it was copied; try again")


def open_backup(path: Path) -> BinaryIO:
    """*path* to be read, when it is a regular file. Raises S130."""
    return packages.open_package(path, "S130", "backup")


def _manifest(text: bytes) -> BackupManifest:
    try:
        manifest = BackupManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"the file is not a backup: {clean_text(place)}: {clean_text(first['msg'])}"
        raise OrchestratorError("S130", message) from error
    names = [file.path for file in manifest.files]
    plain = all(file.area == "content" and file.link is None for file in manifest.files)
    if len(names) > MAX_FILES or not plain or names != sorted(names) or canonical_json(manifest.to_json()) != text:
        raise OrchestratorError("S131", "the backup is damaged: its manifest is not in the canonical form")
    with translate_package_errors():
        check_together([check_name(name) for name in names])
    return manifest
