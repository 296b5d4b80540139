"""The file `audit-head` in the state folder: the newest index and code of the audit stream."""

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from orchestrator.domain.audit.chain import AuditHead
from orchestrator.domain.audit.restores import RestoreNote
from orchestrator.domain.errors import OrchestratorError

NAME = "audit-head"
RESTORED = "audit-restore.json"
"""Describes a restore until it has an entry in the stream. A restore puts it in its place together with the state."""


class HeadFile:
    """The `AuditHeads` port in *folder*. A head is replaced by those of its project that follow it."""

    def __init__(self, folder: Path) -> None:
        self._file, self._lock, self._note = folder / NAME, folder / f"{NAME}.lock", folder / RESTORED

    def write(self, project: str, newer: Callable[[AuditHead | None], AuditHead | None]) -> None:
        """Record the head that is *newer* than the recorded one, flushed."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            there = self.read()
            head = newer(there) if there is None or there.project == project else None
            if head is not None and head != there:
                self._replace(head)
        finally:
            os.close(handle)

    def restored(self) -> RestoreNote | None:
        """The restore without an entry. Raises A401 if the file cannot be read as one."""
        try:
            return RestoreNote.model_validate_json(self._note.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise OrchestratorError("A401", f"{self._note} does not describe a restore") from error

    def remove_note(self, note: RestoreNote) -> None:
        """Remove the file of *note*."""
        if self.restored() == note:
            self._note.unlink(missing_ok=True)

    def read(self) -> AuditHead | None:
        """The recorded head. Raises A401 if the file cannot be read as one."""
        try:
            return AuditHead.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise OrchestratorError("A401", f"{self._file} is not the head of an audit stream") from error

    def _replace(self, head: AuditHead) -> None:
        temporary = self._file.with_name(f".{NAME}.{secrets.token_hex(8)}")
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(head.model_dump_json() + "\n")
            target.flush()
            os.fsync(handle)
        temporary.replace(self._file)
