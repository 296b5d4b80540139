"""The `Store` port on SQLAlchemy Core. Every method is one transaction; what is folded moves with its record."""

import socket
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from orchestrator.adapters.database.engine import guarded, open_database
from orchestrator.adapters.database.tables import fences, hosts, leases, records, runs, verified
from orchestrator.domain.journal import Entry, Lease, Record, Run, Verified, after_entry, busy, find
from orchestrator.domain.plan import HostState
from orchestrator.ports import Clock


class DatabaseStore:
    """The journal at *url* (`sqlite:///path` or `postgresql://…`)."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._engine = open_database(url)
        self._clock = clock

    def create(self, run: Run) -> None:
        """Write a run's first record."""
        with guarded(), self._engine.begin() as db:
            if db.execute(sa.select(runs.c.id).where(runs.c.id == run.id)).first() is None:
                number = (db.execute(sa.select(sa.func.max(runs.c.number))).scalar() or 0) + 1
                row = {"id": run.id, "number": number, "root": run.root, "environment": run.environment}
                db.execute(runs.insert().values(**row, last_seq=0, data=run.model_dump_json()))

    def append(self, run: str, entries: Iterable[Entry]) -> int:
        """Write entries in order; a key that is there already is left out."""
        with guarded(), self._engine.begin() as db:
            chosen = sa.select(runs.c.last_seq, runs.c.data).where(runs.c.id == run)
            row = db.execute(chosen.with_for_update()).one()
            seq, current = int(row.last_seq), Run.model_validate_json(row.data)
            for entry in entries:
                if entry.key is not None and _has_key(db, run, entry.key):
                    continue
                seq += 1
                at = self._clock.now()
                record = Record(**entry.model_dump(), run=run, seq=seq, at=at)
                db.execute(records.insert().values(run=run, seq=seq, key=entry.key, data=record.model_dump_json()))
                current = after_entry(current, entry, at)
                _fold(db, current, entry, at)
            changed = {"last_seq": seq, "data": current.model_dump_json()}
            db.execute(runs.update().where(runs.c.id == run).values(**changed))
            return seq

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The run's records with a higher seq than *after*."""
        query = sa.select(records.c.data).where(records.c.run == run, records.c.seq > after).order_by(records.c.seq)
        return [Record.model_validate_json(data) for data in self._read(query.limit(limit))]

    def run(self, run: str) -> Run:
        """The run with this id or beginning."""
        beginning = sa.select(runs.c.data).where(runs.c.id.startswith(run, autoescape=True)).order_by(runs.c.number)
        found = [Run.model_validate_json(data) for data in self._read(beginning.limit(20))]
        exact = self._read(sa.select(runs.c.data).where(runs.c.id == run))
        return find(run, Run.model_validate_json(exact[0]) if exact else None, found)

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        """Runs, newest first."""
        query = sa.select(runs.c.data).order_by(runs.c.number.desc()).limit(limit)
        if environment is not None:
            query = query.where(runs.c.environment == environment)
        return [Run.model_validate_json(data) for data in self._read(query)]

    def hosts(self, environment: str) -> list[HostState]:
        """What is known of each host."""
        query = sa.select(hosts.c.data).where(hosts.c.environment == environment).order_by(hosts.c.host)
        return [HostState.model_validate_json(data) for data in self._read(query)]

    def verified(self, environment: str) -> list[Verified]:
        """Releases whose tests passed there, newest first."""
        query = sa.select(verified.c.data).where(verified.c.environment == environment)
        return [Verified.model_validate_json(data) for data in self._read(query.order_by(verified.c.number.desc()))]

    def acquire(self, environment: str, holder: str, by: str, reason: str) -> Lease:
        """Take the environment's lease."""
        with guarded(), self._engine.begin() as db:
            fence = _next_fence(db, environment)
            row = db.execute(sa.select(leases.c.data).where(leases.c.environment == environment)).first()
            if row is not None:
                held = Lease.model_validate_json(row.data)
                if held.holder != holder:
                    raise busy(held)
                return held
            lease = Lease(
                environment=environment,
                holder=holder,
                fence=fence,
                by=by,
                reason=reason,
                since=self._clock.now(),
                host=socket.gethostname(),
            )
            row_data = {"environment": environment, "holder": holder, "data": lease.model_dump_json()}
            db.execute(leases.insert().values(**row_data))
            db.execute(fences.update().where(fences.c.environment == environment).values(fence=fence))
            return lease

    def release(self, environment: str, holder: str) -> None:
        """Give the lease back."""
        with guarded(), self._engine.begin() as db:
            db.execute(leases.delete().where(leases.c.environment == environment, leases.c.holder == holder))

    def lease(self, environment: str) -> Lease | None:
        """Who holds the environment."""
        found = self._read(sa.select(leases.c.data).where(leases.c.environment == environment))
        return Lease.model_validate_json(found[0]) if found else None

    def close(self) -> None:
        """Give connections back."""
        self._engine.dispose()

    def _read(self, query: "sa.Select[Any]") -> list[str]:
        with guarded(), self._engine.connect().execution_options(reading=True) as db:
            return [str(data) for data in db.execute(query).scalars()]


def _has_key(db: sa.Connection, run: str, key: str) -> bool:
    return db.execute(sa.select(records.c.seq).where(records.c.run == run, records.c.key == key)).first() is not None


def _next_fence(db: sa.Connection, environment: str) -> int:
    """The fence that a new holder would get. Locks the environment's row, so that one taker comes after the other."""
    if db.dialect.name == "postgresql":
        db.execute(sa.text("SELECT pg_advisory_xact_lock(7259302, hashtext(:name))"), {"name": environment})
    row = db.execute(sa.select(fences.c.fence).where(fences.c.environment == environment)).first()
    if row is None:
        db.execute(fences.insert().values(environment=environment, fence=0))
        return 1
    return int(row.fence) + 1


def _fold(db: sa.Connection, run: Run, entry: Entry, at: str) -> None:
    """Move what is folded from the journal, in the transaction of the entry itself."""
    if entry.kind == "host":
        state = HostState.from_json({**entry.data, "since": entry.data.get("since") or at})
        where = (hosts.c.environment == run.environment) & (hosts.c.host == entry.host)
        db.execute(hosts.delete().where(where))
        row = {"environment": run.environment, "host": entry.host, "data": state.model_dump_json()}
        db.execute(hosts.insert().values(**row))
    elif entry.kind == "verified":
        mark = Verified.from_json(entry.data)
        row = {"environment": run.environment, "digest": mark.release.digest, "data": mark.model_dump_json()}
        db.execute(verified.insert().values(**row))
