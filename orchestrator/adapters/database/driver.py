"""The SQLite that files are opened with: that of the interpreter, or a newer one from the package `pysqlite3`."""

import sqlite3
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from orchestrator.domain.errors import OrchestratorError

HEADER_MODE = slice(18, 20)
"""The part of a file's header with its journal mode: two bytes, both 2 if it has a write-ahead log."""


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether SQLite's write-ahead log keeps its word in *version*.

    Versions before 3.51.3 (and the back-ports 3.50.7 and 3.44.6) may corrupt a database that several connections
    write to: https://sqlite.org/wal.html, "the WAL-reset bug".
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


@cache
def driver() -> ModuleType:
    """The module of the DB-API with the newest SQLite. `pysqlite3` comes with the extra `server`."""
    try:
        other = import_module("pysqlite3.dbapi2")
    except ImportError:
        return sqlite3
    return other if other.sqlite_version_info > sqlite3.sqlite_version_info else sqlite3


def is_error(error: BaseException | None, name: str = "Error") -> bool:
    """Whether *error* is the exception *name* of SQLite, of whichever module."""
    return isinstance(error, (getattr(sqlite3, name), getattr(driver(), name)))


def journal_mode() -> str:
    """The journal mode that is used with this SQLite: `WAL`, or `DELETE` where that is not safe."""
    return "WAL" if wal_is_safe(driver().sqlite_version_info) else "DELETE"


def has_wal(path: Path) -> bool:
    """Whether the database *path* is kept with a write-ahead log; False if there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(20)[HEADER_MODE] == b"\x02\x02"
    except FileNotFoundError:
        return False


def refuse_unsafe_wal(path: Path) -> None:
    """Raise S182 if the database *path* has a write-ahead log that this SQLite may corrupt.

    The mode belongs to the file. A process with an older SQLite must neither write to it nor change its mode.
    """
    if journal_mode() != "WAL" and has_wal(path):
        version = driver().sqlite_version
        raise OrchestratorError("S182", f"{path.name} has a write-ahead log, which SQLite {version} may corrupt")
