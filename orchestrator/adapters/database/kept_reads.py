"""What a process has read of the register, kept until the audit stream has a newer entry.

Every change of a record appends to the audit stream in the same transaction, and each entry has the hash of the
previous one. So two transactions with the same newest entry read the same records: the text of that entry is the key.
Values are frozen, and readers share them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from orchestrator.adapters.database.register_records import NEWEST, DatabaseChanges
from orchestrator.adapters.database.values import decode
from orchestrator.domain.audit.chain import AuditEntry, AuditHead
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.model import Model
from orchestrator.domain.register import RecordKind
from orchestrator.register_ports import AuditKeys

T = TypeVar("T", bound=Model)
R = TypeVar("R")


class Reads(dict[tuple[Any, ...], Any]):
    """The results for one audit entry, and how many *records* they have."""

    records = 0


MOST_RECORDS = 10_000
"""How many records are kept. The result that exceeds it is the last one that is kept, and the next transaction forgets
all. Results without records count as one."""
MOST_SINGLE = 300
"""How many records that were read by their keys are kept; with more, the first of them are forgotten."""
MISSING = object()


class ReadCache:
    """The results of one process, for the newest audit entry that it has seen."""

    def __init__(self, most: int = MOST_RECORDS) -> None:
        self._most = most
        self._newest: tuple[str | None, Reads] = (None, Reads())
        self._single: deque[tuple[Any, ...]] = deque()

    def at(self, newest: str) -> Reads:
        """The results for the audit entry with the text *newest*; a transaction keeps using them to its end."""
        kept, reads = self._newest
        if kept != newest or self.is_full(reads):
            reads = Reads()
            self._newest = (newest, reads)
            self._single = deque()
        return reads

    def forget(self) -> None:
        """Forget all results."""
        self._newest, self._single = (None, Reads()), deque()

    def is_full(self, reads: Reads) -> bool:
        """Whether *reads* have more records than are kept: a transaction that reads on keeps no more of them."""
        return reads.records > self._most

    def add_single(self, key: tuple[Any, ...], reads: Reads) -> None:
        """Count a record that *reads* keep at *key*: many records that are read one by one leave the lists."""
        self._single.append(key)
        if len(self._single) > MOST_SINGLE:
            reads.pop(self._single.popleft(), None)


class KeptRecords(DatabaseChanges):
    """The register in one transaction that reads it. Results are taken from *cache*, and added to it."""

    def __init__(self, db: sa.Connection, project: str, keys: AuditKeys, cache: ReadCache) -> None:
        super().__init__(db, project, keys)
        self._cache = cache
        self._entry = self._newest_entry()
        self._reads = cache.at(str(self._entry)) if self._entry is not None else Reads()

    def _newest_entry(self) -> str | None:
        return cast("str | None", self._db.execute(NEWEST, {"project": self._project}).scalar())

    def kept(self, name: str, make: Callable[[], R]) -> R:
        """What *make* finds in these records."""
        return self._once(("kept", name), make, lambda _found: 1)

    def all(self, kind: RecordKind[T], part: str | None = None) -> tuple[T, ...]:
        """The records of *kind*."""
        return self._once(("all", kind.name, part), lambda: super(KeptRecords, self).all(kind, part), len)

    def page(
        self,
        kind: RecordKind[T],
        parts: Sequence[str] | None = None,
        *,
        start: str = "",
        prefix: str = "",
        about: str | None = None,
        newest_first: bool = False,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[T]:
        """A page of the records in their order."""

        def read() -> Page[T]:
            how: Any = {"start": start, "prefix": prefix, "newest_first": newest_first, "cursor": cursor}
            return super(KeptRecords, self).page(kind, parts, about=about, limit=limit, **how)

        chosen = (None if parts is None else tuple(parts), start, prefix, about, newest_first, cursor, limit)
        return self._once(("page", kind.name, *chosen), read, lambda page: len(page.items))

    def positions(self, kind: RecordKind[T], parts: Sequence[str]) -> list[str]:
        """The positions of the records in *parts*."""
        chosen = ("positions", kind.name, tuple(parts))
        return self._once(chosen, lambda: super(KeptRecords, self).positions(kind, parts), len)

    def count(self, kind: RecordKind[T]) -> dict[str, int]:
        """How many records each part has."""
        return dict(self._once(("count", kind.name), lambda: super(KeptRecords, self).count(kind), lambda _found: 1))

    def get(self, kind: RecordKind[T], key: str) -> T | None:
        """The record with this key."""
        chosen = ("get", kind.name, key)
        found = self._reads.get(chosen, MISSING)
        if found is MISSING:
            found = self._reads[chosen] = super().get(kind, key)
            self._cache.add_single(chosen, self._reads)
        return cast("T | None", found)

    def head(self) -> AuditHead:
        """The newest place."""
        return self.kept("head", super().head)

    def newest_time(self) -> datetime | None:
        """The time of the newest entry."""
        return self.kept("newest_time", super().newest_time)

    def _newest(self) -> AuditEntry | None:
        return decode(AuditEntry, str(self._entry)) if self._entry is not None else None

    def _once(self, key: tuple[Any, ...], read: Callable[[], R], records: Callable[[R], int]) -> R:
        found = self._reads.get(key, MISSING)
        if found is MISSING:
            found = read()
            if not self._cache.is_full(self._reads):
                self._reads[key] = found
                self._reads.records += max(1, records(found))
        return cast("R", found)


class NotKept(BaseException):
    """Something is read that is not kept. No use case may catch it."""


class _NoConnection:
    """What there is instead of a connection where everything is kept."""

    def __getattr__(self, name: str) -> Any:
        raise NotKept(name)


class KnownRecords(KeptRecords):
    """The register at the *newest* audit entry, without a transaction: it raises `NotKept` for what it does not know.

    Everything that is kept for one entry is of one moment.
    """

    def __init__(self, newest: str | None, project: str, keys: AuditKeys, cache: ReadCache) -> None:
        self._given = newest
        super().__init__(cast("sa.Connection", _NoConnection()), project, keys, cache)

    def _newest_entry(self) -> str | None:
        return self._given
