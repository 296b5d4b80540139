"""No private key, token or file of passwords goes into a package, unless `release.yaml` names it with a reason.

Every file of the tree, of installed requirements and of the artifacts is read, and what is inside of archives too. An
archive is read as far as the limits below go; what lies beyond them is a warning (P222).
"""

import bz2
import contextlib
import gzip
import io
import lzma
import mmap
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors, Where
from orchestrator.domain.key_material import Finding, key_material
from orchestrator.domain.packing import KeyMaterial
from orchestrator.domain.text import counted

MEMBER = "!"  # between an archive and the name of a file in it
MOST_BYTES = 1024 * 1024 * 1024  # unpacked, of one archive with the archives in it
MOST_MEMBERS = 100_000  # of one archive with the archives in it
LARGEST_MEMBER = 64 * 1024 * 1024  # bytes, of which more are not read
DEEPEST = 3  # archives in archives
SHOWN = 20  # findings
COMPRESSED: tuple[tuple[bytes, Callable[[BinaryIO], io.BufferedIOBase]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
)
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
AR = b"!<arch>\n"
UNSEARCHED = {
    b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\xed\xab\xee\xdb": "rpm",
    b"\x04\x22\x4d\x18": "lz4", b"hsqs": "squashfs",
}  # fmt: skip
"""Compressed files that only other programs read."""
PROGRAM = (b"#!", b"MZ")  # before a zip archive that can be executed
BLOCK = 512  # bytes of a header in a tar archive
DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip
"""What the readers of archives raise for a damaged or encrypted one."""


@dataclass
class Scan:
    """The scan of one package.

    Attributes:
        allowed: what `release.yaml` names.
        used: which of these were needed.
        found: every finding that is not allowed, with the place of its file.
        beyond: the archives that were not read to their end, with the reason.
    """

    allowed: tuple[KeyMaterial, ...] = ()
    used: set[str] = field(default_factory=set)
    found: list[tuple[str, Finding]] = field(default_factory=list)
    beyond: dict[str, str] = field(default_factory=dict)

    def file(self, name: str, source: Path) -> None:
        """Read the file *source*, which the package has as *name*. Raises P109."""
        try:
            with source.open("rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
                    return
                head = file.read(BLOCK)
                self._note_unsearched(name, head)
                if _is_archive(head, file) and self._archive(name, head, file):
                    return
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    self._note(name, key_material(name, data, executable=bool(status.st_mode & 0o111)))
        except OSError as error:
            raise OrchestratorError("P109", f"cannot read {source}: {error.strerror or error}") from error

    def _archive(self, name: str, head: bytes, file: BinaryIO) -> bool:
        """Read the files in an archive. Whether it is a whole one; what is damaged is searched as it is, too."""
        limits = _Limits()
        try:
            self._members(name, head, file, limits, 1)
        except DAMAGED as error:
            self.beyond.setdefault(name, f"it cannot be read ({type(error).__name__})")
            return False
        if limits.limit is not None:
            self.beyond.setdefault(name, limits.limit)
        return True

    def _members(self, name: str, head: bytes, file: BinaryIO, limits: "_Limits", depth: int) -> None:
        for member, data, executable in _members_of(head, file, limits):
            inner = f"{name}{MEMBER}{member}" if member else name
            head = data[:BLOCK]
            self._note_unsearched(inner, head)
            if _is_archive(head, io.BytesIO(data)):
                if depth >= DEEPEST:
                    limits.limit = f"more than {DEEPEST} archives lie in one another"
                    continue
                with contextlib.suppress(*DAMAGED):  # a file that only has the first bytes of an archive
                    self._members(inner, head, io.BytesIO(data), limits, depth + 1)
                    continue
            self._note(inner, key_material(member or name, data, executable=executable))

    def _note_unsearched(self, name: str, head: bytes) -> None:
        kind = next((kind for magic, kind in UNSEARCHED.items() if head.startswith(magic)), None)
        if kind is not None:
            self.beyond.setdefault(name, f"files of the kind {kind} are not read")

    def _note(self, name: str, findings: list[Finding]) -> None:
        for finding in findings:
            rule = next((rule for rule in self.allowed if _covers(rule.path, name)), None)
            if rule is None:
                self.found.append((name, finding))
            else:
                self.used.add(rule.path)

    def refuse(self) -> None:
        """Raise P220 for each finding."""
        errors = [_refused(name, finding) for name, finding in self.found]
        if len(errors) > SHOWN:
            more = counted(len(errors) - SHOWN + 1, "further finding")
            errors = [*errors[: SHOWN - 1], OrchestratorError("P220", f"there are {more} of key material")]
        if len(errors) > 1:
            raise OrchestratorErrors(errors)
        if errors:
            raise errors[0]

    def warnings(self) -> Iterator[OrchestratorError]:
        """Names of `release.yaml` that were not needed (P221), and archives that were not read to their end (P222)."""
        for rule in self.allowed:
            if rule.path not in self.used:
                text = f"package.key_material names {rule.path}, where no key material was found"
                yield OrchestratorError("P221", text, hint="remove it from release.yaml")
        for name, why in self.beyond.items():
            yield OrchestratorError("P222", f"{name} was not searched to its end for key material: {why}")


def _covers(path: str, name: str) -> bool:
    """Whether *path* is the file *name*, a folder above it, or the archive that it is in."""
    path = os.path.normpath(path)
    return name == path or name.startswith((f"{path}/", f"{path}{MEMBER}"))


def _refused(name: str, finding: Finding) -> OrchestratorError:
    remedy = "keep it out of the project or encrypt it with ansible-vault"
    allow = f'package: {{key_material: [{{path: "{name}", reason: "…"}}]}}'
    hint = f"{remedy}; if it must be in the package, add to release.yaml: {allow}"
    return OrchestratorError("P220", f"{name} has {finding.what}", where=Where(name, finding.line), hint=hint)


# -- archives ----------------------------------------------------------------------------------------------------------


@dataclass
class _Limits:
    """How much of an archive may still be read, and which limit was *limit*."""

    size: int = MOST_BYTES
    members: int = MOST_MEMBERS
    limit: str | None = None

    def read(self, source: IO[bytes]) -> bytes | None:
        """The content of the next member, as far as it is read; None if no more is."""
        if self.members <= 0 or self.size <= 0:
            limit = f"{MOST_MEMBERS} files" if self.members <= 0 else f"{MOST_BYTES >> 20} MiB"
            self.limit = f"it has more than {limit}, unpacked"
            return None
        self.members -= 1
        data = source.read(min(LARGEST_MEMBER, self.size))
        self.size -= len(data)
        if len(data) == LARGEST_MEMBER and source.read(1):
            self.limit = f"it has a file of more than {LARGEST_MEMBER >> 20} MiB"
        return data


def _is_archive(head: bytes, file: BinaryIO) -> bool:
    """Whether *file*, whose first bytes are *head*, is an archive or a compressed file."""
    if head.startswith(PROGRAM):
        return zipfile.is_zipfile(file)
    return head.startswith((AR, *ZIP, *(magic for magic, _ in COMPRESSED))) or _is_tar(head)


def _is_tar(head: bytes) -> bool:
    if len(head) < BLOCK or not any(head[:BLOCK]):
        return False
    try:
        tarfile.TarInfo.frombuf(head[:BLOCK], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def _members_of(head: bytes, file: BinaryIO, limits: _Limits) -> Iterator[tuple[str, bytes, bool]]:
    """The files in an archive: name, content, and whether it is a program. A compressed file has an empty name."""
    file.seek(0)
    opener = next((opener for magic, opener in COMPRESSED if head.startswith(magic)), None)
    if head.startswith((*ZIP, *PROGRAM)):
        yield from _in_zip(file, limits)
    elif head.startswith(AR):
        yield from _in_ar(file, limits)
    elif opener is not None:
        stream = io.BufferedReader(cast(io.RawIOBase, opener(file)), 64 * 1024)
        if _is_tar(stream.peek(BLOCK)[:BLOCK]):
            yield from _in_tar(stream, limits)
        elif (data := limits.read(stream)) is not None:
            yield "", data, False
    elif _is_tar(head):
        yield from _in_tar(file, limits)


def _in_zip(file: BinaryIO, limits: _Limits) -> Iterator[tuple[str, bytes, bool]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.is_dir() or info.flag_bits & 1 or stat.S_ISLNK(mode):
                continue
            with archive.open(info) as member:
                data = limits.read(member)
            if data is None:
                return
            yield info.filename, data, bool(mode & 0o111)


def _in_ar(file: BinaryIO, limits: _Limits) -> Iterator[tuple[str, bytes, bool]]:
    """The members of an `ar` archive, such as a Debian package."""
    file.seek(len(AR))
    while len(header := file.read(60)) == 60 and header.endswith(b"`\n"):
        size = int(header[48:58])
        end = file.tell() + size + size % 2
        data = limits.read(cast("IO[bytes]", _Part(file, size)))
        if data is None:
            return
        yield header[:16].decode("utf-8", "replace").rstrip(" /"), data, False
        file.seek(end)


class _Part(io.RawIOBase):
    """The next *size* bytes of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        """Up to *size* bytes."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def _in_tar(stream: IO[bytes], limits: _Limits) -> Iterator[tuple[str, bytes, bool]]:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=64 * 1024) as archive:
        for info in archive:
            member = archive.extractfile(info) if info.isreg() else None
            if member is None:
                continue
            data = limits.read(member)
            if data is None:
                return
            yield info.name, data, bool(info.mode & 0o111)
