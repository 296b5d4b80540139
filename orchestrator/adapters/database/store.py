"""The `Store` port on SQLAlchemy Core. Every method is one transaction; what is folded moves with its record."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from orchestrator.adapters.database.engine import (
    open_database,
    require_schema,
    retry_on_disconnect,
    translate_errors,
    with_keys,
)
from orchestrator.adapters.database.leases import DatabaseLeases, one_at_a_time
from orchestrator.adapters.database.list_queries import beginning_query
from orchestrator.adapters.database.lists import DatabaseLists
from orchestrator.adapters.database.read_model import ReadModel, add_run, lock_environment
from orchestrator.adapters.database.read_tables import run_list
from orchestrator.adapters.database.tables import fences, hosts, queued_requests, records, runs, verified
from orchestrator.adapters.database.takeable import FeedNews, Pulse
from orchestrator.adapters.database.thread_connections import ThreadConnections
from orchestrator.adapters.database.values import decode
from orchestrator.domain.journal import (
    LOCK_KINDS,
    Entry,
    Lease,
    QueuedRequest,
    Record,
    Run,
    Verified,
    add_seconds,
    after_entry,
    find_run,
    run_not_found,
    stale,
    taken,
)
from orchestrator.domain.listing import RunFigures, StoreFigures
from orchestrator.domain.locks import UNLOCKED, lock_holder, locked_entries, recorded_lock, unlocked_entries
from orchestrator.domain.plan import HostState, after_switch
from orchestrator.ports import Clock

SIZE_QUERIES: "dict[str, sa.Select[Any]]" = {
    "postgresql": sa.select(sa.func.pg_database_size(sa.func.current_database())),
    "sqlite": sa.select(sa.literal_column("page_count * page_size")).select_from(
        sa.text("pragma_page_count(), pragma_page_size()")
    ),
}
"""The query for the size of a database, for each dialect."""
OF_RUN = records.c.run == sa.bindparam("run")
RECORDS = sa.select(records.c.data).where(OF_RUN, records.c.seq > sa.bindparam("after")).order_by(records.c.seq)
SOME_RECORDS = RECORDS.limit(sa.bindparam("most"))
ENTRY = sa.select(records.c.data).where(OF_RUN, records.c.key == sa.bindparam("key"))
HAS_ENTRY = sa.select(records.c.seq).where(OF_RUN, records.c.key == sa.bindparam("key"))
RUN = sa.select(runs.c.data).where(runs.c.id == sa.bindparam("run"))
WORK = sa.select(queued_requests.c.data).where(queued_requests.c.root == sa.bindparam("root"))
HOSTS = sa.select(hosts.c.data).where(hosts.c.environment == sa.bindparam("environment")).order_by(hosts.c.host)
"""The queries that pages do most often. To make one takes longer than to execute it."""


class DatabaseStore(DatabaseLists, DatabaseLeases):
    """The journal at *url* (`sqlite:///path` or `postgresql://…`) of *project*."""

    def __init__(self, url: str, clock: Clock, project: str = "") -> None:
        self._engine = open_database(url).execution_options(project=project)
        self._clock, self._threads = clock, ThreadConnections(self._engine)
        self._pulse, self._feed_news = Pulse(self._engine), FeedNews(self._engine)

    @retry_on_disconnect
    def create(self, run: Run) -> None:
        """Write a run's first record."""
        with translate_errors(), self._engine.begin() as db:
            _create(db, run)

    def append(self, run: str, entries: Iterable[Entry], fence: int = 0) -> int:
        """Write entries in order. An entry whose key exists is left out."""
        return self._write(run, with_keys(entries), fence)

    @retry_on_disconnect
    def _write(self, run: str, keyed: list[tuple[str, Entry]], fence: int) -> int:
        with translate_errors(), self._engine.begin() as db:
            return self._append(db, run, keyed, fence)

    def _append(self, db: sa.Connection, run: str, keyed: list[tuple[str, Entry]], fence: int) -> int:
        chosen = sa.select(runs.c.number, runs.c.last_seq, runs.c.data).where(runs.c.id == run)
        row = db.execute(chosen.with_for_update()).one()
        seq, current = int(row.last_seq), decode(Run, row.data)
        lists = ReadModel(db, current, int(row.number))
        for key, entry in keyed:
            if _has_key(db, run, key):
                continue
            if fence:
                _refuse_older(db, current.environment, fence)
            seq += 1
            at = self._clock.now()
            record = Record(**entry.model_dump(), run=run, seq=seq, at=at)
            db.execute(records.insert().values(run=run, seq=seq, key=key, data=record.model_dump_json()))
            current = after_entry(current, entry, at)
            _fold(db, current, entry, at)
            lists.take(record)
        if seq != row.last_seq:
            changed = {"last_seq": seq, "data": current.model_dump_json()}
            db.execute(runs.update().where(runs.c.id == run).values(**changed))
        lists.write(current)
        return seq

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The run's records with a higher seq than *after*."""
        if limit is None:
            return [decode(Record, data) for data in self._read(RECORDS, {"run": run, "after": after})]
        values = {"run": run, "after": after, "most": limit}
        return [decode(Record, data) for data in self._read(SOME_RECORDS, values)]

    def has_entry(self, run: str, key: str) -> bool:
        """Whether an entry with this key has been written."""
        return bool(self._read(HAS_ENTRY, {"run": run, "key": key}))

    def entry(self, run: str, key: str) -> Record | None:
        """The entry of *run* with this key."""
        found = self._read(ENTRY, {"run": run, "key": key})
        return decode(Record, found[0]) if found else None

    def run(self, run: str) -> Run:
        """The run with this id, or the only one whose id starts with it."""
        exact = self._read(RUN, {"run": run})
        if exact:
            return decode(Run, exact[0])
        found = [decode(Run, data) for data in self._read(beginning_query(self._engine.dialect.name, run).limit(20))]
        return find_run(run, None, found)

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        """Runs, newest first."""
        query = sa.select(runs.c.data).join(run_list, run_list.c.number == runs.c.number)
        query = query.where(run_list.c.kind.not_in(LOCK_KINDS)).order_by(runs.c.number.desc()).limit(limit)
        if environment is not None:
            query = query.where(runs.c.environment == environment)
        return [decode(Run, data) for data in self._read(query)]

    def hosts(self, environment: str) -> list[HostState]:
        """The recorded state of each host, by name."""
        return [decode(HostState, data) for data in self._read(HOSTS, {"environment": environment})]

    def verified(self, environment: str, digest: str | None = None, limit: int | None = None) -> list[Verified]:
        """Releases whose tests passed there, newest first."""
        query = sa.select(verified.c.data).where(verified.c.environment == environment).limit(limit)
        if digest is not None:
            query = query.where(verified.c.digest == digest)
        return [decode(Verified, data) for data in self._read(query.order_by(verified.c.number.desc()))]

    # -- locks ---------------------------------------------------------------------------------------------------------

    @retry_on_disconnect
    def lock(self, run: Run, why: str, until: str | None = None) -> Lease:
        """Lock the environment of *run*, which records it."""
        with translate_errors(), self._engine.begin() as db:
            lease = self._acquire(db, run.environment, lock_holder(run), run.by, why, until=until)
            _create(db, run)
            self._append(db, run.id, with_keys(locked_entries(lease)), 0)
            return lease

    @retry_on_disconnect
    def unlock(self, run: Run, why: str) -> Lease | None:
        """Remove the lock of the environment of *run*, which records it."""
        with translate_errors(), self._engine.begin() as db:
            held = self._end_lock(db, run.environment)
            if held is None:  # an earlier attempt of this call has removed it, if it is recorded
                removed = sa.select(records.c.data).where(records.c.run == run.id, records.c.key == UNLOCKED)
                data = db.execute(removed).scalar()
                return recorded_lock(decode(Record, data)) if data is not None else None
            _create(db, run)
            self._append(db, run.id, with_keys(unlocked_entries(held, run.by, why)), 0)
            return held

    # -- requests and their workers -----------------------------------------------------------------------------------

    @retry_on_disconnect
    def submit(self, work: QueuedRequest, run: Run) -> bool:
        """Record a request with its first run."""
        with translate_errors(), self._engine.begin() as db:
            asked = sa.select(queued_requests.c.data).where(queued_requests.c.root == work.root)
            if db.execute(asked).first() is None:
                lock_environment(db, run.environment)  # who waits for it must not keep numbers from all others
            one_at_a_time(db)
            there = db.execute(asked).scalar()
            if there is not None and decode(QueuedRequest, there).request != work.request:
                return False
            if there is None:
                number = (db.execute(sa.select(sa.func.max(queued_requests.c.number))).scalar() or 0) + 1
                row = {"root": work.root, "number": number, "done": work.done, "worker": work.worker}
                db.execute(queued_requests.insert().values(**row, data=work.model_dump_json()))
            _create(db, run)
            self._append(db, run.id, with_keys([Entry(kind="requested", data=work.request, key="requested")]), 0)
            return True

    def work(self, root: str) -> QueuedRequest:
        """The request with this *root*."""
        found = self._read(WORK, {"root": root})
        if not found:
            raise run_not_found(root)
        return decode(QueuedRequest, found[0])

    @retry_on_disconnect
    def require_schema(self) -> None:
        """Return if the journal has the schema of this program. Raises S115."""
        with translate_errors(), self._engine.connect().execution_options(reading=True) as db:
            require_schema(db)

    def news(self) -> bool:
        """Whether anything may have been written since the last call."""
        return self._pulse.beats()

    def wait_for_entries(self, seconds: float) -> None:
        """Return when the feed may have new entries, at the latest after so many *seconds*."""
        self._feed_news.wait(seconds)

    @retry_on_disconnect
    def claim(self, root: str, worker: str, host: str, ttl: float, *, dead: bool = False) -> QueuedRequest:
        """Work on it."""
        with translate_errors(), self._engine.begin() as db:
            work, now = _locked_request(db, root), self._clock.now()
            if work.worker != worker and work.is_claimed(now) and not dead:
                raise taken(work)
            other = work.worker != worker
            mine = {
                "worker": worker,
                "host": host,
                "since": now if other else work.since,
                "until": add_seconds(now, ttl),
            }
            return _keep(db, work.model_copy(update={**mine, "epoch": work.epoch + other}))

    def renew(self, worker: str, ttl: float) -> list[str]:
        """Renew the claims of *worker*."""
        with translate_errors(), self._engine.begin() as db:
            until = add_seconds(self._clock.now(), ttl)
            query = sa.select(queued_requests.c.data).where(
                queued_requests.c.worker == worker, queued_requests.c.done.is_(False)
            )
            found = [decode(QueuedRequest, row.data) for row in db.execute(query.with_for_update())]
            for work in found:
                _keep(db, work.model_copy(update={"until": until}))
            return [work.root for work in found]

    @retry_on_disconnect
    def release_claim(self, root: str, worker: str, *, done: bool) -> None:
        """Work on it no longer."""
        with translate_errors(), self._engine.begin() as db:
            query = sa.select(queued_requests.c.data).where(
                queued_requests.c.root == root, queued_requests.c.worker == worker
            )
            row = db.execute(query.with_for_update()).first()
            if row is not None:
                work = decode(QueuedRequest, row.data)
                _keep(db, work.model_copy(update={"worker": "", "until": None, "done": done}))

    @retry_on_disconnect
    def transfer(self, root: str, queue: str) -> bool:
        """Leave it to the workers of *queue*."""
        with translate_errors(), self._engine.begin() as db:
            work = _locked_request(db, root)
            if work.done or work.queue:
                return False
            _keep(db, work.model_copy(update={"queue": queue}))
            return True

    def figures(self) -> StoreFigures:
        """What monitoring reads."""
        c = run_list.c
        query = sa.select(c.kind, c.state, sa.func.count().label("runs"), sa.func.sum(c.seconds).label("seconds"))
        rows = self._rows(query.where(c.kind.not_in(LOCK_KINDS)).group_by(c.kind, c.state))
        runs = [RunFigures(kind=r.kind, state=r.state, number=r.runs, seconds=r.seconds or 0.0) for r in rows]
        size = SIZE_QUERIES[self._engine.dialect.name]
        return StoreFigures(runs=tuple(runs), size_bytes=int(self._rows(size)[0][0]))

    def close(self) -> None:
        """Close the connections."""
        self._pulse.close()
        self._feed_news.close()
        self._threads.close()
        self._engine.dispose()

    @retry_on_disconnect
    def _rows(self, query: "sa.Select[Any]", values: Mapping[str, Any] | None = None) -> "Sequence[sa.Row[Any]]":
        with translate_errors():
            return self._threads.rows(query, values)

    @retry_on_disconnect
    def _read(self, query: "sa.Select[Any]", values: Mapping[str, Any] | None = None) -> list[str]:
        with translate_errors():
            return [str(row[0]) for row in self._threads.rows(query, values)]


