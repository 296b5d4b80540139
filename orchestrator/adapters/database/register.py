"""The `Register` port on SQLAlchemy Core. Each change is one transaction with its audit entries."""

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import sqlalchemy as sa

from orchestrator.adapters.database.engine import open_database, retry_on_disconnect, translate_errors
from orchestrator.adapters.database.kept_reads import KeptRecords, KnownRecords, NotKept, ReadCache
from orchestrator.adapters.database.register_records import NEWEST, DatabaseChanges
from orchestrator.adapters.database.tables import scheduler_leases
from orchestrator.adapters.database.thread_connections import ThreadConnections
from orchestrator.domain.audit.breaks import explained_break
from orchestrator.domain.audit.chain import AuditHead
from orchestrator.domain.audit.restores import (
    explanation,
)
from orchestrator.domain.model import Model
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.domain.register import (
    SchedulerLease,
    not_the_scheduler,
)
from orchestrator.ports import Clock
from orchestrator.register_ports import AuditHeads, AuditKeys, Changes, Records

T = TypeVar("T", bound=Model)
R = TypeVar("R")


@dataclass
class _Attempts(Generic[R]):
    """A change over all attempts: its call, and the result of the last attempt (at most one)."""

    call: str
    results: list[R]


class DatabaseRegister:
    """The register of *project* at *url*. *heads* is the file that repeats the newest place of the audit stream."""

    def __init__(self, url: str, clock: Clock, project: str, keys: AuditKeys, heads: AuditHeads) -> None:
        self.project = project
        self._engine = open_database(url).execution_options(project=project)
        self._clock, self._keys, self._heads = clock, keys, heads
        self._kept, self._threads = ReadCache(), ThreadConnections(self._engine)
        self._reader = self._reading_engine()

    @retry_on_disconnect
    def reading(self, work: Callable[[Records], R]) -> R:
        """What *work* finds at one moment. It is called again, in a transaction, if it reads more than what is kept."""
        with translate_errors():
            if self._threads.are_kept:
                newest = self._threads.rows(NEWEST, {"project": self.project})
                with contextlib.suppress(NotKept):
                    return work(KnownRecords(newest[0].data if newest else None, self.project, self._keys, self._kept))
            with self._reader.connect() as db:
                return work(KeptRecords(db, self.project, self._keys, self._kept))

    def changing(self, by: str, work: Callable[[Changes], R], fence: int | None = None) -> R:
        """What *work* returns, after its changes were committed. Raises S103."""
        return self._change(by, work, _Attempts(secrets.token_hex(8), []), fence)

    @retry_on_disconnect
    def _change(self, by: str, work: Callable[[Changes], R], attempts: _Attempts[R], fence: int | None) -> R:
        """One attempt. An earlier one whose answer was lost may have been committed: then its result counts."""
        with translate_errors(), self._engine.begin() as db:
            _one_change_at_a_time(db, self.project)
            changes = DatabaseChanges(db, self.project, self._keys, by, self._clock.now(), attempts.call)
            if attempts.results and changes.was_committed():
                return attempts.results[-1]
            if fence is not None:
                _refuse_replaced(db, self.project, fence)
            before, note = changes.head(), self._heads.restored()
            if note is not None and note.project == self.project:
                changes.record_restore(note)
            attempts.results[:] = [work(changes)]
            changes.check()
            head = changes.head()
        self._heads.write(self.project, lambda stored: self._newer(stored, before, head))
        if note is not None and note.project == self.project:
            self._heads.remove_note(note)
        return attempts.results[-1]

    def _newer(self, stored: AuditHead | None, before: AuditHead, head: AuditHead) -> AuditHead | None:
        """The head to record after a change from *before* to *head*, if *there* is recorded; None: no new one.

        If *stored* is not a place of the stream, entries are missing: it stays, unless a restore lost it or an entry
        explains the break.
        """
        if stored is not None and stored.is_at(before) and before != head:
            return head.model_copy(update={"restore": stored.restore})
        with translate_errors(), self._reader.connect() as db:
            found = DatabaseChanges(db, self.project, self._keys)
            restores = found.restores()
            if stored is not None and stored.index and not any(map(stored.is_at, found.places(stored.index))):
                lost = explanation(restores, stored)
                if lost is not None:
                    return head.model_copy(update={"restore": lost.detail.id})
                if explained_break(found.breaks(), stored) is None:
                    return None
                stored = None
        if stored is None or stored.index < head.index:
            return head.model_copy(update={"restore": restores[-1].detail.id if restores else None})
        return None

    @retry_on_disconnect
    def take_scheduler(self, holder: str, until: datetime) -> SchedulerLease | None:
        """The lease of the scheduler."""
        now = parse_moment(self._clock.now())
        with translate_errors(), self._engine.begin() as db:
            _one_change_at_a_time(db, self.project)
            held = _scheduler(db, self.project)
            if held is not None and held.holder != holder and not held.has_ended(now):
                return None
            fence = held.fence + (held.holder != holder) if held is not None else 1
            lease = SchedulerLease(holder=holder, fence=fence, until=until)
            row = {"holder": holder, "fence": fence, "until": moment_text(until)}
            if held is None:
                db.execute(scheduler_leases.insert().values(project=self.project, **row))
            else:
                db.execute(scheduler_leases.update().where(scheduler_leases.c.project == self.project).values(**row))
            return lease

    @retry_on_disconnect
    def release_scheduler(self, holder: str) -> None:
        """End the lease of the scheduler."""
        table = scheduler_leases
        mine = table.update().where(table.c.project == self.project, table.c.holder == holder)
        with translate_errors(), self._engine.begin() as db:
            db.execute(mine.values(until=self._clock.now()))

    @retry_on_disconnect
    def scheduler(self) -> SchedulerLease | None:
        """The lease of the scheduler."""
        with translate_errors(), self._reader.connect() as db:
            return _scheduler(db, self.project)

    def close(self) -> None:
        """Close connections."""
        self._threads.close()
        self._engine.dispose()

    def _reading_engine(self) -> sa.Engine:
        reader = self._engine.execution_options(reading=True)
        if self._engine.dialect.name == "postgresql":
            return reader.execution_options(isolation_level="REPEATABLE READ")
        return reader


def _scheduler(db: sa.Connection, project: str) -> SchedulerLease | None:
    table = scheduler_leases
    row = db.execute(sa.select(table).where(table.c.project == project)).mappings().first()
    if row is None:
        return None
    return SchedulerLease(holder=row["holder"], fence=row["fence"], until=parse_moment(row["until"]))


def _refuse_replaced(db: sa.Connection, project: str, fence: int) -> None:
    """Return if no other process has taken the lease of the scheduler since it had *fence*. Raises S103."""
    held = _scheduler(db, project)
    if held is not None and held.fence != fence:
        raise not_the_scheduler(fence, held.fence)


def _one_change_at_a_time(db: sa.Connection, project: str) -> None:
    """Let no other change of the project start until this transaction has ended; SQLite has one writer anyway."""
    if db.dialect.name == "postgresql":
        db.execute(sa.text("SELECT pg_advisory_xact_lock(7259305, hashtext(:name))"), {"name": project})
