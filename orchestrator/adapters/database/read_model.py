"""The read model: rows derived from the journal, written in the transaction of each entry, and rebuilt from it."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.adapters.database.read_tables import (
    FEED_CHANNEL,
    environment_summary,
    feed,
    host_list,
    release_in_environment,
    release_list,
    run_hosts,
    run_list,
    run_steps,
)
from orchestrator.adapters.database.tables import hosts, verified
from orchestrator.adapters.database.values import as_stored, decode
from orchestrator.domain.facts import RELEASING, had_effect
from orchestrator.domain.journal import LOCK_KINDS, Record, Run, Verified
from orchestrator.domain.plan import HostState
from orchestrator.domain.step import Outcome
from orchestrator.domain.story import seconds_between
from orchestrator.domain.text import first_line

Row = dict[str, Any]

GOOD = frozenset(outcome.value for outcome in Outcome if outcome.good)
LONGEST_MESSAGE = 300  # characters; the journal has all of it


class ReadModel:
    """What one transaction changes in the read model: collected record by record, and written at its end."""

    def __init__(self, db: sa.Connection, run: Run, number: int) -> None:
        self._db, self._project, self._number = db, project_of(db), number
        self._before = run
        self._records: list[Record] = []
        self._hosts: set[str] | None = set()  # None: all hosts of the environment

    def take(self, record: Record) -> None:
        """Add an entry that is written in this transaction."""
        self._records.append(as_stored(record) if record.kind.startswith("step.") else record)
        if record.kind == "host" and self._hosts is not None:
            self._hosts.add(record.host)
        if record.kind == "switched":
            self._hosts = None

    def write(self, run: Run) -> None:
        """Write what follows from the entries that were added. *run* is the run after them."""
        if not self._records:
            return
        _write_feed(self._db, self._project, run.environment, self._records)
        _write_steps(self._db, run.id, self._records)
        details = run_details(self._records)
        if run != self._before or details:
            row = run_row(as_stored(run), self._number, self._project) | details
            self._db.execute(run_list.update().where(run_list.c.number == self._number).values(**row))
        marks = {str(record.data["release"]["digest"]) for record in self._records if record.kind == "verified"}
        if run != self._before or marks or self._hosts is None or self._hosts:
            digests = marks | ({run.release.digest} if run.release is not None else set())
            _refresh(self._db, self._project, run.environment, digests, self._hosts)


def project_of(db: sa.Connection) -> str:
    """The project that the store was opened for."""
    return str(db.get_execution_options().get("project", ""))


def add_run(db: sa.Connection, run: Run, number: int) -> None:
    """Add a new run to the lists."""
    project = project_of(db)
    db.execute(run_list.insert().values(**run_row(run, number, project), exit=None, definition=None))
    digests = set()
    if run.release is not None:
        digests.add(run.release.digest)
        row = release_row(run, number, project)
        _upsert(db, release_list, [row], ("project", "digest"), {"last_number"})
    _refresh(db, project, run.environment, digests, set())


# -- rows --------------------------------------------------------------------------------------------------------------


def run_row(run: Run, number: int, project: str) -> Row:
    """The row of a run, without what only its entries have (:func:`run_details`)."""
    release = run.release
    has_times = bool(run.requested_at) and run.ended_at is not None
    return {
        "number": number,
        "project": project,
        "id": run.id,
        "root": run.root,
        "kind": run.kind,
        "environment": run.environment,
        "name": release.name if release else None,
        "version": release.version if release else None,
        "digest": release.digest if release else None,
        "by": run.by,
        "state": run.state.value,
        "control": run.control,
        "requested_at": run.requested_at,
        "ended_at": run.ended_at,
        "seconds": seconds_between(run.requested_at, str(run.ended_at)) if has_times else None,
        "message": first_line(run.message, LONGEST_MESSAGE),
        "has_effect": had_effect(run),
        "plan": run.plan,
        "project_definition": run.project_definition,
    }


def run_details(records: Iterable[Record]) -> Row:
    """The columns that the entries of a run add to its row: its exit code, and the definition that it applied last."""
    row: Row = {}
    for record in records:
        if record.kind == "ended" and isinstance(record.data.get("exit"), int):
            row["exit"] = record.data["exit"]
        if record.kind == "step.started" and isinstance(record.data.get("definition"), str):
            row["definition"] = record.data["definition"]
    return row


def release_row(run: Run, number: int, project: str) -> Row:
    """The row of the release of *run*, which is the first one for it."""
    release = run.release
    assert release is not None
    about = {"digest": release.digest, "name": release.name, "version": release.version}
    return {"project": project, **about, "number": number, "last_number": number}


def started_row(record: Record) -> Row:
    """The row of a step that was started."""
    return {
        "run": record.run,
        "name": record.step,
        "verb": str(record.data.get("verb", "")),
        "label": str(record.data.get("label", record.step)),
        "started_at": record.at,
        "finished_at": None,
        "outcome": None,
        "message": "",
        "code": None,
        "log": "",
        **dict.fromkeys(("hosts_ok", "hosts_bad", "hosts_unknown", "tests_ok", "tests_bad"), 0),
        "first_seq": record.seq,
        "last_seq": None,
    }


def finished_values(record: Record) -> Row:
    """The columns that the end of a step changes in its row."""
    result = record.data
    hosts_by, tests_by = (_outcomes(result.get(name)) for name in ("hosts", "tests"))
    unknown = hosts_by.count(Outcome.UNKNOWN.value)
    hosts_ok, tests_ok = (sum(outcome in GOOD for outcome in outcomes) for outcomes in (hosts_by, tests_by))
    return {
        "finished_at": record.at,
        "outcome": result.get("outcome"),
        "message": first_line(str(result.get("message", "")), LONGEST_MESSAGE),
        "code": (result.get("data") or {}).get("code"),
        "log": str(result.get("log", "")),
        "hosts_ok": hosts_ok,
        "hosts_unknown": unknown,
        "hosts_bad": len(hosts_by) - hosts_ok - unknown,
        "tests_ok": tests_ok,
        "tests_bad": len(tests_by) - tests_ok,
        "last_seq": record.seq,
    }


def _outcomes(results: Any) -> list[str]:
    return [str(result.get("outcome")) for result in results or ()]


def host_values(record: Record) -> list[Row]:
    """The columns that the start or the end of a step changes for each host, with those of the key."""
    key = {"run": record.run, "step": record.step}
    if record.kind == "step.started":
        verb, named = str(record.data.get("verb", "")), record.data.get("hosts")
        found = named if isinstance(named, list) else []
        return [{**key, "host": host, "verb": verb} for host in dict.fromkeys(map(str, found))]
    results = {str(result["host"]): result for result in record.data.get("hosts") or ()}
    return [
        {**key, "host": host, "outcome": result.get("outcome"), "touched": bool(result.get("touched"))}
        for host, result in results.items()
    ]


def host_row(state: HostState, environment: str, project: str) -> Row:
    """The row of a host of which *state* is known."""
    running = state.truth in {"seen", "assumed"} and state.digest is not None and state.runs(state.digest)
    return {
        "project": project,
        "environment": environment,
        "host": state.host,
        "truth": state.truth,
        "digest": state.digest,
        "is_running": running,
        "is_standby": state.is_standby,
    }


# -- writing -----------------------------------------------------------------------------------------------------------


def _write_feed(db: sa.Connection, project: str, environment: str, records: list[Record]) -> None:
    about = {"project": project, "environment": environment}
    rows = [{**about, "at": item.at, "run": item.run, "seq": item.seq, "kind": item.kind} for item in records]
    db.execute(feed.insert().inline(), rows)
    if db.dialect.name == "postgresql":
        db.execute(sa.select(sa.func.pg_notify(FEED_CHANNEL, "")))  # sent when the transaction commits


def _write_steps(db: sa.Connection, run: str, records: list[Record]) -> None:
    for record in records:
        if record.kind == "step.started":
            _upsert(db, run_steps, [started_row(record)], ("run", "name"))
        elif record.kind == "step.finished":
            mine = (run_steps.c.run == run) & (run_steps.c.name == record.step)
            db.execute(run_steps.update().where(mine).values(**finished_values(record)))
        else:
            continue
        if found := host_values(record):
            changed = {"verb"} if record.kind == "step.started" else {"outcome", "touched"}
            rows = [{"verb": "", "outcome": None, "touched": None, **row} for row in found]
            _upsert(db, run_hosts, rows, ("run", "step", "host"), changed)


def _refresh(
    db: sa.Connection, project: str, environment: str, digests: Iterable[str], changed: set[str] | None
) -> None:
    """Write the environment's row, those of its *changed* hosts (None: of all), and those of the releases concerned.

    The environment is locked first: its counts are those of one transaction after the other.
    """
    lock_environment(db, environment)
    concerned = {*digests, *_refresh_hosts(db, project, environment, changed)}
    for digest in sorted(concerned):
        _refresh_release(db, project, environment, digest)
    mark = _newest_mark(db, environment, None)
    acts = run_list.c.kind.not_in(LOCK_KINDS)
    summary = summary_row(mark, _newest_run(db, (run_list.c.environment == environment) & acts))
    summary |= _counts(db, environment, summary["digest"])
    key = {"project": project, "environment": environment}
    _upsert(db, environment_summary, [key | summary], tuple(key))


def lock_environment(db: sa.Connection, environment: str) -> None:
    """Let no other transaction write the rows of *environment* until this one has ended. SQLite has one writer."""
    if db.dialect.name == "postgresql":
        db.execute(sa.text("SELECT pg_advisory_xact_lock(7259304, hashtext(:name))"), {"name": environment})


def _refresh_hosts(db: sa.Connection, project: str, environment: str, changed: set[str] | None) -> set[str]:
    """Write the rows of the *changed* hosts. Returns the digests of the releases that they had and have."""
    if changed is not None and not changed:
        return set()
    old = host_list.c.environment == environment
    new = hosts.c.environment == environment
    if changed is not None:
        old, new = old & host_list.c.host.in_(changed), new & hosts.c.host.in_(changed)
    digests = set(db.execute(sa.select(host_list.c.digest).where(old)).scalars())
    db.execute(host_list.delete().where(old))
    found = [decode(HostState, data) for data in db.execute(sa.select(hosts.c.data).where(new)).scalars()]
    if rows := [host_row(state, environment, project) for state in found]:
        db.execute(host_list.insert(), rows)
    return {digest for digest in {*digests, *(state.digest for state in found)} if digest is not None}


def _refresh_release(db: sa.Connection, project: str, environment: str, digest: str) -> None:
    running = (host_list.c.environment == environment) & (host_list.c.digest == digest) & host_list.c.is_running
    on_hosts = db.execute(sa.select(sa.func.count()).select_from(host_list).where(running)).scalar() or 0
    standby = running & host_list.c.is_standby
    standby_hosts = db.execute(sa.select(sa.func.count()).select_from(host_list).where(standby)).scalar() or 0
    mine = (run_list.c.digest == digest) & (run_list.c.environment == environment) & run_list.c.has_effect
    mine &= run_list.c.kind.in_(RELEASING)
    row = place_row(on_hosts, standby_hosts, _newest_mark(db, environment, digest), _newest_run(db, mine))
    key = {"project": project, "digest": digest, "environment": environment}
    if row is not None:
        _upsert(db, release_in_environment, [key | row], tuple(key))
        return
    c = release_in_environment.c
    here = (c.project == project) & (c.digest == digest) & (c.environment == environment)
    db.execute(release_in_environment.delete().where(here))


def place_row(on_hosts: int, standby_hosts: int, mark: Verified | None, run: Row | None) -> Row | None:
    """A release in an environment, without its key; None if it has nothing to do with it."""
    if not on_hosts and mark is None and run is None:
        return None
    return {
        "on_hosts": on_hosts,
        "standby_hosts": standby_hosts,
        "verified_at": mark.at if mark else None,
        "verified_by_run": mark.run if mark else None,
        "run": run["id"] if run else None,
        "run_kind": run["kind"] if run else None,
        "run_state": run["state"] if run else None,
    }


def summary_row(mark: Verified | None, run: Row | None) -> Row:
    """The row of an environment, without its key and counts."""
    return {
        "digest": mark.release.digest if mark else None,
        "name": mark.release.name if mark else None,
        "version": mark.release.version if mark else None,
        "verified_at": mark.at if mark else None,
        "verified_by_run": mark.run if mark else None,
        "run": run["id"] if run else None,
        "run_kind": run["kind"] if run else None,
        "run_state": run["state"] if run else None,
        "run_at": run["requested_at"] if run else None,
    }


def _newest_mark(db: sa.Connection, environment: str, digest: str | None) -> Verified | None:
    query = sa.select(verified.c.data).where(verified.c.environment == environment)
    if digest is not None:
        query = query.where(verified.c.digest == digest)
    data = db.execute(query.order_by(verified.c.number.desc()).limit(1)).scalar()
    return decode(Verified, data) if data is not None else None


def _newest_run(db: sa.Connection, where: "sa.ColumnElement[bool]") -> Row | None:
    columns = (run_list.c.id, run_list.c.kind, run_list.c.state, run_list.c.requested_at)
    newest = sa.select(*columns).where(where).order_by(run_list.c.number.desc()).limit(1)
    row = db.execute(newest).mappings().first()
    return {str(name): value for name, value in row.items()} if row is not None else None


def _counts(db: sa.Connection, environment: str, digest: str | None) -> Row:
    on = host_list.c.is_running & (host_list.c.digest == digest)
    columns = (
        sa.func.count().label("hosts"),
        sa.func.count().filter(on).label("hosts_on"),
        sa.func.count().filter(host_list.c.truth == "unknown").label("hosts_unknown"),
    )
    query = sa.select(*columns).select_from(host_list).where(host_list.c.environment == environment)
    found: Row = {str(name): value for name, value in db.execute(query).mappings().one().items()}
    is_open = (run_list.c.environment == environment) & run_list.c.ended_at.is_(None)
    found["open_runs"] = db.execute(sa.select(sa.func.count()).select_from(run_list).where(is_open)).scalar() or 0
    return found


def _insert(db: sa.Connection, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    return postgresql.insert(table) if db.dialect.name == "postgresql" else sqlite.insert(table)


def _upsert(
    db: sa.Connection, table: sa.Table, rows: list[Row], key: tuple[str, ...], changed: Iterable[str] | None = None
) -> None:
    """Insert *rows*; of those that exist, write the columns *changed* (None: all but the key)."""
    names = set(rows[0]) - set(key) if changed is None else set(changed)
    insert = _insert(db, table)
    written = {name: insert.excluded[name] for name in sorted(names)}
    db.execute(insert.on_conflict_do_update(index_elements=list(key), set_=written), rows)
