"""Restores in the audit stream: which entries a restored state lacks, and who has restored it from which backup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, AuditRecord, record_by
from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment

RESTORE = "restore"
"""The field of an entry's detail that describes a restore."""


class RestoreNote(Model):
    """A restore that has no entry yet, as it is written beside the database until it has one.

    *backup* is the name of the file, *made_at* when it was made, and *digest* that of its manifest. *head* is the
    newest place of the stream that was replaced; None if that is not known.
    """

    id: str
    project: str
    by: Actor
    at: Moment
    backup: str
    made_at: str
    digest: Digest
    head: AuditHead | None = None


class RestoreDetail(Model):
    """The entry of a restore: the stream ended with *head_before*, and the restored one with *head_after*."""

    id: str
    backup: str
    made_at: str
    digest: Digest
    head_before: AuditHead | None
    head_after: AuditHead


def restore_record(note: RestoreNote, after: AuditHead) -> AuditRecord:
    """The record of the restore *note*, whose stream ended with *after*."""
    detail = RestoreDetail(
        id=note.id,
        backup=note.backup,
        made_at=note.made_at,
        digest=note.digest,
        head_before=note.head,
        head_after=after,
    )
    return record_by(
        note.by,
        project=note.project,
        at=note.at,
        action=Action.RESTORE.value,
        object=f"project:{note.project}",
        reason=f"restored {note.backup}",
        detail={RESTORE: detail.to_json()},
    )


@dataclass(frozen=True)
class RecordedRestore:
    """A restore as its *entry* of the stream describes it."""

    entry: AuditEntry
    detail: RestoreDetail

    @property
    def missing(self) -> tuple[int, int] | None:
        """The first and the last index of the replaced stream that the restored one lacked; None if none is known."""
        before, first = self.detail.head_before, self.detail.head_after.index + 1
        return (first, before.index) if before is not None and before.index >= first else None

    def __str__(self) -> str:
        lost = self.missing
        what = f"entries {lost[0]} to {lost[1]} are missing" if lost else "no missing entry is known"
        backup = f"{self.detail.backup} of {self.detail.made_at}"
        return f"{what}: {self.entry.actor} restored {backup} (recorded in entry {self.entry.index})"

    def to_json(self) -> dict[str, Any]:
        """The restore as data for documents."""
        lost = self.missing
        return {
            **self.detail.to_json(),
            "entry": self.entry.index,
            "by": self.entry.actor,
            "at": self.entry.to_json()["at"],
            "missing": {"first": lost[0], "last": lost[1]} if lost else None,
        }


def recorded_restores(entries: Iterable[AuditEntry]) -> tuple[RecordedRestore, ...]:
    """The restores that *entries* record, in order."""
    return tuple(
        RecordedRestore(entry, RestoreDetail.from_json(entry.detail[RESTORE]))
        for entry in entries
        if entry.action == Action.RESTORE.value and RESTORE in entry.detail
    )


def explanation(restores: Sequence[RecordedRestore], head: AuditHead) -> RecordedRestore | None:
    """The restore by which the entry at *head*, which is not in the stream, was lost; None if none of *restores* did.

    A head that was recorded after a restore is not explained by that one.
    """
    ids = [restore.detail.id for restore in restores]
    later = restores[ids.index(head.restore) + 1 if head.restore in ids else 0 :]
    return next((each for each in later if (lost := each.missing) and lost[0] <= head.index <= lost[1]), None)
