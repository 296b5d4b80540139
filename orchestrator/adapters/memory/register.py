"""The `Register` port in memory, with the behaviour of the database."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, AuditRecord, empty_head, head_of
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.model import Model
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.register import (
    RecordKind,
    SchedulerLease,
    changed_meanwhile,
    not_the_scheduler,
    split_cursor,
)
from orchestrator.ports import Clock
from orchestrator.register_ports import AuditKeys, Changes, Records

T = TypeVar("T", bound=Model)
R = TypeVar("R")

Table = dict[str, tuple[Model, int, datetime]]
"""The records of one kind with their versions and when they were written, by key."""


class MemoryRegister:
    """The register of *project* in dictionaries."""

    def __init__(self, project: str = "shop", keys: AuditKeys | None = None, clock: Clock | None = None) -> None:
        self.project, self._keys, self._clock = project, keys or MemoryKeys(), clock or SystemClock()
        self._scheduler: SchedulerLease | None = None
        self._tables: dict[str, Table] = {}
        self._audit: tuple[AuditEntry, ...] = ()
        self._lock = threading.Lock()

    def reading(self, work: Callable[[Records], R]) -> R:
        """What *work* finds."""
        return work(self._at_work())

    def changing(self, by: str, work: Callable[[Changes], R], fence: int | None = None) -> R:
        """What *work* returns, after its changes were kept. Raises S103."""
        assert by
        with self._lock:
            if fence is not None and self._scheduler is not None and self._scheduler.fence != fence:
                raise not_the_scheduler(fence, self._scheduler.fence)
            changes = self._at_work()
            result = work(changes)
            changes.check()
            self._tables, self._audit = changes.tables, changes.entries
        return result

    def take_scheduler(self, holder: str, until: datetime) -> SchedulerLease | None:
        """The lease of the scheduler."""
        with self._lock:
            held = self._scheduler
            if held is not None and held.holder != holder and not held.has_ended(parse_moment(self._clock.now())):
                return None
            fence = held.fence + (held.holder != holder) if held is not None else 1
            self._scheduler = SchedulerLease(holder=holder, fence=fence, until=until)
            return self._scheduler

    def release_scheduler(self, holder: str) -> None:
        """End the lease of the scheduler."""
        with self._lock:
            if self._scheduler is not None and self._scheduler.holder == holder:
                ended = {"until": parse_moment(self._clock.now())}
                self._scheduler = self._scheduler.model_copy(update=ended)

    def scheduler(self) -> SchedulerLease | None:
        """The lease of the scheduler."""
        return self._scheduler

    def close(self) -> None:
        """Nothing is open."""

    def _at_work(self) -> "MemoryChanges":
        return MemoryChanges(self.project, self._keys, self._tables, self._audit, parse_moment(self._clock.now()))


class MemoryChanges:
    """The register at one moment; tables are copied when they are changed."""

    def __init__(
        self,
        project: str,
        keys: AuditKeys,
        tables: dict[str, Table],
        entries: tuple[AuditEntry, ...],
        now: datetime,
    ) -> None:
        self._project, self._keys, self._now = project, keys, now
        self.tables, self.entries = dict(tables), entries
        self._before = len(entries)
        self._changed = False

    def all(self, kind: RecordKind[T], part: str | None = None) -> tuple[T, ...]:
        """The records of *kind*."""
        table = self._table(kind)
        values = (kind.model.model_validate(table[key][0]) for key in sorted(table))
        return tuple(value for value in values if part is None or kind.part(value) == part)

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
        position = kind.position if kind.position is not None and not prefix else lambda _: ""
        placed = {(position(value), kind.key(value)): value for value in self.all(kind)}
        after = split_cursor(cursor) if cursor is not None else None
        found = [
            place
            for place in sorted(placed, reverse=newest_first)
            if (after is None or (place < after if newest_first else place > after))
            and place[0] >= start
            and place[1].startswith(prefix)
            and _is_in(kind, placed[place], parts, about)
        ]
        last = " ".join(found[limit - 1]) if len(found) > limit else None
        return Page(items=tuple(placed[place] for place in found[:limit]), cursor=last)

    def positions(self, kind: RecordKind[T], parts: Sequence[str]) -> list[str]:
        """The positions of the records in *parts*."""
        position = kind.position
        assert position is not None
        return sorted(position(value) for value in self.all(kind) if kind.part(value) in parts)

    def written_since(self, kind: RecordKind[T], at: datetime) -> tuple[T, ...]:
        """The records that were written at this moment or later."""
        table = self._table(kind)
        return tuple(kind.model.model_validate(table[key][0]) for key in sorted(table) if table[key][2] >= at)

    def count(self, kind: RecordKind[T]) -> dict[str, int]:
        """How many records each part has."""
        return dict(Counter(kind.part(value) for value in self.all(kind)))

    def get(self, kind: RecordKind[T], key: str) -> T | None:
        """The record with this key."""
        found = self._table(kind).get(key)
        return kind.model.model_validate(found[0]) if found else None

    def version(self, kind: RecordKind[T], key: str) -> int:
        """How often it was written."""
        found = self._table(kind).get(key)
        return found[1] if found else 0

    def audit(self, after: int = 0, limit: int | None = None) -> tuple[AuditEntry, ...]:
        """The entries after an index."""
        return self.entries[after : None if limit is None else after + limit]

    def head(self) -> AuditHead:
        """The newest place."""
        return head_of(self.entries[-1]) if self.entries else empty_head(self._project)

    def newest_time(self) -> datetime | None:
        """The time of the newest entry."""
        return self.entries[-1].at if self.entries else None

    def kept(self, name: str, make: Callable[[], R]) -> R:
        """What *make* finds; nothing is kept."""
        del name
        return make()

    def put(self, kind: RecordKind[T], value: T, expected: int | None = None) -> None:
        """Write a record. Raises A107."""
        key = kind.key(value)
        version = self.version(kind, key)
        if expected is not None and expected != version:
            raise changed_meanwhile(kind.name, key, expected, version)
        self.tables[kind.name] = {**self._table(kind), key: (value, version + 1, self._now)}
        self._changed = True

    def remove(self, kind: RecordKind[T], key: str) -> None:
        """Remove a record."""
        if key in self._table(kind):
            self.tables[kind.name] = {name: row for name, row in self._table(kind).items() if name != key}
            self._changed = True

    def record(self, record: AuditRecord) -> AuditEntry:
        """Append to the audit stream."""
        entry = self._keys.chained(self.head(), record)
        self.entries = (*self.entries, entry)
        return entry

    def _table(self, kind: RecordKind[T]) -> Table:
        return self.tables.get(kind.name, {})

    def check(self) -> None:
        """Refuse changes without an audit entry."""
        if self._changed and len(self.entries) == self._before:
            raise RuntimeError("a change of the register needs an audit entry")


def _is_in(kind: RecordKind[T], value: T, parts: Sequence[str] | None, about: str | None) -> bool:
    """Whether *value* is in one of *parts*, and is about *about*."""
    in_part = parts is None or kind.part(value) in parts
    return in_part and (about is None or (kind.about is not None and kind.about(value) == about))
