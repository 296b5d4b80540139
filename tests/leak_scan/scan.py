"""Searches for canaries in files, archives, terminals and the words of processes."""

import contextlib
import gzip
import io
import lzma
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.leak_scan.canaries import Canary

DEPTH = 4  # archives within archives
ARCHIVES = (".backup", ".release")
ZLIB = (b"\x78\x01", b"\x78\x9c", b"\x78\xda")


@dataclass(frozen=True, order=True)
class Hit:
    """A canary that was found: its kind, how it is encoded, and where it is."""

    kind: str
    encoding: str
    where: str


@dataclass
class Scan:
    """Searches for *canaries* in everything it is given, and counts how much that was."""

    canaries: Iterable[Canary]
    files: int = 0
    size: int = 0

    def data(self, where: str, data: bytes, depth: int = DEPTH) -> Iterator[Hit]:
        """The canaries in *data*, and in what is packed in it."""
        self.size += len(data)
        members = list(_unpacked(data)) if depth else []
        if members and where.endswith(ARCHIVES):  # its members have names, by which some are left out
            for name, inner in members:
                yield from self.data(f"{where}:{name}", inner, depth - 1)
            return
        joined = data.translate(None, b"\r\n")  # so that wrapped lines hide nothing
        for canary in self.canaries:
            for encoding in sorted({encoding for encoding, text in canary.forms() if text in data or text in joined}):
                yield Hit(canary.kind, encoding, where)
        for name, inner in members:
            yield from self.data(f"{where}:{name}", inner, depth - 1)

    def tree(self, folder: Path, *leaving: str) -> Iterator[Hit]:
        """The canaries in the names and the content of all files below *folder*, but for the folders *leaving*."""
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if any(name == left or name.startswith(f"{left}/") for left in leaving):
                continue
            yield from self.data(f"{name} (its name)", name.encode("utf-8", "surrogateescape"), 0)
            if path.is_symlink() or not path.is_file():
                continue
            with contextlib.suppress(OSError):
                self.files += 1
                yield from self.data(str(path), path.read_bytes())


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What is packed in *data*: compressed, or as the members of an archive."""
    with contextlib.suppress(OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):
        if data.startswith(b"\x1f\x8b"):
            yield "gz", gzip.decompress(data)
        elif data.startswith(b"\xfd7zXZ"):
            yield "xz", lzma.decompress(data)
        elif data[:2] in ZLIB:
            yield "zlib", zlib.decompress(data)
    with (
        contextlib.suppress(tarfile.TarError, OSError, EOFError, ValueError),
        tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive,
    ):
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name, file.read()
    with contextlib.suppress(zipfile.BadZipFile, OSError, RuntimeError, ValueError):
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from ((name, archive.read(name)) for name in archive.namelist())


class Processes:
    """Remembers the words of every process of this machine, as long as it is open."""

    def __init__(self) -> None:
        self.words: set[bytes] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    self.words.add((process / "cmdline").read_bytes())
