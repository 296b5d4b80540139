"""The sealed file: an uncompressed POSIX `ustar` archive, of which we write and read one exact form.

    manifest.json            the canonical manifest; its SHA-256 is the package's digest
    artifacts/…              every file of the manifest, by area and in its order
    collection/…
    content/…
    requirements/…
    attachments/…            what the digest does not cover

One form only: regular files and, in format 2, symbolic links that stay in their area; sorted, modes 0644 and 0755, no
owner, no time. So two builds of the same content are equal byte for byte, and whatever else an archive can hold
(devices, extended headers, …) is refused by the reader simply because the header is not the one that we would have
written. Nothing is compressed, so that nothing can grow while it is read: a package needs no more space than its own
size. Format 1 has the area `content` alone, and no links. Format 2 has one attachment at most: `revision.json`.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import ValidationError

from orchestrator.adapters.archive.manifest_checks import ATTACHMENTS, check_manifest
from orchestrator.adapters.archive.names import check_name, check_together
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json
from orchestrator.domain.release import Manifest, PackageFile, Revision
from orchestrator.domain.text import clean_text

BLOCK = 512
CHUNK = 1024 * 1024
MANIFEST = "manifest.json"
REVISION = "revision.json"
FORMATS = (1, 2)
MAX_MANIFEST = 32 * 1024 * 1024
MAX_VALUES = 1_000_000  # in the manifest: what is short as text may be long in memory
MAX_ATTACHMENT = 1024 * 1024
MAX_ATTACHMENTS = 100
END = b"\0" * (2 * BLOCK)
MAGIC = b"ustar\0" + b"00"
SIZE = re.compile(rb"[0-7]{11}\0")


@dataclass(frozen=True)
class Member:
    """One file in the archive, as its header has it."""

    name: str
    size: int
    executable: bool
    link: str | None = None

    @classmethod
    def of(cls, file: PackageFile) -> "Member":
        """The member that *file* has to be."""
        return cls(file.name, file.size, file.executable, file.link)


def header(member: Member) -> bytes:
    """The only valid header of *member* (POSIX.1-1988 `ustar`). Raises P205 if the name does not fit."""
    raw = member.name.encode()
    prefix, name = b"", raw
    if len(raw) > 100:
        cut = next((at for at in range(len(raw) - 101, min(156, len(raw))) if raw[at : at + 1] == b"/"), None)
        if cut is None or cut > 155 or len(raw) - cut - 1 > 100:
            raise OrchestratorError("P205", f"the name {member.name!r} does not fit into the archive")
        prefix, name = raw[:cut], raw[cut + 1 :]
    mode = b"0000755" if member.executable else b"0000644"
    kind, link = (b"0", b"") if member.link is None else (b"2", member.link.encode())
    fields = [name.ljust(100, b"\0"), mode + b"\0", b"0000000\0", b"0000000\0", b"%011o\0" % member.size]
    fields += [b"00000000000\0", b" " * 8, kind, link.ljust(100, b"\0"), MAGIC, b"\0" * 64]
    fields += [b"0000000\0", b"0000000\0", prefix.ljust(155, b"\0"), b"\0" * 12]
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def write_package(
    target: BinaryIO, manifest: Manifest, content: Callable[[PackageFile], BinaryIO], revision: Revision | None = None
) -> None:
    """Write the sealed file: *content* opens each file of the manifest that is not a link.

    Raises P206 when a file does not match the manifest (any more).
    """
    text = canonical_json(manifest.sealed())
    put_all(target, text, manifest.files, content, _changed)
    if revision is not None:
        data = canonical_json(revision.to_json())
        write_member(target, Member(ATTACHMENTS + REVISION, len(data), executable=False), io.BytesIO(data))
    target.write(END)


def _changed(path: str) -> OrchestratorError:
    return OrchestratorError("P206", f"{path} changed while it was packed")


def put_all(
    target: BinaryIO,
    manifest: bytes,
    files: Iterable[PackageFile],
    content: Callable[[PackageFile], BinaryIO],
    changed: Callable[[str], OrchestratorError],
) -> None:
    """Write the *manifest*, then *files*. Raises what *changed* gives for one that is not as listed.

    The two blocks at the end of an archive are for the caller to write.
    """
    write_member(target, Member(MANIFEST, len(manifest), executable=False), io.BytesIO(manifest))
    for file in files:
        if file.link is not None:
            target.write(header(Member.of(file)))
            continue
        with content(file) as data:
            digest = write_member(target, Member.of(file), data)
        if digest != file.sha256:
            raise changed(file.path)


def write_member(target: BinaryIO, member: Member, data: BinaryIO) -> str:
    """Write one member with its header; the SHA-256 of its data. Raises P206 when *data* is too short."""
    target.write(header(member))
    digest, left = hashlib.sha256(), member.size
    while left:
        chunk = data.read(min(CHUNK, left))
        if not chunk:
            raise OrchestratorError("P206", f"{member.name} became shorter while it was packed")
        digest.update(chunk)
        target.write(chunk)
        left -= len(chunk)
    target.write(b"\0" * (-member.size % BLOCK))
    return digest.hexdigest()


class Reader:
    """Reads a sealed file from front to back, and refuses anything that we would not have written.

    *manifest* and *digest* are known at once; :meth:`files` then gives each file's data in order.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        first = self._next()
        if first is None or first.name != MANIFEST or first.executable or first.link is not None:
            raise OrchestratorError("P202", "the first file is not the manifest")
        if first.size > MAX_MANIFEST:
            raise OrchestratorError("P207", "the manifest is larger than 32 MiB")
        text = self._exactly(first.size, MANIFEST)
        self._padding(first)
        self.manifest = _manifest(text)
        self.digest = "sha256:" + hashlib.sha256(text).hexdigest()
        self.attachments: list[str] = []
        self.revision: Revision | None = None

    def files(self) -> Iterator[tuple[PackageFile, Iterator[bytes]]]:
        """Each file with its data in pieces, none for a link. The data must be read before the next file is requested.

        Each piece is checked when the last one has been read: then the file is the manifest's, or P211 is raised.
        """
        for file in self.manifest.files:
            member, expected = self._next(), Member.of(file)
            if member is not None and member.link is not None and file.link is None:
                raise OrchestratorError("P212", f"{member.name!r} is not a regular file")
            if member != expected:
                found = "nothing" if member is None else repr(member.name)
                raise OrchestratorError("P210", f"the manifest's next file is {file.path!r}; the archive has {found}")
            yield file, self._data(expected, file.sha256) if file.link is None else iter(())
        self._rest()

    def verify(self) -> None:
        """Read all that is left, for its digests alone."""
        for _, data in self.files():
            for _ in data:
                pass

    def skip_files(self) -> None:
        """Seek behind the files, whose sizes the manifest has, and read the attachments. No file is verified."""
        sizes = (BLOCK + file.size + -file.size % BLOCK if file.link is None else BLOCK for file in self.manifest.files)
        self._source.seek(sum(sizes), io.SEEK_CUR)
        self._rest()

    def _data(self, member: Member, sha256: str) -> Iterator[bytes]:
        digest, left = hashlib.sha256(), member.size
        while left:
            chunk = self._exactly(min(CHUNK, left), member.name)
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        self._padding(member)
        if digest.hexdigest() != sha256:
            raise OrchestratorError("P211", f"{member.name} is not the file that was sealed")

    def _rest(self) -> None:
        while (member := self._next()) is not None:
            if not member.name.startswith(ATTACHMENTS) or member.executable or member.link is not None:
                raise OrchestratorError("P210", f"{member.name!r} is not in the manifest")
            if member.size > MAX_ATTACHMENT or len(self.attachments) >= MAX_ATTACHMENTS:
                raise OrchestratorError("P207", f"the attachment {member.name!r} is not expected")
            data = self._exactly(member.size, member.name)
            self._padding(member)
            self.attachments.append(member.name.removeprefix(ATTACHMENTS))
            if self.manifest.format > 1:
                self.revision = _revision(member.name, data)
        if self.attachments != sorted(self.attachments):
            raise OrchestratorError("P210", "the attachments are not in order")
        check_together(self.attachments)

    def _next(self) -> Member | None:
        """The next member, or None at the end, behind which nothing may come."""
        block = self._exactly(BLOCK, "a header")
        if block == b"\0" * BLOCK:
            if self._exactly(BLOCK, "the end") != b"\0" * BLOCK or self._source.read(1):
                raise OrchestratorError("P208", "data follows the end of the archive")
            return None
        return _member(block)

    def _exactly(self, count: int, what: str) -> bytes:
        data = self._source.read(count)
        if len(data) != count:
            raise OrchestratorError("P201", f"the file ends in the middle of {what}")
        return data

    def _padding(self, member: Member) -> None:
        if any(self._exactly(-member.size % BLOCK, member.name)):
            raise OrchestratorError("P209", f"data is hidden after {member.name!r}")


