"""Resources of the machine: checked before each step, so that no step is started that could not be recorded.

A full disk, and a machine without memory, files or processes, do not fail a release: the process parks, and continues
when there is space again.
"""

import errno
import os
from pathlib import Path

NEEDED = 16 * 2**20
"""Bytes that must be free before anything is started: what one step of a promotion writes, several times over."""
FILES = 200
"""Files that there must be room for, on a file system that counts them."""


def shortage(folder: Path | str) -> str:
    """What there is too little of where *folder* is, and how much is needed; empty when there is room."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < NEEDED:
        return f"{folder} has {free / 2**20:.1f} MiB free, and at least {NEEDED // 2**20} MiB are needed"
    if found.f_files and found.f_favail < FILES:
        return f"{folder} has room for {found.f_favail} more files, and at least {FILES} are needed"
    return ""


def full(error: BaseException | None) -> bool:
    """Whether *error*, of the system or of a database, reports that a disk or a quota is full."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    words = str(error)
    return getattr(error, "sqlstate", None) == "53100" or "disk is full" in words or "No space left" in words


def exhausted(error: BaseException | None) -> str:
    """The resource of this machine, or of this process's share, that *error* reports as exhausted; empty for none."""
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "threads"
    if isinstance(error, OSError):
        return _SPENT.get(error.errno or 0, "")
    return ""


_SPENT = {errno.ENOMEM: "memory", errno.EAGAIN: "processes", errno.EMFILE: "files", errno.ENFILE: "files"}


def is_exhausted(error: BaseException) -> bool:
    """Whether *error* reports an exhausted resource of any kind, and nothing about the work that met it."""
    return full(error) or bool(exhausted(error))


def as_error(error: BaseException) -> tuple[str, str]:
    """*error*, of which :func:`is_exhausted` is true, as the code and the message of an error of ours."""
    if what := exhausted(error):
        return "S116", f"this machine has no more {what}"
    return "S113", f"no space is left for {getattr(error, 'filename', None) or 'a file'}: {os.strerror(errno.ENOSPC)}"