def _locked_request(db: sa.Connection, root: str) -> QueuedRequest:
    """The request *root*, which no other transaction changes until this one has ended. Raises R101."""
    query = sa.select(queued_requests.c.data).where(queued_requests.c.root == root)
    row = db.execute(query.with_for_update()).first()
    if row is None:
        raise run_not_found(root)
    return decode(QueuedRequest, row.data)


def _create(db: sa.Connection, run: Run) -> None:
    if db.execute(sa.select(runs.c.id).where(runs.c.id == run.id)).first() is None:
        lock_environment(db, run.environment)
        one_at_a_time(db)
        number = (db.execute(sa.select(sa.func.max(runs.c.number))).scalar() or 0) + 1
        row = {"id": run.id, "number": number, "root": run.root, "environment": run.environment}
        db.execute(runs.insert().values(**row, last_seq=0, data=run.model_dump_json()))
        add_run(db, run, number)


def _keep(db: sa.Connection, work: QueuedRequest) -> QueuedRequest:
    changed = {"worker": work.worker, "done": work.done, "data": work.model_dump_json()}
    db.execute(queued_requests.update().where(queued_requests.c.root == work.root).values(**changed))
    return work


def _refuse_older(db: sa.Connection, environment: str, fence: int) -> None:
    """Raise S103 when the environment has seen a higher fence than *fence*; none can rise until this is written."""
    query = sa.select(fences.c.fence).where(fences.c.environment == environment)
    row = db.execute(query.with_for_update(read=True)).first()
    if row is not None and int(row.fence) > fence:
        raise stale(environment, fence, int(row.fence))