def _member(block: bytes) -> Member:
    """The member of *block*, when it is exactly the header that we would write for it."""
    if block[257:265] != MAGIC:
        raise OrchestratorError("P202", "a header is not that of a release package")
    try:
        prefix, name = block[345:500].rstrip(b"\0"), block[:100].rstrip(b"\0")
        full = (prefix + b"/" + name if prefix else name).decode("utf-8")
    except ValueError as error:
        raise OrchestratorError("P202", "a header is not that of a release package") from error
    if block[156:157] not in (b"0", b"2"):
        raise OrchestratorError("P212", f"{full!r} is neither a regular file nor a symbolic link")
    if not SIZE.fullmatch(block[124:136]):
        raise OrchestratorError("P202", f"the size of {full!r} is not in its canonical form")
    link = _link(full, block) if block[156:157] == b"2" else None
    member = Member(full, int(block[124:135], 8), executable=block[100:107] == b"0000755", link=link)
    check_name(full)
    if header(member) != block and link is not None:
        raise OrchestratorError("P212", f"{full!r} is neither a regular file nor a plain symbolic link")
    if header(member) != block:
        raise OrchestratorError("P202", f"the header of {full!r} is not that of a release package")
    return member


def _link(name: str, block: bytes) -> str:
    """The target of the link *name*, as its header has it."""
    try:
        return block[157:257].rstrip(b"\0").decode("utf-8")
    except ValueError as error:
        raise OrchestratorError("P217", f"the target of the link {name!r} is not UTF-8") from error


