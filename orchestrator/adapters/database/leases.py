"""The leases and queues of environments, on SQLAlchemy Core. Every method is one transaction."""

import socket

import sqlalchemy as sa

from orchestrator.adapters.database.engine import retry_on_disconnect, translate_errors
from orchestrator.adapters.database.tables import fences, leases, queue_entries, queued_requests, runs
from orchestrator.adapters.database.values import decode
from orchestrator.domain.fencing import HIGHEST
from orchestrator.domain.journal import (
    Lease,
    QueueEntry,
    Run,
    busy,
    is_past,
    queued,
    replaced,
)
from orchestrator.ports import Clock


class DatabaseLeases:
    """Leases, fences and queues, through the engine of the store."""

    _engine: sa.Engine
    _clock: Clock

    @retry_on_disconnect
    def acquire(
        self, environment: str, holder: str, by: str, reason: str, *, worker: str = "", until: str | None = None
    ) -> Lease:
        """Take the environment's lease."""
        with translate_errors(), self._engine.begin() as db:
            return self._acquire(db, environment, holder, by, reason, worker=worker, until=until)

    def _acquire(
        self,
        db: sa.Connection,
        environment: str,
        holder: str,
        by: str,
        reason: str,
        *,
        worker: str = "",
        until: str | None = None,
    ) -> Lease:
        fence, now = _next_fence(db, environment), self._clock.now()
        if worker:
            _refuse_taken_over(db, holder, worker)
        held = _lease(db, environment, now)
        if held is not None and held.holder != holder:
            raise busy(held, now)
        mine = queue_entries.delete().where(queue_entries.c.environment == environment, queue_entries.c.run == holder)
        if held is not None and held.worker == worker and held.fence >= fence - 1:
            db.execute(mine)  # its process died before it had written down that it holds, and waited again
            return held
        ahead = next((wait for wait in _queue(db, environment) if wait.superseded_by is None), None)
        if held is None and ahead is not None and ahead.run != holder:
            raise queued(ahead, now)
        lease = Lease(
            environment=environment,
            holder=holder,
            fence=fence,
            by=by,
            reason=reason,
            since=held.since if held else now,
            host=socket.gethostname(),
            worker=worker,
            until=until,
        )
        db.execute(mine)
        _keep_lease(db, lease)
        return lease

    def _end_lock(self, db: sa.Connection, environment: str) -> Lease | None:
        """Remove the lock of *environment*. Returns it; None if there was none. Raises S101."""
        _next_fence(db, environment)  # no other process takes it over before the commit
        held = _lease(db, environment, self._clock.now())
        if held is None:
            return None
        if not held.locked:
            raise busy(held, self._clock.now())
        db.execute(leases.delete().where(leases.c.environment == environment))
        return held

    @retry_on_disconnect
    def release(self, environment: str, holder: str, worker: str | None = None) -> None:
        """Release the lease."""
        with translate_errors(), self._engine.begin() as db:
            _next_fence(db, environment)  # no other process takes it over before the commit
            held = _lease(db, environment, self._clock.now())
            if held is not None and held.holder == holder and worker in {None, held.worker}:
                db.execute(leases.delete().where(leases.c.environment == environment))

    @retry_on_disconnect
    def newest_fence(self, environment: str) -> int:
        """The newest fence that was given out."""
        with translate_errors(), self._engine.connect().execution_options(reading=True) as db:
            query = sa.select(fences.c.fence).where(fences.c.environment == environment)
            return int(db.execute(query).scalar() or 0)

    @retry_on_disconnect
    def raise_fence(self, environment: str, fence: int) -> None:
        """Ensure that every later fence is higher."""
        fence = min(fence, HIGHEST)
        with translate_errors(), self._engine.begin() as db:
            _next_fence(db, environment)
            lower = (fences.c.environment == environment) & (fences.c.fence < fence)
            db.execute(fences.update().where(lower).values(fence=fence))

    @retry_on_disconnect
    def enqueue(self, environment: str, run: Run, *, supersede: bool, worker: str = "") -> QueueEntry:
        """Wait for the environment."""
        with translate_errors(), self._engine.begin() as db:
            _next_fence(db, environment)  # one taker after the other, here too
            if worker:
                _refuse_taken_over(db, run.id, worker)
            waiting = _queue(db, environment)
            there = next((wait for wait in waiting if wait.run == run.id), None)
            if there is not None:
                return there
            one_at_a_time(db)
            number = (db.execute(sa.select(sa.func.max(queue_entries.c.number))).scalar() or 0) + 1
            mine = QueueEntry(
                environment=environment,
                run=run.id,
                number=number,
                by=run.by,
                release=run.release,
                since=self._clock.now(),
            )
            db.execute(
                queue_entries.insert().values(
                    number=number, environment=environment, run=run.id, data=mine.model_dump_json()
                )
            )
            for wait in waiting if supersede else ():
                if _same_thing(wait, mine) and wait.superseded_by is None:
                    changed = wait.model_copy(update={"superseded_by": run.id})
                    db.execute(
                        queue_entries.update()
                        .where(queue_entries.c.number == wait.number)
                        .values(data=changed.model_dump_json())
                    )
            return mine

    @retry_on_disconnect
    def dequeue(self, environment: str, run: str) -> None:
        """Wait no longer."""
        with translate_errors(), self._engine.begin() as db:
            db.execute(
                queue_entries.delete().where(queue_entries.c.environment == environment, queue_entries.c.run == run)
            )


