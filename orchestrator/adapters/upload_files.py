"""Unfinished uploads as files in the state folder. The size of a file is the offset at which its upload continues."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from orchestrator.domain.uploads import UploadPart, wrong_offset

ENDING = ".part"


class UploadFiles:
    """The `Uploads` port in a *folder*.

    A part is appended to its file. After a killed process the file has the part or the first bytes of it, and the
    upload continues after those. Clients of one upload wait for each other by a lock of the file, also while one of
    them ends it. A file that was removed while they waited is not used any more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offset(self, digest: str) -> int:
        """The number of bytes that have arrived."""
        try:
            return self._file(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, digest: str, part: UploadPart, data: bytes, at: datetime) -> int:
        """Write a part."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = self._locked(digest, os.O_CREAT if part.start == 0 else 0)
        if handle is None:
            raise wrong_offset(0, part.start)
        try:
            there = os.fstat(handle).st_size
            repeated = there == part.end  # the response to the first one was lost
            if there != part.start and not repeated:
                raise wrong_offset(there, part.start)
            left = memoryview(b"" if repeated else data)
            while left:
                left = left[os.write(handle, left) :]
            if part.is_last:
                os.fsync(handle)
            os.utime(handle, (at.timestamp(), at.timestamp()))
            return part.end
        finally:
            os.close(handle)

    @contextmanager
    def ending(self, digest: str) -> Iterator[Path | None]:
        """The file of an upload, locked for the block; None if the file does not exist."""
        handle = self._locked(digest)
        if handle is None:
            yield None
            return
        try:
            yield self._file(digest)
        finally:
            os.close(handle)

    def _file(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}{ENDING}"

    def discard(self, digest: str) -> None:
        """Remove an upload."""
        self._file(digest).unlink(missing_ok=True)

    def remove_before(self, at: datetime) -> int:
        """Remove uploads whose last part is older."""
        count = 0
        for file in self._folder.glob(f"*{ENDING}"):
            with suppress(FileNotFoundError):  # it was ended meanwhile
                if file.stat().st_mtime < at.timestamp():
                    file.unlink()
                    count += 1
        return count

    def _locked(self, digest: str, creating: int = 0) -> int | None:
        """The open file of an upload, locked until it is closed; None without one, unless *creating* is `O_CREAT`."""
        while True:
            try:
                handle = os.open(self._file(digest), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | creating, 0o600)
            except FileNotFoundError:
                return None
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if os.fstat(handle).st_nlink:
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)  # another client has ended the upload meanwhile