def _revision(name: str, data: bytes) -> Revision:
    """The only attachment that format 2 has. Raises P219."""
    if name != ATTACHMENTS + REVISION:
        raise OrchestratorError("P219", f"the attachment {name!r} is not one that packages of format 2 have")
    try:
        revision = Revision.model_validate_json(data)
    except ValidationError as error:
        raise OrchestratorError("P219", f"{name} does not name a Git commit") from error
    if canonical_json(revision.to_json()) != data:
        raise OrchestratorError("P219", f"{name} is not written in its one canonical form")
    return revision


def _check_format(text: bytes) -> None:
    """Raise P216 if *text* is a manifest of a format that a newer version of this program wrote."""
    try:
        number = json.loads(text).get("format", 1)
    except (ValueError, AttributeError, RecursionError):
        return  # the validation of the manifest reports it
    if isinstance(number, int) and number > max(FORMATS):
        message = f"the package has format {number}; this version reads formats up to {max(FORMATS)}"
        raise OrchestratorError("P216", message)


def _manifest(text: bytes) -> Manifest:
    if sum(text.count(mark) for mark in (b"[", b"{", b",")) > MAX_VALUES:
        raise OrchestratorError("P207", f"the manifest has more than {MAX_VALUES} values")
    _check_format(text)
    try:
        manifest = Manifest.of_sealed(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"the manifest cannot be read: {clean_text(place)}: {clean_text(first['msg'])}"
        raise OrchestratorError("P213", message) from error
    try:
        canonical = canonical_json(manifest.sealed()) == text
    except ValueError:  # NaN, or a number that is too long to be written
        canonical = False
    if not canonical:
        raise OrchestratorError("P214", "the manifest is not written in its one canonical form")
    check_manifest(manifest)
    return manifest
