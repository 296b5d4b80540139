"""Room for what is written: looked at before each piece of work, so that none is begun that could not be recorded."""

import errno
import os
from pathlib import Path

NEEDED = 16 * 2**20
"""Bytes that must be free before anything is begun: what one step of a promotion writes, several times over."""
FILES = 200
"""Files that there must be room for, on a file system that counts them."""


def lacking(folder: Path) -> str:
    """What there is too little of where *folder* is, and how much is needed; empty when there is room."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < NEEDED:
        return f"{folder} has {free / 2**20:.1f} MiB free, and at least {NEEDED // 2**20} MiB are needed"
    if found.f_files and found.f_favail < FILES:
        return f"{folder} has room for {found.f_favail} more files, and at least {FILES} are needed"
    return ""


def full(error: BaseException | None) -> bool:
    """Whether *error*, of the system or of a database, says that a disk, or somebody's share of it, is full."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    words = str(error)
    return getattr(error, "sqlstate", None) == "53100" or "disk is full" in words or "No space left" in words


def told(error: OSError) -> str:
    """*error*, of which :func:`full` is true, as a sentence that names the file."""
    return f"no space is left for {error.filename or 'a file'}: {error.strerror}"
