"""Records of one kind that a process keeps: only those are read again that the audit stream names.

Every change of such a record has an entry in the audit stream, with the name of the record, in the same transaction.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from orchestrator.app.acting import noun_of
from orchestrator.domain.audit.chain import AuditHead, head_of
from orchestrator.domain.model import Model
from orchestrator.domain.register import RecordKind
from orchestrator.register_ports import Records, each_record

T = TypeVar("T", bound=Model)
MOST_ENTRIES = 1000
"""With more new entries than so many, all records are read again."""


class FollowedRecords(Generic[T]):
    """The records of *kind* in *parts*. Every change of them has to be recorded under their name."""

    def __init__(self, kind: RecordKind[T], parts: tuple[str, ...]) -> None:
        self._kind, self._parts = kind, parts
        self._found: dict[str, T] = {}
        self.head: AuditHead | None = None
        """The place of the audit stream at the last reading."""

    @property
    def last(self) -> Mapping[str, T]:
        """The records at the last reading, by their keys."""
        return self._found

    def read(self, records: Records) -> Mapping[str, T]:
        """The records now, by their keys."""
        head = records.head()
        changed = self._changed(records, head)
        if changed is None:
            found = each_record(records, self._kind, tuple(self._parts))
            self._found = {self._kind.key(value): value for value in found}
        else:
            for key in changed:
                value = records.get(self._kind, key)
                if value is not None and self._kind.part(value) in self._parts:
                    self._found[key] = value
                else:
                    self._found.pop(key, None)
        self.head = head
        return self._found

    def _changed(self, records: Records, head: AuditHead) -> set[str] | None:
        """The keys that entries since the last reading name; None if they are not known, or too many."""
        last = self.head
        if last is None or not 0 < last.index <= head.index <= last.index + MOST_ENTRIES:
            return None
        if head.is_at(last):
            return set()
        first, *entries = records.audit(last.index - 1, head.index - last.index + 1)
        if not head_of(first).is_at(last):  # another stream: of a restored backup
            return None
        beginning = f"{noun_of(self._kind)}:"
        named = (entry.object for entry in entries if entry.object.startswith(beginning))
        return {name.removeprefix(beginning) for name in named}
