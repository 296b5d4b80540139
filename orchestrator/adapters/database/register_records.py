"""The register in one transaction on SQLAlchemy Core: its records and its audit stream."""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from orchestrator.adapters.database.tables import audit, register_tables
from orchestrator.adapters.database.values import decode, starts_with
from orchestrator.domain.access.actions import Action
from orchestrator.domain.audit.breaks import ExplainedBreak, recorded_breaks
from orchestrator.domain.audit.chain import AuditEntry, AuditHead, AuditRecord, empty_head, head_of
from orchestrator.domain.audit.restores import RecordedRestore, RestoreNote, recorded_restores, restore_record
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.model import Model
from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import RecordKind, changed_meanwhile, split_cursor
from orchestrator.register_ports import AuditKeys
from orchestrator.secret_values import process_secrets as known_secrets

T = TypeVar("T", bound=Model)
R = TypeVar("R")


class DatabaseChanges:
    """The register in one transaction."""

    def __init__(
        self, db: sa.Connection, project: str, keys: AuditKeys, by: str = "", at: str = "", call: str = ""
    ) -> None:
        self._db, self._project, self._keys = db, project, keys
        self._by, self._at, self._call = by, at, call
        self._changed, self._recorded = False, False

    def all(self, kind: RecordKind[T], part: str | None = None) -> tuple[T, ...]:
        """The records of *kind*."""
        chosen = {"project": self._project} if part is None else {"project": self._project, "part": part}
        rows = self._db.execute(_all_of(kind.name, in_part=part is not None), chosen)
        return tuple(decode(kind.model, str(data)) for data in rows.scalars())

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
        c = register_tables[kind.name].c
        by_position = kind.position is not None and not prefix
        place = (c.position, c.key) if by_position else (c.key,)
        query = sa.select(*place, c.data).where(c.project == self._project)
        if parts is not None:
            query = query.where(c.part.in_(parts))
        if start:
            query = query.where(c.position >= start)
        if about is not None:
            query = query.where(c.about == about)
        if prefix:
            query = query.where(starts_with(self._db.dialect.name, c.key, prefix))
        if cursor is not None:
            last, after = sa.tuple_(*place), sa.tuple_(*map(sa.literal, split_cursor(cursor)[-len(place) :]))
            query = query.where(last < after if newest_first else last > after)
        order = (column.desc() if newest_first else column for column in place)
        rows = self._db.execute(query.order_by(*order).limit(limit + 1)).all()
        items = tuple(decode(kind.model, str(row.data)) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items=items)
        end = rows[limit - 1]
        return Page(items=items, cursor=f"{end.position if by_position else ''} {end.key}")

    def positions(self, kind: RecordKind[T], parts: Sequence[str]) -> list[str]:
        """The positions of the records in *parts*."""
        c = register_tables[kind.name].c
        query = sa.select(c.position).where(c.project == self._project, c.part.in_(parts))
        return sorted(self._db.execute(query).scalars())

    def written_since(self, kind: RecordKind[T], at: datetime) -> tuple[T, ...]:
        """The records that were written at this moment or later."""
        c = register_tables[kind.name].c
        query = sa.select(c.data).where(c.project == self._project, c.changed_at >= moment_text(at))
        rows = self._db.execute(query.order_by(c.key))
        return tuple(decode(kind.model, str(data)) for data in rows.scalars())

    def count(self, kind: RecordKind[T]) -> dict[str, int]:
        """How many records each part has."""
        table = register_tables[kind.name]
        query = sa.select(table.c.part, sa.func.count()).where(table.c.project == self._project)
        return {str(part): int(number) for part, number in self._db.execute(query.group_by(table.c.part))}

    def get(self, kind: RecordKind[T], key: str) -> T | None:
        """The record with this key."""
        found = self._row(kind, key)
        return decode(kind.model, str(found.data)) if found is not None else None

    def version(self, kind: RecordKind[T], key: str) -> int:
        """How often it was written."""
        found = self._row(kind, key)
        return int(found.version) if found is not None else 0

    def audit(self, after: int = 0, limit: int | None = None) -> tuple[AuditEntry, ...]:
        """The entries after an index."""
        chosen = sa.select(audit.c.index, audit.c.data).where(audit.c.project == self._project, audit.c.index > after)
        rows = self._db.execute(chosen.order_by(audit.c.index).limit(limit))
        return tuple(_entry(int(row[0]), str(row[1])) for row in rows)

    def head(self) -> AuditHead:
        """The newest place."""
        newest = self._newest()
        return head_of(newest) if newest else empty_head(self._project)

    def newest_time(self) -> datetime | None:
        """The time of the newest entry."""
        newest = self._newest()
        return newest.at if newest else None

    def kept(self, name: str, make: Callable[[], R]) -> R:
        """What *make* finds; nothing is kept while records can change."""
        del name
        return make()

    def put(self, kind: RecordKind[T], value: T, expected: int | None = None) -> None:
        """Write a record. Raises A107."""
        table, key = register_tables[kind.name], kind.key(value)
        version = self.version(kind, key)
        if expected is not None and expected != version:
            raise changed_meanwhile(kind.name, key, expected, version)
        row = {
            "part": kind.part(value),
            "version": version + 1,
            "changed_at": self._at,
            "changed_by": self._by,
            "data": value.model_dump_json(),
            **({"position": kind.position(value)} if kind.position is not None else {}),
            **({"about": kind.about(value)} if kind.about is not None else {}),
        }
        if version:
            self._db.execute(table.update().where(self._is(table, key)).values(**row))
        else:
            created = {"project": self._project, "key": key, "created_at": self._at, "created_by": self._by}
            self._db.execute(table.insert().values(**created, **row))
        self._changed = True

    def remove(self, kind: RecordKind[T], key: str) -> None:
        """Remove a record."""
        table = register_tables[kind.name]
        removed = self._db.execute(table.delete().where(self._is(table, key)))
        self._changed = self._changed or removed.rowcount > 0

    def record(self, record: AuditRecord) -> AuditEntry:
        """Append to the audit stream. Known secrets are masked first: the chain is made of what is kept."""
        entry = self._keys.chained(self.head(), known_secrets().document(record))
        row: Mapping[str, object] = {
            "project": self._project,
            "index": entry.index,
            "call": self._call,
            "at": moment_text(entry.at),
            "actor": entry.actor,
            "action": entry.action,
            "object": entry.object,
            "data": entry.model_dump_json(),
        }
        self._db.execute(audit.insert().values(**row))
        self._recorded = True
        return entry

    def places(self, index: int) -> list[AuditHead]:
        """The place of the entry at *index*, if there is one."""
        return [head_of(entry) for entry in self.audit(index - 1, limit=1) if entry.index == index]

    def restores(self) -> tuple[RecordedRestore, ...]:
        """The restores that the stream records."""
        return recorded_restores(self._of_action(Action.RESTORE))

    def breaks(self) -> tuple[ExplainedBreak, ...]:
        """The breaks that the stream explains."""
        return recorded_breaks(self._of_action(Action.EXPLAIN_AUDIT))

    def _of_action(self, action: Action) -> list[AuditEntry]:
        mine = sa.and_(audit.c.project == self._project, audit.c.action == action.value)
        rows = self._db.execute(sa.select(audit.c.index, audit.c.data).where(mine).order_by(audit.c.index))
        return [_entry(int(row[0]), str(row[1])) for row in rows]

    def record_restore(self, note: RestoreNote) -> None:
        """Append the entry of the restore *note*, unless there is one. It is not the entry of any other change."""
        if all(restore.detail.id != note.id for restore in self.restores()):
            self.record(restore_record(note, self.head()))
            self._recorded = False

    def was_committed(self) -> bool:
        """Whether an earlier attempt of this call has been committed."""
        query = sa.select(audit.c.index).where(audit.c.project == self._project, audit.c.call == self._call)
        return self._db.execute(query.limit(1)).first() is not None

    def check(self) -> None:
        """Refuse changes without an audit entry."""
        if self._changed and not self._recorded:
            raise RuntimeError("a change of the register needs an audit entry")

    def _newest(self) -> AuditEntry | None:
        data = self._db.execute(NEWEST, {"project": self._project}).scalar()
        return decode(AuditEntry, str(data)) if data is not None else None

    def _row(self, kind: RecordKind[T], key: str) -> Any:
        return self._db.execute(_one_of(kind.name), {"project": self._project, "key": key}).first()

    def _is(self, table: sa.Table, key: str) -> "sa.ColumnElement[bool]":
        return sa.and_(table.c.project == self._project, table.c.key == key)


