"""Putting a backup in the place of what is there: all of it, or nothing.

    restoring/new/       the backup's files, complete and checked, before anything is touched
    restoring/parts.json what will be moved, from where to where
    restoring/old/       what was there; while this folder is there, nothing else may be done with the project

Each part is moved by a rename. When one fails, all are moved back; when the process dies in between, the next command
says so, and :func:`undo` moves them back. What a restore has put aside is kept, and never deleted by us.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from orchestrator.adapters.backup import databases
from orchestrator.adapters.backup.archive import BackupManifest, BackupReader, opened, told
from orchestrator.adapters.backup.content import DUMP, ENGINE, JOURNAL, Places
from orchestrator.adapters.database.engine import integrity, known_schemas, schema_version, sqlite_url
from orchestrator.domain.errors import OrchestratorError


def inspect(places: Places, file: Path) -> BackupManifest:
    """What *file* says that it is, when it can be restored here. Its files are not read yet.

    Raises S130 when it is no backup of this project, S131 when it is damaged, and S115 when it is of a newer program.
    """
    with opened(file) as source:
        manifest = BackupReader(source).description
    if manifest.project != places.project:
        raise OrchestratorError("S130", f"it is a backup of {manifest.project!r}, and this is {places.project!r}")
    if manifest.store != places.kind:
        raise OrchestratorError("S130", f"it is of a {manifest.store} store, and this project's is {places.kind}")
    known = known_schemas()
    if manifest.schema_version not in known:
        message = f"the backup has the schema {manifest.schema_version}, this program knows {max(known)}"
        raise OrchestratorError("S115", message)
    return manifest


def restore(places: Places, file: Path, stamp: str) -> Path:
    """Put the backup *file* in the place of the project's state. Returns where the old state is kept.

    *stamp* is a time that can stand in a file's name. Raises as :func:`inspect`, and S133 and S134; the state is
    as it was then.
    """
    manifest = inspect(places, file)
    kept = places.state / f"state-before-restore-{stamp}"
    with _told():
        undo(places)
        shutil.rmtree(places.restoring, ignore_errors=True)
        new = places.restoring / "new"
        new.mkdir(parents=True, mode=0o700)
        try:
            _unpack(file, new)
            _check(new, manifest)
        except BaseException:
            shutil.rmtree(places.restoring, ignore_errors=True)
            raise
        _exchange(places, new)
        (places.restoring / "old").rename(kept)
        _bring_logs(new / "jobs", places.state / "jobs")
        shutil.rmtree(places.restoring)
    return kept


def undo(places: Places) -> bool:
    """Put back what a restore that did not come to its end has put aside. Whether there was one.

    Raises S133 and S134.
    """
    old = places.restoring / "old"
    if not old.is_dir():
        return False
    with _told():
        if (old / DUMP).exists():  # nobody knows whether the other one was loaded
            databases.load(places.store, old / DUMP, places.restoring)
        _put_back(places)
    return True


def _put_back(places: Places) -> None:
    old, new = places.restoring / "old", places.restoring / "new"
    parts: dict[str, str] = json.loads((places.restoring / "parts.json").read_text(encoding="utf-8"))
    for name, place in reversed(parts.items()):
        if name.startswith("+") and not os.path.lexists(new / name[1:]) and os.path.lexists(place):
            Path(place).rename(new / name[1:])
        if os.path.lexists(old / name.removeprefix("+")):
            (old / name.removeprefix("+")).rename(place)
    shutil.rmtree(places.restoring)


def worked_on(state: Path) -> list[str]:
    """What some process of this machine is working on now, by the locks, whatever a damaged store says."""
    found = []
    for path in sorted((state / "executors").glob("*.lock")):
        with contextlib.suppress(FileNotFoundError), path.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                found.append(path.stem)
    return found


def _unpack(file: Path, new: Path) -> None:
    """Write each file below *new*, which is ours alone, and flush it; its digest is checked as it is read."""
    with opened(file) as source, told():
        for about, data in BackupReader(source).content():
            path = new / about.path
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as out:
                for piece in data:
                    out.write(piece)
                if about.executable:
                    os.fchmod(out.fileno(), 0o700)
                out.flush()
                os.fsync(out.fileno())


def _check(new: Path, manifest: BackupManifest) -> None:
    """Whether the databases are whole, and what the manifest says."""
    wanted = JOURNAL if manifest.store == "sqlite" else DUMP
    if not (new / wanted).is_file():
        raise OrchestratorError("S131", f"the backup is damaged: there is no {wanted} in it")
    for name in (JOURNAL, ENGINE):
        wrong = integrity(sqlite_url(new / name)) if (new / name).exists() else []
        if wrong:
            raise OrchestratorError("S131", f"the backup is damaged: {name}: {wrong[0]}")
    if manifest.store == "sqlite" and schema_version(sqlite_url(new / JOURNAL)) != manifest.schema_version:
        raise OrchestratorError("S131", "the backup is damaged: its journal is not of the schema that it says")


def _exchange(places: Places, new: Path) -> None:
    """Move the old parts away and the new ones in; when anything fails, all back."""
    parts = places.parts()
    named = {f"+{name}" if os.path.lexists(new / name) else name: str(path) for name, path in parts.items()}
    listing = places.restoring / "parts.json"
    listing.write_text(json.dumps(named), encoding="utf-8")
    _flush(listing, places.restoring)
    old = places.restoring / "old"
    old.mkdir(mode=0o700)
    _flush(places.restoring)
    try:
        if places.kind != "sqlite":
            databases.dump(places.store, places.restoring / DUMP)
            (places.restoring / DUMP).rename(old / DUMP)
        for name, path in parts.items():
            if os.path.lexists(path):
                path.rename(old / name)
            if os.path.lexists(new / name):
                (new / name).rename(path)
        _flush(places.state, *{path.parent for path in parts.values() if path.parent.is_dir()})
        if places.kind != "sqlite":
            databases.load(places.store, new / DUMP, places.restoring)
    except BaseException:
        _put_back(places)
        raise


def _bring_logs(new: Path, jobs: Path) -> None:
    """Add the jobs that are not there: those that are know more than the backup does."""
    for folder in sorted(new.glob("*")):
        jobs.mkdir(exist_ok=True, mode=0o700)
        if not (jobs / folder.name).exists():
            folder.rename(jobs / folder.name)


def _flush(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OrchestratorError("S134", f"cannot restore: {error.strerror}: {error.filename}") from error
