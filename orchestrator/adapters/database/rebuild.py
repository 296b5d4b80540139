"""The read model built again from the journal, in one transaction."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from orchestrator.adapters.database.read_model import (
    Row,
    finished_values,
    host_row,
    host_values,
    place_row,
    release_row,
    run_details,
    run_row,
    started_row,
    summary_row,
)
from orchestrator.adapters.database.read_tables import (
    REBUILT,
    environment_summary,
    feed,
    host_list,
    release_in_environment,
    release_list,
    run_hosts,
    run_list,
    run_steps,
)
from orchestrator.adapters.database.tables import hosts, records, runs, verified
from orchestrator.adapters.database.values import decode
from orchestrator.domain.facts import RELEASING
from orchestrator.domain.journal import LOCK_KINDS, Record, Run, Verified
from orchestrator.domain.plan import HostState

KINDS = ("step.started", "step.finished", "ended")
"""The entries that rows of the read model are made of, besides those that the store folds itself."""
BATCH = 500  # runs


def rebuild(db: sa.Connection) -> None:
    """Write every table of the read model again, from the journal and from what is folded from it.

    The feed stays, because readers keep places in it. On Postgres, rows that came with a backup of another server are
    settled: transaction ids of that server mean nothing here.
    """
    if db.dialect.name == "postgresql":
        db.execute(sa.text("LOCK TABLE runs, records, hosts, verified IN SHARE ROW EXCLUSIVE MODE"))
        db.execute(sa.text(f"UPDATE {feed.name} SET tx = '0' WHERE tx >= pg_snapshot_xmax(pg_current_snapshot())"))  # noqa: S608
    for table in REBUILT:
        db.execute(table.delete())
    environments = _Environments()
    releases: dict[tuple[str, str], Row] = {}
    for batch in _batches(db):
        rows = [_rebuild_run(environments, releases, *item) for item in batch]
        _insert(db, run_list, [row for row, _, _ in rows])
        _insert(db, run_steps, [step for _, steps, _ in rows for step in steps])
        _insert(db, run_hosts, [host for _, _, found in rows for host in found])
    _insert(db, release_list, list(releases.values()))
    environments.write(db)


Numbered = tuple[Run, int, str, list[Record]]


def _batches(db: sa.Connection) -> Iterator[list[Numbered]]:
    """The runs in the order of their numbers, each with its number, its project, and its entries of *KINDS*."""
    last = 0
    while True:
        query = sa.select(runs.c.number, runs.c.project, runs.c.data).where(runs.c.number > last)
        found = db.execute(query.order_by(runs.c.number).limit(BATCH)).all()
        if not found:
            return
        last = int(found[-1].number)
        numbered = [(decode(Run, row.data), int(row.number), str(row.project)) for row in found]
        entries = _entries(db, [run.id for run, _, _ in numbered])
        yield [(run, number, project, entries.get(run.id, [])) for run, number, project in numbered]


def _entries(db: sa.Connection, ids: list[str]) -> dict[str, list[Record]]:
    kind = (
        sa.cast(records.c.data, sa.JSON)["kind"].as_string()
        if db.dialect.name == "postgresql"
        else sa.func.json_extract(records.c.data, "$.kind")
    )
    query = sa.select(records.c.data).where(records.c.run.in_(ids), kind.in_(KINDS))
    found = (decode(Record, data) for data in db.execute(query.order_by(records.c.run, records.c.seq)).scalars())
    return {run: list(items) for run, items in itertools.groupby(found, lambda record: record.run)}


def _rebuild_run(
    environments: "_Environments",
    releases: dict[tuple[str, str], Row],
    run: Run,
    number: int,
    project: str,
    entries: list[Record],
) -> tuple[Row, list[Row], list[Row]]:
    """The row of a run, those of its steps, and those of the hosts of its steps."""
    row = {"exit": None, "definition": None, **run_row(run, number, project), **run_details(entries)}
    environments.add_run(row)
    if run.release is not None:
        mine = release_row(run, number, project)
        releases.setdefault((project, run.release.digest), mine)["last_number"] = number
    steps: dict[str, Row] = {}
    found: dict[tuple[str, str], Row] = {}
    for record in entries:
        if record.kind == "step.started":
            steps[record.step] = started_row(record)
        elif record.kind == "step.finished" and record.step in steps:
            steps[record.step].update(finished_values(record))
        for values in host_values(record) if record.kind != "ended" else ():
            key = (record.step, str(values["host"]))
            found.setdefault(key, {"verb": "", "outcome": None, "touched": None}).update(values)
    return row, list(steps.values()), list(found.values())


class _Environments:
    """Makes the rows of environments from their runs, which are added oldest first."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], Row] = {}
        self._open: Counter[tuple[str, str]] = Counter()
        self._by_digest: dict[tuple[str, str, str], Row] = {}

    def add_run(self, row: Row) -> None:
        """Add the row of a run."""
        key = (row["project"], row["environment"])
        if row["kind"] not in LOCK_KINDS:
            self._newest[key] = row
        self._open[key] += row["ended_at"] is None
        if row["digest"] is not None and row["has_effect"] and row["kind"] in RELEASING:
            self._by_digest[*key, row["digest"]] = row

    def write(self, db: sa.Connection) -> None:
        """Write the rows of hosts, of environments, and of releases in environments."""
        states = [((project, environment), decode(HostState, data)) for project, environment, data in _all(db, hosts)]
        host_rows = [host_row(state, environment, project) for (project, environment), state in states]
        marks: dict[tuple[str, str], Verified] = {}
        marks_by_digest: dict[tuple[str, str, str], Verified] = {}
        for project, environment, data in _all(db, verified):
            mark = decode(Verified, data)
            marks[project, environment] = marks_by_digest[project, environment, mark.release.digest] = mark
        places = self._places(host_rows, marks_by_digest)
        summaries = self._summaries(host_rows, marks)
        for table, rows in ((host_list, host_rows), (release_in_environment, places), (environment_summary, summaries)):
            _insert(db, table, rows)

    def _places(self, host_rows: list[Row], marks: dict[tuple[str, str, str], Verified]) -> list[Row]:
        running = [row for row in host_rows if row["is_running"]]
        on_hosts = Counter((row["project"], row["environment"], row["digest"]) for row in running)
        standby = Counter((row["project"], row["environment"], row["digest"]) for row in running if row["is_standby"])
        found = []
        for key in dict.fromkeys([*self._by_digest, *marks, *on_hosts]):
            row = place_row(on_hosts[key], standby[key], marks.get(key), self._by_digest.get(key))
            project, environment, digest = key
            found.append({"project": project, "environment": environment, "digest": digest, **(row or {})})
        return found

    def _summaries(self, host_rows: list[Row], marks: dict[tuple[str, str], Verified]) -> list[Row]:
        by_key: dict[tuple[str, str], list[Row]] = {}
        for host in host_rows:
            by_key.setdefault((host["project"], host["environment"]), []).append(host)
        found = []
        for key in dict.fromkeys([*self._open, *marks, *by_key]):
            project, environment = key
            row = summary_row(marks.get(key), self._newest.get(key))
            mine = by_key.get(key, [])
            on = [host for host in mine if host["is_running"] and host["digest"] == row["digest"]]
            unknown = [host for host in mine if host["truth"] == "unknown"]
            counts = {
                "hosts": len(mine),
                "hosts_on": len(on),
                "hosts_unknown": len(unknown),
                "open_runs": self._open[key],
            }
            found.append({"project": project, "environment": environment, **row, **counts})
        return found


def _all(db: sa.Connection, table: sa.Table) -> Iterable[Any]:
    columns = (table.c.project, table.c.environment, table.c.data)
    order = table.c.number if "number" in table.c else table.c.host
    return db.execute(sa.select(*columns).order_by(order)).all()


def _insert(db: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    if rows:
        db.execute(table.insert(), rows)