# Each command reads every kind of right several times. A statement that is built once is also compiled once.
NEWEST = (
    sa.select(audit.c.data)
    .where(audit.c.project == sa.bindparam("project"))
    .order_by(audit.c.index.desc())
    .limit(1)
)  # fmt: skip


@functools.cache
def _all_of(name: str, *, in_part: bool) -> "sa.Select[tuple[Any]]":
    """The records of the kind *name*, all of them or those of one part."""
    table = register_tables[name]
    query = sa.select(table.c.data).where(table.c.project == sa.bindparam("project")).order_by(table.c.key)
    return query.where(table.c.part == sa.bindparam("part")) if in_part else query


@functools.cache
def _one_of(name: str) -> "sa.Select[tuple[Any, Any]]":
    """The record of the kind *name* with one key."""
    table = register_tables[name]
    one = sa.and_(table.c.project == sa.bindparam("project"), table.c.key == sa.bindparam("key"))
    return sa.select(table.c.data, table.c.version).where(one)


def _entry(index: int, text: str) -> AuditEntry:
    """The entry that is recorded at *index*. Raises S115 with the index if it cannot be read."""
    try:
        return decode(AuditEntry, text)
    except OrchestratorError as error:
        raise OrchestratorError(error.code, f"audit entry {index}: {error.message}") from error
