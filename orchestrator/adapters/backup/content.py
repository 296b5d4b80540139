"""The parts of a project's state that belong to a backup, and the place of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.adapters.audit_head import RESTORED
from orchestrator.adapters.database.engine import engine_url, sqlite_path
from orchestrator.adapters.secret_files import secret_files
from orchestrator.adapters.withheld import MARKER, PASSPHRASE, PROJECT_KEY
from orchestrator.trees import LONGEST, entries

JOURNAL, ENGINE, DUMP = "journal.db", "engine.db", "database.dump"
LOGS = ("output.log", "events.jsonl", "outcome.json")  # of a job; its other files may hold secrets
HALF = (".copying-", ".passphrase.")  # written now, under a name for the moment
KEPT_FOLDERS = ("packages", "plans", "evidence", "snapshots", "controller-files", "pulumi")
RETIRED = "project.key.retired"
KEYS = (PROJECT_KEY, RETIRED)  # with them the plans of the backup count after a restore
WITHHELD = {PROJECT_KEY, RETIRED, PASSPHRASE}  # unless secrets are requested
BESIDE = ("", "-wal", "-shm", "-journal")  # what SQLite keeps beside a database belongs to it


@dataclass(frozen=True)
class BackupPaths:
    """A project and where its state is: *state* is its folder, *store* the URL of its journal.

    *declared* are the paths of controller files that each environment declares as secret.
    """

    project: str
    state: Path
    store: str
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return "sqlite" if self.store.startswith("sqlite") else "postgresql"

    @property
    def databases(self) -> dict[str, Path]:
        """The SQLite files by their names in a backup; none when the store is a server."""
        if self.kind != "sqlite":
            return {}
        return {JOURNAL: sqlite_path(self.store), ENGINE: sqlite_path(engine_url(self.store))}

    @property
    def restoring(self) -> Path:
        """The folder in which a restore prepares its work, and keeps the old state until it is done."""
        return self.state / "restoring"

    def parts(self) -> dict[str, Path]:
        """Everything that a restore replaces, by its name in a backup; the journal is the last."""
        databases = dict(reversed(self.databases.items()))
        beside = {f"{name}{end}": Path(f"{path}{end}") for name, path in databases.items() for end in BESIDE[1:]}
        return {**{name: self.state / name for name in (*KEPT_FOLDERS, *KEYS, MARKER, RESTORED)}, **beside, **databases}


def files(places: BackupPaths, *, logs: bool, secrets: bool) -> Iterator[tuple[str, Path]]:
    """The files beside the databases: packages, plans, evidence, controller files, Pulumi's state, *logs*, *secrets*.

    Unpacked packages, copies of programs, and locks are made again.
    """
    left_out = set() if secrets else WITHHELD | dict(secret_files(places.state, places.declared)).keys()
    yield from (item for item in _files(places, logs=logs) if item[0] not in left_out)


def _files(places: BackupPaths, *, logs: bool) -> Iterator[tuple[str, Path]]:
    yield from _packages(places.state / "packages")
    for name in ("plans", "evidence", "snapshots", "controller-files"):
        yield from _below(places.state, name)
    yield from (item for item in _below(places.state, "pulumi") if not _passing(item[0]))
    for name in KEYS:
        if (places.state / name).is_file() and not (places.state / name).is_symlink():
            yield name, places.state / name
    for job in sorted((places.state / "jobs").glob("*")) if logs else ():
        for name in LOGS:
            if (job / name).is_file() and not (job / name).is_symlink():
                yield f"jobs/{job.name}/{name}", job / name


def _packages(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.glob("*.release")):
        if path.is_file() and not path.name.startswith("."):
            yield f"packages/{path.name}", path


def _below(state: Path, name: str) -> Iterator[tuple[str, Path]]:
    for found in entries((state / name).resolve()):
        if found.is_file and found.length <= LONGEST:  # a job may have made folders deeper than the longest path
            yield f"{name}/{found.name}", state / name / found.name


def _passing(name: str) -> bool:
    """Whether a file of Pulumi's folder belongs to a running operation: a copy, a lock, half a file."""
    parts = name.split("/")
    return parts[1] == "work" or "locks" in parts or name.endswith(".lock") or any(p.startswith(HALF) for p in parts)
