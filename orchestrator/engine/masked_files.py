"""The files that a job has left, masked in place once it has ended.

Standard library only: this is part of the supervisor. The job may have left anything in it: links, pipes and devices
are not read, folders may be deeper than paths can name, and a file may be much larger than what it takes of the disk.
"""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from orchestrator.domain.redaction import Redactor
from orchestrator.engine.job_output import CHUNK, masked_line
from orchestrator.trees import Entry, entries, entry

NEW = os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
WHOLE = 8 << 20  # bytes of a file that is masked in memory
TEXTS = ("result.json", "stderr.log", "engine-events.json")
"""Files that a job leaves besides its output and its events."""


def mask_files(folder: str, redactor: Redactor, names: tuple[str, ...] = TEXTS) -> None:
    """Mask the files *names* in the *folder* of a job that has ended."""
    for name in names if not redactor.is_empty else ():
        with entry(folder, name) as found:
            if found is not None and found.is_file:
                _mask(found, redactor, 0o600)


def mask_below(top: str, redactor: Redactor, since: int = 0, unmasked: tuple[str, ...] = ()) -> None:
    """Mask the files below *top* that have changed since then, but for those *unmasked*, relative to *top*.

    A file that cannot be masked is removed.
    """
    if redactor.is_empty:
        return
    for found in entries(top, opens=True):
        if not found.is_file or found.status.st_ctime_ns < since or _is_below(found, unmasked):
            continue
        try:
            _mask(found, redactor)
        except (OSError, MemoryError):
            with contextlib.suppress(OSError):
                os.unlink(found.base, dir_fd=found.folder)


def mask_written(folder: str, redactor: Redactor) -> None:
    """Mask the files that a job that has ended has written to the folders that its description names.

    These are the files that have changed since the description was written.
    """
    try:
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            job, since = json.load(file), os.fstat(file.fileno()).st_ctime_ns
    except (OSError, ValueError):
        return
    unmasked = [name.strip("/") for name in job.get("unmasked", ())]
    for name in job.get("writes", ()):
        below = (path.removeprefix(f"{name}/") for path in unmasked if path.startswith(f"{name}/"))
        mask_below(os.path.join(folder, name), redactor, since, tuple(below))


def _is_below(found: Entry, places: tuple[str, ...]) -> bool:
    """Whether *found* is one of *places*, or lies in one of them."""
    name = found.name if places else ""
    return any(name == place or name.startswith(f"{place}/") for place in places)


def _mask(found: Entry, redactor: Redactor, mode: "int | None" = None) -> None:
    """Put a masked copy of the file in its place, with *mode* or its own, unless it has no secret."""
    with open(found.open(), "rb", buffering=CHUNK) as source:
        pieces = _masked(source, found, redactor)
        if pieces is None:
            return
        temporary = f".masked-{os.urandom(8).hex()}"  # the name of the file may be as long as names can be
        handle = os.open(temporary, NEW, 0o600, dir_fd=found.folder)
        try:
            with open(handle, "wb") as target:
                for piece in pieces:
                    _append(target, piece)
                os.ftruncate(handle, target.tell())  # after a hole
                os.fchmod(handle, stat.S_IMODE(found.status.st_mode) & 0o777 if mode is None else mode)
            os.replace(temporary, found.base, src_dir_fd=found.folder, dst_dir_fd=found.folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=found.folder)
            raise


def _append(target: BinaryIO, piece: "bytes | int") -> None:
    """Write a *piece*: bytes, or the size of a hole."""
    if isinstance(piece, int):
        target.seek(piece, os.SEEK_CUR)
        target.flush()
    else:
        target.write(piece)


def _masked(source: BinaryIO, found: Entry, redactor: Redactor) -> "Iterable[bytes | int] | None":
    """What replaces the content of *source*, in pieces; None if it has no secret."""
    as_lines, size = found.base.endswith((".json", ".jsonl")), found.status.st_size
    if size <= WHOLE:
        data = source.read()
        masked = _document(data, redactor) if as_lines else redactor.mask(data)
        return None if masked == data else [masked]
    if as_lines and found.status.st_blocks * 512 >= size:
        return _lines(source, redactor)
    if all(isinstance(piece, int) or _is_plain(piece, redactor) for piece in _parts(source, size)):
        return None
    return _texts(source, size, redactor)


def _parts(source: BinaryIO, size: int) -> "Iterator[Iterator[bytes] | int]":
    """The content of *source* without its holes: the data between two of them in pieces, or the size of a hole."""
    at = 0
    while at < size:
        try:
            begin = os.lseek(source.fileno(), at, os.SEEK_DATA)
            end = os.lseek(source.fileno(), begin, os.SEEK_HOLE)
        except OSError as error:
            begin, end = (size, size) if error.errno == errno.ENXIO else (at, size)  # nothing but a hole is left
        if begin > at:
            yield begin - at
        if end > begin:
            yield _read(source, begin, end)
        at = end


def _read(source: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    while begin < end and (data := os.pread(source.fileno(), min(CHUNK, end - begin), begin)):
        begin += len(data)
        yield data


def _is_plain(pieces: Iterable[bytes], redactor: Redactor) -> bool:
    """Whether the text that comes in *pieces* has no secret."""
    stream, rest = redactor.stream(), b""
    for data in pieces:
        rest, out = rest + data, stream.feed(data)
        if not rest.startswith(out):
            return False
        rest = rest[len(out) :]
    return stream.end() == rest


def _texts(source: BinaryIO, size: int, redactor: Redactor) -> "Iterator[bytes | int]":
    """The content masked as text; no secret goes over a hole."""
    for part in _parts(source, size):
        if isinstance(part, int):
            yield part
            continue
        stream = redactor.stream()
        yield from map(stream.feed, part)
        yield stream.end()


def _lines(source: BinaryIO, redactor: Redactor) -> Iterator[bytes]:
    """The content masked line by line; a line that is too long is masked as text."""
    stream = None
    while line := source.readline(WHOLE):
        ended = line.endswith(b"\n")
        if stream is None and (ended or len(line) < WHOLE):
            yield masked_line(redactor, line.removesuffix(b"\n")) + b"\n" * ended
            continue
        stream = stream or redactor.stream()
        yield stream.feed(line, whole=ended)
        stream = None if ended else stream
    if stream is not None:
        yield stream.end()


def _document(data: bytes, redactor: Redactor) -> bytes:
    """*data*, which is one JSON document, or JSON lines."""
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(data)
        return masked_line(redactor, data)
    return b"\n".join(masked_line(redactor, line) for line in data.split(b"\n"))
