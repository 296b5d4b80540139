"""The backups of one project: taken, inspected, and put in the place of its state."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.adapters.backup import restore
from orchestrator.adapters.backup.archive import BackupManifest
from orchestrator.adapters.backup.content import BackupPaths
from orchestrator.adapters.backup.take import take
from orchestrator.domain.audit.restores import RestoreNote


class ProjectBackups:
    """The backups of the project whose state is at *paths*.

    *declared* gives the paths of controller files that each environment declares as secret.
    """

    def __init__(self, paths: BackupPaths, declared: Callable[[], Mapping[str, tuple[str, ...]]]) -> None:
        self._paths, self._declared = paths, declared

    def take(self, target: Path, at: str, passphrase: bytes, *, logs: bool, secrets: bool) -> BackupManifest:
        """Write the state into the new file *target*, made *at* a time, and read it again."""
        paths = replace(self._paths, declared=self._declared())
        return take(paths, target, at, passphrase, logs=logs, secrets=secrets)

    def has_state(self) -> bool:
        """Whether there may be a state that a restore replaces: a file of a database, or a server."""
        return self._paths.kind != "sqlite" or any(path.exists() for path in self._paths.databases.values())

    def locked_requests(self) -> list[str]:
        """The requests on which a process of this machine works, by its locks."""
        return restore.running_roots(self._paths.state)

    def inspect(self, file: Path, passphrase: bytes | None) -> BackupManifest:
        """What *file* contains. Raises S130, S131, S115, S190 and S191."""
        return restore.inspect(self._paths, file, passphrase)

    def restore(self, file: Path, passphrase: bytes | None, note: RestoreNote) -> Path:
        """Replace the state by that of *file*; where the old one is kept. Raises as `inspect`, and S133, S134, S192.

        The audit stream gets an entry from *note*.
        """
        return restore.restore_backup(self._paths, file, f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}", passphrase, note)

    def undo_restore(self) -> bool:
        """Undo an interrupted restore. Returns whether there was one. Raises S133 and S134."""
        return restore.undo_restore(self._paths)
