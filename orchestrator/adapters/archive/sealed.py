"""The sealed file: an uncompressed POSIX `ustar` archive, of which we write and read one exact form.

    manifest.json            the canonical manifest; its SHA-256 is the package's digest
    content/…                every file of the manifest, in its order
    attachments/…            room for signatures and attestations; not covered by the digest

One form only: regular files, sorted, modes 0644 and 0755, no owner, no time. So two builds of the same content are
equal byte for byte, and whatever else an archive can hold (links, devices, extended headers, …) is refused by the
reader simply because the header is not the one that we would have written.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import ValidationError

from orchestrator.adapters.archive.names import check_name, check_together
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json
from orchestrator.domain.release import Manifest

BLOCK = 512
CHUNK = 1024 * 1024
MANIFEST = "manifest.json"
CONTENT, ATTACHMENTS = "content/", "attachments/"

MAX_MANIFEST = 32 * 1024 * 1024
MAX_FILES = 50_000
MAX_FILE = 8 * 1024**3 - 1  # what eleven octal digits can say
MAX_TOTAL = 32 * 1024**3
MAX_ATTACHMENT = 1024 * 1024
MAX_ATTACHMENTS = 100


@dataclass(frozen=True)
class Member:
    """One file in the archive, as its header has it."""

    name: str
    size: int
    executable: bool


def header(member: Member) -> bytes:
    """The one header that stands for *member* (POSIX.1-1988 `ustar`). Raises P205 when the name does not fit."""
    raw = member.name.encode()
    prefix, name = b"", raw
    if len(raw) > 100:
        cut = next((at for at in range(len(raw) - 101, min(156, len(raw))) if raw[at : at + 1] == b"/"), None)
        if cut is None or cut > 155 or len(raw) - cut - 1 > 100:
            raise OrchestratorError("P205", f"the name {member.name!r} does not fit into the archive")
        prefix, name = raw[:cut], raw[cut + 1 :]
    mode = b"0000755" if member.executable else b"0000644"
    fields = [name.ljust(100, b"\0"), mode + b"\0", b"0000000\0", b"0000000\0", b"%011o\0" % member.size]
    fields += [b"00000000000\0", b" " * 8, b"0", b"\0" * 100, b"ustar\0" + b"00", b"\0" * 64]
    fields += [b"0000000\0", b"0000000\0", prefix.ljust(155, b"\0"), b"\0" * 12]
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def write(target: BinaryIO, manifest: Manifest, content: Callable[[str], BinaryIO]) -> None:
    """Write the sealed file: *content* opens each file of the manifest by name.

    Raises P206 when a file is not (any more) what the manifest says.
    """
    text = canonical_json(manifest.model_dump(mode="json", by_alias=True))
    _put(target, Member(MANIFEST, len(text), executable=False), io.BytesIO(text))
    for file in manifest.files:
        with content(file.path) as data:
            digest = _put(target, Member(CONTENT + file.path, file.size, file.executable), data)
        if digest != file.sha256:
            raise OrchestratorError("P206", f"{file.path} changed while it was packed")
    target.write(b"\0" * (2 * BLOCK))


def _put(target: BinaryIO, member: Member, data: BinaryIO) -> str:
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
        if first is None or first.name != MANIFEST or first.executable:
            raise OrchestratorError("P202", "the first file is not the manifest")
        if first.size > MAX_MANIFEST:
            raise OrchestratorError("P207", "the manifest is larger than 32 MiB")
        text = self._exactly(first.size, MANIFEST)
        self._padding(first)
        self.manifest = _manifest(text)
        self.digest = "sha256:" + hashlib.sha256(text).hexdigest()
        self.attachments: list[str] = []

    def files(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Each content file with its data in pieces. The data must be read before the next file is asked for.

        Each piece is checked when the last one has been read: then the file is the manifest's, or P211 is raised.
        """
        for file in self.manifest.files:
            member = self._next()
            expected = Member(CONTENT + file.path, file.size, file.executable)
            if member != expected:
                found = "nothing" if member is None else repr(member.name)
                raise OrchestratorError("P210", f"the manifest's next file is {file.path!r}; the archive has {found}")
            yield Member(file.path, file.size, file.executable), self._data(expected, file.sha256)
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
            if not member.name.startswith(ATTACHMENTS) or member.executable:
                raise OrchestratorError("P210", f"{member.name!r} is not in the manifest")
            if member.size > MAX_ATTACHMENT or len(self.attachments) >= MAX_ATTACHMENTS:
                raise OrchestratorError("P207", f"the attachment {member.name!r} is too much")
            self._exactly(member.size, member.name)
            self._padding(member)
            self.attachments.append(member.name.removeprefix(ATTACHMENTS))
        check_together(self.attachments)

    def _next(self) -> Member | None:
        """The next member, or None at the end, behind which nothing may come."""
        block = self._exactly(BLOCK, "a header")
        if block == b"\0" * BLOCK:
            if self._exactly(BLOCK, "the end") != b"\0" * BLOCK or self._source.read(1):
                raise OrchestratorError("P208", "there is something behind the end of the archive")
            return None
        return _member(block)

    def _exactly(self, count: int, what: str) -> bytes:
        data = self._source.read(count)
        if len(data) != count:
            raise OrchestratorError("P201", f"the file ends in the middle of {what}")
        return data

    def _padding(self, member: Member) -> None:
        if any(self._exactly(-member.size % BLOCK, member.name)):
            raise OrchestratorError("P209", f"there is something hidden behind {member.name!r}")


def _member(block: bytes) -> Member:
    """The member of *block*, when it is exactly the header that we would write for it."""
    try:
        prefix, name = block[345:500].rstrip(b"\0"), block[:100].rstrip(b"\0")
        full = (prefix + b"/" + name if prefix else name).decode("utf-8")
        size = int(block[124:135], 8)
        member = Member(full, size, executable=block[100:107] == b"0000755")
    except ValueError as error:
        raise OrchestratorError("P202", "a header is not that of a release package") from error
    check_name(full)
    if block[156:157] != b"0":
        raise OrchestratorError("P212", f"{full!r} is not a regular file")
    if header(member) != block:
        raise OrchestratorError("P202", f"the header of {full!r} is not that of a release package")
    return member


def _manifest(text: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise OrchestratorError("P213", f"the manifest cannot be read: {place}: {first['msg']}") from error
    if canonical_json(manifest.model_dump(mode="json", by_alias=True)) != text:
        raise OrchestratorError("P214", "the manifest is not written in its one canonical form")
    names = [file.path for file in manifest.files]
    if len(names) > MAX_FILES or sum(file.size for file in manifest.files) > MAX_TOTAL:
        raise OrchestratorError("P207", "the package has too many files, or too large ones")
    for name in names:
        check_name(name)
    if names != sorted(names):
        raise OrchestratorError("P214", "the manifest's files are not in order")
    check_together(names)
    return manifest