def _has_key(db: sa.Connection, run: str, key: str) -> bool:
    return db.execute(sa.select(records.c.seq).where(records.c.run == run, records.c.key == key)).first() is not None


def _fold(db: sa.Connection, run: Run, entry: Entry, at: str) -> None:
    """Move what is folded from the journal, in the transaction of the entry itself."""
    if entry.kind == "host":
        state = HostState.from_json({**entry.data, "since": entry.data.get("since") or at})
        before = next(iter(_hosts(db, run.environment, entry.host)), None)
        _keep_host(db, run.environment, state.on_side_of(before))
    elif entry.kind == "switched":
        for state in after_switch(_hosts(db, run.environment), entry.data, at):
            _keep_host(db, run.environment, state)
    elif entry.kind == "verified":
        mark = Verified.from_json(entry.data)
        row = {"environment": run.environment, "digest": mark.release.digest, "data": mark.model_dump_json()}
        db.execute(verified.insert().values(**row))


def _hosts(db: sa.Connection, environment: str, host: str | None = None) -> list[HostState]:
    query = sa.select(hosts.c.data).where(hosts.c.environment == environment).order_by(hosts.c.host)
    chosen = query if host is None else query.where(hosts.c.host == host)
    return [decode(HostState, data) for data in db.execute(chosen).scalars()]


def _keep_host(db: sa.Connection, environment: str, state: HostState) -> None:
    """Replace the recorded state of a host; that of a host that is gone is removed."""
    db.execute(hosts.delete().where((hosts.c.environment == environment) & (hosts.c.host == state.host)))
    if state.truth != "gone":
        row = {"environment": environment, "host": state.host, "data": state.model_dump_json()}
        db.execute(hosts.insert().values(**row))
