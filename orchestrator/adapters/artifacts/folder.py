"""Objects as files of a folder that every machine has mounted. It needs no locks: files get their names when whole."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.domain.errors import OrchestratorError
from orchestrator.resources import full

CHUNK = 1 << 20
DEEPEST = 16  # folders in each other, which is more than any key has
WRITING = ".writing-"
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class FolderObjects:
    """Files below *folder*, which must exist. Users who may read the folder may read its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def write(self, key: str, source: Path) -> None:
        """Write the file durably under another name first, then give it its own."""
        target = self._folder / key
        with self._translate_errors():
            mode = self._folder.stat().st_mode
            self._make(target.parent, mode)
            temporary = target.parent / f"{WRITING}{secrets.token_hex(8)}"
            try:
                with source.open("rb") as read, temporary.open("xb") as file:
                    shutil.copyfileobj(read, file, CHUNK)
                    os.fchmod(file.fileno(), mode & 0o666)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            _flush(target.parent)

    def read(self, key: str, target: BinaryIO) -> bool:
        """Copy the file to *target*."""
        with self._translate_errors():
            self._folder.stat()
            try:
                file = _opened(self._folder / key)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return False
            with file:
                shutil.copyfileobj(file, target, CHUNK)
        return True

    def size(self, key: str) -> int | None:
        """The file's size."""
        with self._translate_errors():
            self._folder.stat()
            try:
                return (self._folder / key).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def remove(self, key: str) -> None:
        """Remove the file."""
        with self._translate_errors():
            self._folder.stat()
            (self._folder / key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> list[str]:
        """The files whose path starts with *prefix*."""
        above = prefix.rpartition("/")[0]
        with self._translate_errors():
            self._folder.stat()
            found = list(_keys_below(self._folder / above, above))
        return [key for key in found if key.startswith(prefix)]

    def _make(self, folder: Path, mode: int) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent, mode)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(mode & 0o2777)
            _flush(folder.parent)

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> OrchestratorError:
        why = (error.strerror or type(error).__name__).lower()
        if error.errno in REFUSED:
            return OrchestratorError("S144", f"{self.where} refuses: {why}")
        if full(error):
            return OrchestratorError("S113", f"there is no space left in {self.where}")
        if not self._folder.is_dir():
            return OrchestratorError("S143", f"there is no folder {self.where}")
        return OrchestratorError("S142", f"{self.where} gives an error: {why}")


def _opened(path: Path) -> BinaryIO:
    """The regular file *path*. Others who write to the folder can put a pipe there, which would be waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file")
    return os.fdopen(handle, "rb")


def _keys_below(folder: Path, above: str, depth: int = 0) -> Iterator[str]:
    """The keys of all files below *folder*, without those that are being written or lie too deep."""
    if depth > DEEPEST:
        return
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        key = f"{above}/{entry.name}" if above else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _keys_below(folder / entry.name, key, depth + 1)
        elif not entry.name.startswith(WRITING):
            yield key


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
