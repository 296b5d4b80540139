"""Unfinished uploads as files in the state folder. The size of a file is the offset at which its upload continues."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.uploads import UploadPart, wrong_offset

ENDING = ".part"


class UploadFiles:
    """The `Uploads` port in a *folder*.

    A part is appended to its file. After a killed process the file has the part or the first bytes of it, and the
    upload continues after those. Two clients of one upload exclude each other by a lock of the file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offset(self, digest: str) -> int:
        """The number of bytes that have arrived."""
        try:
            return self.file(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, digest: str, part: UploadPart, data: bytes, at: datetime) -> int:
        """Write a part."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone(digest) as handle:
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

    def file(self, digest: str) -> Path:
        """Where the bytes are."""
        return self._folder / f"{digest.removeprefix('sha256:')}{ENDING}"

    def discard(self, digest: str) -> None:
        """Remove an upload."""
        self.file(digest).unlink(missing_ok=True)

    def remove_before(self, at: datetime) -> int:
        """Remove uploads whose last part is older."""
        old = [file for file in self._folder.glob(f"*{ENDING}") if file.stat().st_mtime < at.timestamp()]
        for file in old:
            file.unlink(missing_ok=True)
        return len(old)

    @contextmanager
    def _alone(self, digest: str) -> Iterator[int]:
        handle = os.open(self.file(digest), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield handle
        except BlockingIOError as error:
            raise OrchestratorError("N141", "another client sends a part of this package at the moment") from error
        finally:
            os.close(handle)
