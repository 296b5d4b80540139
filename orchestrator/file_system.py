"""What is done with files in many places: written as a whole, read within bounds, and probed for a lock."""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestrator.trees import walk

PRIVATE, SHARED = 0o600, 0o666
"""Modes of new files: readable by their owner only, or as the process makes its files (by its umask)."""


def write_whole(path: Path, content: str | bytes, *, mode: int = PRIVATE, flush: bool = False) -> None:
    """Write *content* to *path*: as a whole or not at all, also where another process does the same.

    With *flush* it is on the disk before it has its name. Nothing is masked here: a document has a digest, which a
    filter at this place would contradict.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if flush:
                file.flush()
                os.fsync(handle)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_bounded(path: Path, most: int) -> bytes:
    """The content of the ordinary file *path*, which a process that is not trusted may have written.

    Raises `OSError` if it is another kind of file, which might never end, or has more than *most* bytes.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "this is not a regular file", str(path))
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"the file has more than {most} bytes", str(path))
    return data


def read_end(path: Path, most: int) -> str:
    """The last *most* bytes of the ordinary file *path* as text; empty if there is none."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            about = os.fstat(handle)
            if stat.S_ISREG(about.st_mode):
                file.seek(max(0, about.st_size - most))
                return file.read(most).decode("utf-8", "replace")
    return ""


def lines_of(path: Path, longest: int = 16 << 20) -> Iterator[bytes]:
    """The lines of the ordinary file *path*; a longer one comes in pieces. Without such a file there are none."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            while stat.S_ISREG(os.fstat(handle).st_mode) and (line := file.readline(longest)):
                yield line.removesuffix(b"\n")


def files_of(place: Path) -> list[Path]:
    """The file *place*, or all files below the folder *place*, sorted; links to files count."""
    if not place.is_dir():
        return [place]
    found = (Path(at, name) for at, _, names in walk(place) for name in names)
    return sorted(path for path in found if path.is_file())


def is_locked(path: Path) -> bool:
    """Whether a process of this machine has the lock of the file *path*; False if there is no such file."""
    with contextlib.suppress(FileNotFoundError), path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
