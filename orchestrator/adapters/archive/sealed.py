"""The sealed file: an uncompressed POSIX `ustar` archive, of which we write and read one exact form.

    manifest.json            the canonical manifest; its SHA-256 is the package's digest
    content/…                every file of the manifest, in its order
    attachments/…            room for signatures and attestations; not covered by the digest

One form only: regular files, sorted, modes 0644 and 0755, no owner, no time. So two builds of the same content are
equal byte for byte, and whatever else an archive can hold (links, devices, extended headers, …) is refused by the
reader simply because the header is not the one that we would have written. Nothing is compressed, so that nothing
can grow while it is read: a package needs no more space than its own size.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import ValidationError

from orchestrator.adapters.archive.names import check_name, check_together
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import canonical_json
from orchestrator.domain.release import Manifest, PackageFile, Release
from orchestrator.domain.text import clean_text

BLOCK = 512
CHUNK = 1024 * 1024
MANIFEST = "manifest.json"
CONTENT, ATTACHMENTS = "content/", "attachments/"

MAX_MANIFEST = 32 * 1024 * 1024
MAX_VALUES = 1_000_000  # in the manifest: what is short as text may be long in memory
MAX_FILES = 50_000
MAX_FILE = 8 * 1024**3 - 1  # what eleven octal digits can say
MAX_TOTAL = 32 * 1024**3
MAX_ATTACHMENT = 1024 * 1024
MAX_ATTACHMENTS = 100
MAGIC = b"ustar\0" + b"00"
UNDO_WORDS = {"nothing", "impossible"}
SIZE = re.compile(rb"[0-7]{11}\0")


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
    fields += [b"00000000000\0", b" " * 8, b"0", b"\0" * 100, MAGIC, b"\0" * 64]
    fields += [b"0000000\0", b"0000000\0", prefix.ljust(155, b"\0"), b"\0" * 12]
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def write(target: BinaryIO, manifest: Manifest, content: Callable[[str], BinaryIO]) -> None:
    """Write the sealed file: *content* opens each file of the manifest by name.

    Raises P206 when a file is not (any more) what the manifest says.
    """
    text = canonical_json(manifest.model_dump(mode="json", by_alias=True))
    put_all(target, text, manifest.files, content, _changed)


def _changed(path: str) -> OrchestratorError:
    return OrchestratorError("P206", f"{path} changed while it was packed")


def put_all(
    target: BinaryIO,
    manifest: bytes,
    files: Iterable[PackageFile],
    content: Callable[[str], BinaryIO],
    changed: Callable[[str], OrchestratorError],
) -> None:
    """Write a whole stream: the *manifest*, then *files*. Raises what *changed* gives for one that is not as listed."""
    put(target, Member(MANIFEST, len(manifest), executable=False), io.BytesIO(manifest))
    for file in files:
        with content(file.path) as data:
            digest = put(target, Member(CONTENT + file.path, file.size, file.executable), data)
        if digest != file.sha256:
            raise changed(file.path)
    target.write(b"\0" * (2 * BLOCK))


def put(target: BinaryIO, member: Member, data: BinaryIO) -> str:
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

    def verify(self) -> None:
        """Read all that is left, for its digests alone."""
        for _, data in self.files():
            for _ in data:
                pass

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
        if self.attachments != sorted(self.attachments):
            raise OrchestratorError("P210", "the attachments are not in order")
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
    if block[257:265] != MAGIC:
        raise OrchestratorError("P202", "a header is not that of a release package")
    try:
        prefix, name = block[345:500].rstrip(b"\0"), block[:100].rstrip(b"\0")
        full = (prefix + b"/" + name if prefix else name).decode("utf-8")
    except ValueError as error:
        raise OrchestratorError("P202", "a header is not that of a release package") from error
    if block[156:157] != b"0":
        raise OrchestratorError("P212", f"{full!r} is not a regular file")
    if not SIZE.fullmatch(block[124:136]):
        raise OrchestratorError("P202", f"the size of {full!r} is not plainly written")
    member = Member(full, int(block[124:135], 8), executable=block[100:107] == b"0000755")
    check_name(full)
    if header(member) != block:
        raise OrchestratorError("P202", f"the header of {full!r} is not that of a release package")
    return member


def _manifest(text: bytes) -> Manifest:
    if sum(text.count(mark) for mark in (b"[", b"{", b",")) > MAX_VALUES:
        raise OrchestratorError("P207", f"the manifest has more than {MAX_VALUES} values")
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"the manifest cannot be read: {clean_text(place)}: {clean_text(first['msg'])}"
        raise OrchestratorError("P213", message) from error
    try:
        canonical = canonical_json(manifest.model_dump(mode="json", by_alias=True)) == text
    except ValueError:  # NaN, or a number that is too long to be written
        canonical = False
    if not canonical:
        raise OrchestratorError("P214", "the manifest is not written in its one canonical form")
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Whether *manifest* can stand in a package. Raises P203, P204, P207, P214 and P215."""
    names = [file.path for file in manifest.files]
    if len(names) > MAX_FILES:
        raise OrchestratorError("P207", f"the package has more than {MAX_FILES} files")
    large = next((file.path for file in manifest.files if file.size > MAX_FILE), None)
    if large is not None:
        raise OrchestratorError("P207", f"{large!r} is larger than 8 GiB")
    if sum(file.size for file in manifest.files) > MAX_TOTAL:
        raise OrchestratorError("P207", "the package is larger than 32 GiB")
    for name in names:
        check_name(name)
    if names != sorted(names):
        raise OrchestratorError("P214", "the manifest's files are not in order")
    check_together(names)
    _check_release(manifest, set(names))


def _check_release(manifest: Manifest, files: set[str]) -> None:
    """All that the release refers to is in the package."""
    release = manifest.release
    folders = {name[: cut.start()] for name in files for cut in re.finditer("/", name)} | {"."}
    places = [manifest.project, *release.suites(), *release.certificates(), *release.include]
    missing = [name for name in (*playbooks(release), *(item.path for item in release.artifacts)) if name not in files]
    missing += [name for name in places if name not in files | folders]
    if missing:
        raise OrchestratorError("P215", f"the release refers to {missing[0]!r}, which is not in the package")


def playbooks(release: Release) -> list[str]:
    """The playbooks of all steps, those that switch sides and retire one, and those that undo steps."""
    return release.playbooks()
