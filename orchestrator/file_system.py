"""What is done with files in many places: written as a whole, and probed for the lock of another process."""

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

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


def is_locked(path: Path) -> bool:
    """Whether a process of this machine has the lock of the file *path*; False if there is no such file."""
    with contextlib.suppress(FileNotFoundError), path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
