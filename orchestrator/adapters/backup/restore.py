"""Replacing the current state by a backup: all of it, or nothing.

    restoring/new/       the backup's files, complete and checked, before anything is touched
    restoring/parts.json what will be moved, from where to where
    restoring/old/       the state before it; while this folder exists, nothing else may be done with the project

Each part is moved by a rename. If one fails, all are moved back. If the process dies in between, the next command
reports it, and :func:`undo_restore` moves them back. The state that a restore has replaced is kept, and never deleted.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic.util import CommandError

from orchestrator.adapters import withheld
from orchestrator.adapters.audit_head import RESTORED
from orchestrator.adapters.backup import databases
from orchestrator.adapters.backup.archive import BackupManifest, BackupReader, open_backup, translate_package_errors
from orchestrator.adapters.backup.content import BESIDE, DUMP, ENGINE, JOURNAL, RETIRED, BackupPaths
from orchestrator.adapters.database import schema_list
from orchestrator.adapters.database.engine import integrity, known_schemas, schema_version, sqlite_url
from orchestrator.adapters.withheld import PROJECT_KEY
from orchestrator.domain.audit.restores import RestoreNote
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.text import clean_text
from orchestrator.file_system import is_locked, write_whole
from orchestrator.trees import discard, remove


def inspect(places: BackupPaths, file: Path, passphrase: bytes | None) -> BackupManifest:
    """The manifest of the backup *file*, if it can be restored here. Its files are not read yet.

    *passphrase* is None for a backup that has no authentication code, if the operator accepts that. Raises S130 when it
    is not a backup of this project, S131 when it is damaged, S115 when it is of a newer program, S190 and S191 when it
    was not made with *passphrase*.
    """
    with open_backup(file) as source:
        manifest = BackupReader(source).description
    if passphrase is not None:
        manifest.verify(passphrase)
    elif manifest.authentication is not None:
        raise OrchestratorError("S190", "the backup has an authentication code, and its passphrase is not given")
    if manifest.project != places.project:
        raise OrchestratorError("S130", f"it is a backup of {manifest.project!r}, and this is {places.project!r}")
    if manifest.store != places.kind:
        raise OrchestratorError("S130", f"it is of a {manifest.store} store, and this project's is {places.kind}")
    known = known_schemas()
    if manifest.schema_version not in known:
        message = f"the backup has the schema {manifest.schema_version}, this program knows {max(known)}"
        raise OrchestratorError("S115", message)
    return manifest


def restore_backup(
    places: BackupPaths, file: Path, stamp: str, passphrase: bytes | None, note: RestoreNote | None = None
) -> Path:
    """Put the backup *file* in the place of the project's state. Returns where the old state is kept.

    The *note* about it comes into its place with the state: the next entry of the audit stream is made from it.
    *stamp* is a time in a form that a file's name can contain. Secrets that the backup does not have stay in their
    places if it was made with the same ones. An error leaves the state unchanged: those of
    :func:`inspect`, and S133, S134 and S192.
    """
    manifest = inspect(places, file, passphrase)
    kept = places.state / f"state-before-restore-{stamp}"
    with _translate_os_errors():
        undo_restore(places)
        discard(places.restoring)
        new = places.restoring / "new"
        new.mkdir(parents=True, mode=0o700)
        try:
            _unpack(file, new, manifest)
            _check(new, manifest)
            _keep_secrets(places.state, new, manifest)
            if note is not None:
                write_whole(new / RESTORED, note.model_dump_json(), flush=True)
        except BaseException:
            discard(places.restoring)
            raise
        _exchange(places, new)
        (places.restoring / "old").rename(kept)
        _bring_logs(new / "jobs", places.state / "jobs")
        remove(places.restoring)
    return kept


def undo_restore(places: BackupPaths) -> bool:
    """Undo a restore that did not complete. Returns whether there was one.

    Raises S133 and S134.
    """
    old = places.restoring / "old"
    if not old.is_dir():
        return False
    with _translate_os_errors():
        if (old / DUMP).exists():  # it is not known whether the other one was loaded
            databases.load_database(places.store, old / DUMP, places.restoring)
        _move_back(places)
    return True


def _move_back(places: BackupPaths) -> None:
    old, new = places.restoring / "old", places.restoring / "new"
    parts: dict[str, str] = json.loads((places.restoring / "parts.json").read_text(encoding="utf-8"))
    for name, place in reversed(parts.items()):
        if name.startswith("+") and not os.path.lexists(new / name[1:]) and os.path.lexists(place):
            Path(place).rename(new / name[1:])
        if os.path.lexists(old / name.removeprefix("+")):
            (old / name.removeprefix("+")).rename(place)
    remove(places.restoring)


def running_roots(state: Path) -> list[str]:
    """The roots on which processes of this machine currently work, by their locks, without reading the store."""
    return [path.stem for path in sorted((state / "executors").glob("*.lock")) if is_locked(path)]


def _keep_secrets(state: Path, new: Path, manifest: BackupManifest) -> None:
    """Take secrets that the backup does not have from *state*, and record which of them have to be given."""
    for item in manifest.withheld:
        source = state / item.name
        if source.is_file() and not source.is_symlink() and item.fits(source.read_bytes()):
            _copy_private(source, new / item.name)
            if item.name == PROJECT_KEY and (state / RETIRED).is_file():
                _copy_private(state / RETIRED, new / RETIRED)
    withheld.write_awaited(new, tuple(item for item in manifest.withheld if not (new / item.name).exists()))


def _copy_private(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(source.read_bytes())
        out.flush()
        os.fsync(handle)


def _unpack(file: Path, new: Path, manifest: BackupManifest) -> None:
    """Write each file below *new*, which is ours alone, and flush it; its digest is checked as it is read."""
    with open_backup(file) as source, translate_package_errors():
        reader = BackupReader(source)
        if reader.description != manifest:
            raise OrchestratorError("S131", "the backup is damaged: the file was replaced while it was read")
        for about, data in reader.content():
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
    """Raise S131 unless the databases are whole, match the manifest, and only have objects on the list."""
    wanted = JOURNAL if manifest.store == "sqlite" else DUMP
    beside = {f"{name}{end}" for name in (JOURNAL, ENGINE) for end in BESIDE[1:]}
    if beside & {file.path for file in manifest.files}:
        raise OrchestratorError("S131", "the backup is damaged: a database in it has unfinished changes")
    if not (new / wanted).is_file():
        raise OrchestratorError("S131", f"the backup is damaged: there is no {wanted} in it")
    _check_objects(new)
    for name in (JOURNAL, ENGINE):
        wrong = integrity(sqlite_url(new / name)) if (new / name).exists() else []
        if wrong:
            raise OrchestratorError("S131", f"the backup is damaged: {name}: {wrong[0]}")
    if manifest.store == "sqlite" and schema_version(sqlite_url(new / JOURNAL)) != manifest.schema_version:
        raise OrchestratorError("S131", "the backup is damaged: its journal has another schema than its manifest")


def _check_objects(new: Path) -> None:
    """Raise S192 if a database has an object that no migration of this program makes, such as a trigger."""
    strange = []
    for name in (JOURNAL, ENGINE):
        if (new / name).exists():
            try:
                strange += [f"{name}: {item}" for item in schema_list.unlisted(new / name, engine=name == ENGINE)]
            except (sqlite3.Error, sa.exc.SQLAlchemyError, CommandError) as error:
                text = clean_text(str(error), 200)
                raise OrchestratorError("S131", f"the backup is damaged: {name}: {text}") from error
    if (new / DUMP).exists():
        strange += [f"{DUMP}: {item}" for item in databases.strange(new / DUMP, new)]
    if strange:
        shown = clean_text("; ".join(strange[:5]), 600)
        raise OrchestratorError("S192", f"the backup has database objects that are not on the list: {shown}")


def _exchange(places: BackupPaths, new: Path) -> None:
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
            databases.dump_database(places.store, places.restoring / DUMP)
            (places.restoring / DUMP).rename(old / DUMP)
        for name, path in parts.items():
            if os.path.lexists(path):
                path.rename(old / name)
            if os.path.lexists(new / name):
                (new / name).rename(path)
        _flush(places.state, *{path.parent for path in parts.values() if path.parent.is_dir()})
        if places.kind != "sqlite":
            databases.load_database(places.store, new / DUMP, places.restoring)
    except BaseException:
        _move_back(places)
        raise


def _bring_logs(new: Path, jobs: Path) -> None:
    """Add the jobs that are missing. Existing ones are kept, because they may be newer than the backup."""
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
def _translate_os_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OrchestratorError("S134", f"cannot restore: {error.strerror}: {error.filename}") from error