def one_at_a_time(db: sa.Connection) -> None:
    """Let no other process assign numbers until this transaction has ended; SQLite has one writer anyway."""
    if db.dialect.name == "postgresql":
        db.execute(sa.text("SELECT pg_advisory_xact_lock(7259303)"))


def _lease(db: sa.Connection, environment: str, now: str) -> Lease | None:
    """Who holds the environment at the time *now*."""
    row = db.execute(sa.select(leases.c.data).where(leases.c.environment == environment)).first()
    held = decode(Lease, row.data) if row is not None else None
    return None if held is None or (held.until is not None and is_past(held.until, now)) else held


def _keep_lease(db: sa.Connection, lease: Lease) -> None:
    db.execute(leases.delete().where(leases.c.environment == lease.environment))
    row = {"environment": lease.environment, "holder": lease.holder, "data": lease.model_dump_json()}
    db.execute(leases.insert().values(**row))
    db.execute(fences.update().where(fences.c.environment == lease.environment).values(fence=lease.fence))


def _queue(db: sa.Connection, environment: str) -> list[QueueEntry]:
    query = (
        sa.select(queue_entries.c.data)
        .where(queue_entries.c.environment == environment)
        .order_by(queue_entries.c.number)
    )
    return [decode(QueueEntry, row.data) for row in db.execute(query)]


def _same_thing(one: QueueEntry, other: QueueEntry) -> bool:
    """Whether two who wait bring releases of the same name."""
    return one.release is not None and other.release is not None and one.release.name == other.release.name


def _refuse_taken_over(db: sa.Connection, run: str, worker: str) -> None:
    """Raise S103 unless *worker* is the one who works on what *run* belongs to."""
    query = (
        sa.select(queued_requests.c.worker).join(runs, runs.c.root == queued_requests.c.root).where(runs.c.id == run)
    )
    row = db.execute(query.with_for_update(read=True, of=queued_requests)).first()
    if row is None or row.worker != worker:
        raise replaced(run, worker)


def _next_fence(db: sa.Connection, environment: str) -> int:
    """The fence that a new holder would get. Locks the environment's row, so that one taker comes after the other."""
    if db.dialect.name == "postgresql":
        db.execute(sa.text("SELECT pg_advisory_xact_lock(7259302, hashtext(:name))"), {"name": environment})
    row = db.execute(sa.select(fences.c.fence).where(fences.c.environment == environment)).first()
    if row is None:
        db.execute(fences.insert().values(environment=environment, fence=0))
        return 1
    return int(row.fence) + 1
