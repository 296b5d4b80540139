"""Writing a backup, also during runs.

The journal is copied before what it refers to: packages, plans and definitions are never taken away, so a copy that
is made later holds them all. The engine's own database comes second: what it has recorded and the journal has not,
is written to the journal again when the run is resumed.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator import __version__
from orchestrator.adapters import withheld
from orchestrator.adapters.backup import databases
from orchestrator.adapters.backup.archive import BackupManifest, BackupReader, open_backup, write_backup
from orchestrator.adapters.backup.content import DUMP, JOURNAL, BackupPaths, files
from orchestrator.adapters.database.engine import integrity, schema_version, sqlite_url
from orchestrator.adapters.secret_files import INDEX, is_listed, secret_files
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import PackageFile
from orchestrator.trees import discard

STAGING = "backing-up-"


def take(
    places: BackupPaths, target: Path, at: str, passphrase: bytes, *, logs: bool = False, secrets: bool = False
) -> BackupManifest:
    """Write a backup into the new file *target*, mode 0600, and read it again. *at* is the time, UTC, ISO 8601.

    It has an authentication code made with *passphrase*. The stack passphrase, the project key and secret controller
    files are in it only with *secrets*. Raises S112, S114, S133, S134 and S193, and leaves no file.
    """
    if target.exists():
        raise OrchestratorError("S134", f"{target} exists already")
    with _writing(target), _staging(places.state) as staging:
        found = {**_databases(places, staging), **_files(places, staging, logs=logs, secrets=secrets)}
        schema = schema_version(sqlite_url(staging / JOURNAL) if JOURNAL in found else places.store)
        if schema is None:
            raise OrchestratorError("S134", "the store is empty: nothing to back up yet")
        manifest = BackupManifest(
            project=places.project,
            program=__version__,
            made_at=at,
            store="sqlite" if places.kind == "sqlite" else "postgresql",
            schema_version=schema,
            logs=logs,
            files=tuple(_describe(name, found[name]) for name in sorted(found)),
            withheld=tuple(_withheld(places, found)),
        ).authenticated(passphrase)
        _seal(target, manifest, found)
    return manifest


def _withheld(places: BackupPaths, found: dict[str, Path]) -> Iterator[withheld.Withheld]:
    """The secrets of the state that are not among the files that were *found* for the backup.

    A version of controller files that was written meanwhile is not in the index that was found.
    """
    files = [
        (name, path)
        for name, path in secret_files(places.state, places.declared)
        if name not in found and is_listed(name, found.get("/".join([*name.split("/")[:2], INDEX])))
    ]
    yield from (item for item in withheld.found(places.state, files) if item.name not in found)


def _databases(places: BackupPaths, staging: Path) -> dict[str, Path]:
    """Copies of the databases, each checked."""
    if places.kind != "sqlite":
        databases.dump_database(places.store, staging / DUMP)
        return {DUMP: staging / DUMP}
    found = {}
    for name, path in places.databases.items():
        if path.exists():
            databases.copy(path, staging / name)
            wrong = integrity(sqlite_url(staging / name))
            if wrong:
                raise OrchestratorError("S114", f"the store is damaged: {path.name}: {wrong[0]}")
            found[name] = staging / name
    return found


def _files(places: BackupPaths, staging: Path, *, logs: bool, secrets: bool) -> dict[str, Path]:
    """The other files: packages where they are, since they never change, and copies of those that may."""
    found = {}
    for name, path in files(places, logs=logs, secrets=secrets):
        if name.startswith("packages/"):
            found[name] = path
            continue
        copied = staging / "files" / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # it was there for a moment only
            shutil.copy(path, copied)
            found[name] = copied
    return found


def _describe(name: str, path: Path) -> PackageFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return PackageFile(path=name, size=file.tell(), sha256=digest, executable=os.access(path, os.X_OK))


def _seal(target: Path, manifest: BackupManifest, found: dict[str, Path]) -> None:
    """Write, read again, and only then give the file its name."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            write_backup(out, manifest, lambda wanted: found[wanted].open("rb"))
            out.flush()
            os.fsync(out.fileno())
        with open_backup(temporary) as source:
            BackupReader(source).check()
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _staging(state: Path) -> Iterator[Path]:
    """A folder for copies. One backup at a time, so that what one that died has left can be removed."""
    with (state / "backup.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in state.glob(f"{STAGING}*"):
            discard(left)
        yield from _folder(state)


def _folder(state: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=STAGING, dir=state))
    try:
        yield folder
    finally:
        discard(folder)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn errors of writing into S134, with the reason why *target* cannot be written."""
    try:
        yield
    except OSError as error:
        raise OrchestratorError("S134", f"cannot write {target}: {error.strerror or error}") from error
    except OrchestratorError as error:
        if not error.code.startswith("P"):
            raise
        raise OrchestratorError("S134", f"cannot write {target}: {error.message}") from error
