"""Restoring the state of a project from a backup, also when the current state cannot be read."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.front_end import ApplicationParts, BackupContent, MissingFile
from orchestrator.app.maintenance import Maintenance
from orchestrator.app.queries import Queries
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor
from orchestrator.domain.audit.restores import RestoreNote
from orchestrator.domain.error_codes import RIGHT_MISSING, TOKEN_REFUSED
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import digest_of
from orchestrator.domain.moments import parse_moment


@dataclass(frozen=True)
class Restored:
    """A state that was restored: where the former one is *kept*, and the secrets that are *missing*."""

    kept: Path
    missing: Sequence[MissingFile]


class StateRestore:
    """Replaces the state of a project, as the actor of this process.

    Nothing stays open between the calls: files are moved, and each call reads them anew. A current state that cannot be
    read can still be replaced, because a backup is for that.
    """

    def __init__(self, parts: ApplicationParts) -> None:
        self._parts = parts

    def admit(self) -> str:
        """Return if the actor may restore the state. Otherwise raises A101 and A108.

        The result is why the rights cannot be read, and are not checked; empty if they were.
        """
        if not self._parts.backups.has_state():
            return ""
        try:
            Maintenance(self._parts).admit_restore(self._parts.actor)
        except OrchestratorError as error:
            if error.code in {RIGHT_MISSING, TOKEN_REFUSED}:
                raise
            return error.message
        finally:
            self._parts.forget()
        return ""

    def require_idle(self) -> str:
        """Return if no process works on a run, as far as the locks and the store show. Otherwise raises S132.

        The result is why the store cannot be read; empty if it was.
        """
        working, unread = self._parts.backups.locked_requests(), ""
        try:
            open_runs = [] if working else Queries(self._parts).unfinished_runs(SYSTEM_ACTOR)
            working += [run.id for run in open_runs if self._parts.engine.working(run.root)]
        except OrchestratorError as error:
            unread = error.message
        finally:
            self._parts.forget()
        if working:
            raise OrchestratorError("S132", f"a process works on {', '.join(working)}")
        return unread

    def inspect(self, file: Path, passphrase: bytes | None) -> BackupContent:
        """What the backup *file* contains; *passphrase* is None if it is not authenticated.

        Raises S115, S130, S131, S190 and S191.
        """
        return self._parts.backups.inspect(file, passphrase)

    def unfinished(self) -> list[str]:
        """The runs that have not ended; none if the store cannot be read."""
        try:
            return [run.id for run in Queries(self._parts).unfinished_runs(SYSTEM_ACTOR)]
        except OrchestratorError:
            return []
        finally:
            self._parts.forget()

    def replace(
        self, file: Path, passphrase: bytes | None, content: BackupContent, report: Callable[[str], None]
    ) -> Restored:
        """Replace the state by that of *file* with this *content*, as a whole or not at all, and record it.

        Problems with the audit stream are given to *report*, and do not stop it. Raises as `inspect`, S133, S134, S192.
        """
        kept = self._parts.backups.restore(file, passphrase, self._note(file, content, report))
        self._record(report)
        return Restored(kept, self._parts.withheld.missing())

    def _note(self, file: Path, content: BackupContent, report: Callable[[str], None]) -> RestoreNote:
        """What the audit stream will contain of this restore."""
        head = None
        try:
            head = self._parts.audit_head.read()
        except OrchestratorError as error:
            report(f"the newest place of the audit stream is not known: {error.message}")
        made = RestoreNote(
            id=secrets.token_hex(6),
            project=self._parts.project.name,
            by=self._actor(),
            at=parse_moment(self._parts.clock.now()),
            backup=file.name,
            made_at=content.made_at,
            digest=digest_of(content.to_json()),
            head=head,
        )
        self._parts.forget()  # the actor was looked up in the register
        return made

    def _actor(self) -> Actor:
        """Who restores: the user of this machine if the register cannot be read. Raises A108."""
        try:
            return self._parts.actor
        except OrchestratorError as error:
            if error.code == TOKEN_REFUSED:
                raise
            return self._parts.local_actor

    def _record(self, report: Callable[[str], None]) -> None:
        """Record the restore in the restored audit stream, or report when that will be done.

        It has happened, so that it needs no right. Without the project key (S150, S193) the next change of any process
        records it.
        """
        try:
            restored = self._parts.audit_head.restored()
            if restored is not None:
                self._parts.register.changing(str(restored.by), lambda _records: None)
        except OrchestratorError as error:
            report(f"the audit stream records the restore with its next entry: {error.message}")
        finally:
            self._parts.forget()

    def undo(self) -> bool:
        """Undo an interrupted restore. Returns whether there was one. Raises S133 and S134."""
        return self._parts.backups.undo_restore()
