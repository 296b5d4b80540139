"""How SQLite executes the queries of the lists of the store and of the register, and that nothing reads every run."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

import orchestrator
from orchestrator.adapters.audit_head import HeadFile
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.read_tables import ALL_TABLES
from orchestrator.adapters.database.register import DatabaseRegister
from orchestrator.adapters.database.sign_ins import DatabaseSignIns
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.domain.listing import ReleaseFilter, RunFilter
from orchestrator.domain.promotion import State
from orchestrator.domain.register import ENDED, KINDS, OPEN, REQUESTS, RecordKind
from orchestrator.management.kinds import MANAGEMENT_KINDS
from orchestrator.ports.lists import runs_of_request
from orchestrator.register_ports import Records
from tests.campaigns.scale import Size, fill, names, run_of

SIZE = Size(environments=4, runs=200)
RUN = run_of(20, SIZE)
DIGEST = RUN.release.digest if RUN.release else ""
NAMES = tuple(names(SIZE))

T = TypeVar("T", DatabaseStore, DatabaseRegister, DatabaseSignIns)

LISTS: dict[str, Callable[[DatabaseStore], Any]] = {
    "runs": lambda store: store.list_runs(),
    "runs after a cursor": lambda store: store.list_runs(cursor="50"),
    "runs of an environment": lambda store: store.list_runs(RunFilter(environment=NAMES[0]), cursor="50"),
    "runs of a request": lambda store: runs_of_request(store, RUN.root),
    "runs of a release": lambda store: store.list_runs(RunFilter(digest=DIGEST)),
    "runs of a name": lambda store: store.list_runs(RunFilter(name="shop0"), cursor="50"),
    "runs in a state": lambda store: store.list_runs(RunFilter(states=(State.ROLLED_BACK,)), cursor="50"),
    "runs of a kind": lambda store: store.list_runs(RunFilter(kinds=("rollback",))),
    "runs of a project definition": lambda store: store.list_runs(RunFilter(project_definition=DIGEST), cursor="50"),
    "runs of a plan": lambda store: store.list_runs(RunFilter(plan="sha256:0"), limit=1),
    "the oldest runs after a cursor": lambda store: store.list_runs(oldest_first=True, cursor="50"),
    "the oldest runs of an environment": lambda store: store.list_runs(
        RunFilter(environment=NAMES[0]), oldest_first=True, cursor="50"
    ),
    "the oldest runs in a state": lambda store: store.list_runs(
        RunFilter(states=(State.ROLLED_BACK,)), oldest_first=True, cursor="50"
    ),
    "the number of runs": lambda store: store.count_runs(RunFilter(environment=NAMES[0], name="shop0")),
    "what was verified last": lambda store: store.verified(NAMES[0], limit=1),
    "when a release was verified": lambda store: store.verified(NAMES[0], DIGEST, limit=1),
    "open runs": lambda store: store.list_runs(RunFilter(is_open=True)),
    "open runs of an environment": lambda store: store.list_runs(RunFilter(environment=NAMES[0], is_open=True)),
    "one run by its beginning": lambda store: store.run(RUN.id[:-2]),
    "the newest runs of an environment": lambda store: store.runs(NAMES[0], limit=5),
    "runs by their ids": lambda store: store.runs_named((RUN.id, "none")),
    "entries by their keys": lambda store: store.entries_of((RUN.id,), ("hosts:finished", "ended")),
    "environments with ephemeral stacks": lambda store: store.ephemeral_environments(),
    "steps": lambda store: store.list_steps(RUN.id, cursor="2"),
    "hosts of a release": lambda store: store.hosts_of_release(RUN.environment, DIGEST, frozenset({"deploy"})),
    "releases": lambda store: store.list_releases(cursor="50"),
    "releases of a name": lambda store: store.list_releases(ReleaseFilter(name="shop0"), cursor="50"),
    "releases of some digests": lambda store: store.list_releases(
        ReleaseFilter(digests=(DIGEST, "sha256:0")), cursor="50"
    ),
    "releases that have words": lambda store: store.find_releases(("shop", "1.1")),
    "places of releases": lambda store: store.release_places((DIGEST,), NAMES),
    "places of a release": lambda store: store.places_of_release(DIGEST, cursor="a"),
    "environments": lambda store: store.list_environments(cursor="a"),
    "some environments": lambda store: store.list_environments(NAMES[:2]),
    "hosts of environments": lambda store: store.list_hosts(NAMES),
    "hosts after a cursor": lambda store: store.list_hosts(NAMES, cursor=json.dumps([NAMES[0], "a"])),
    "leases": lambda store: store.leases_of(NAMES),
    "queues": lambda store: store.list_queue(NAMES),
    "queues after a cursor": lambda store: store.list_queue(NAMES, cursor=json.dumps([NAMES[0], 1])),
    "the place of a run in a queue": lambda store: store.list_queue(NAMES[:1], RUN.id),
    "verified releases": lambda store: store.list_verified(NAMES[0]),
    "verified releases after a cursor": lambda store: store.list_verified(NAMES[0], DIGEST, cursor="50"),
    "requests for workers": lambda store: store.takeable("default", lambda _root, _why: None, cursor="1"),
    "requests": lambda store: store.list_requests(cursor="1"),
    "the feed": lambda store: store.feed(cursor="0.10"),
    "the end of the feed": lambda store: store.feed_end(),
    "environments with new entries": lambda store: store.feed_changes(store.feed(limit=20)[-1].cursor),
    "places of releases in many environments": lambda store: store.release_places((DIGEST,), NAMES * 20),
    "releases that have words of digests": lambda store: store.find_releases(("sha256:0",)),
    "records": lambda store: store.records(RUN.id, after=3),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseStore]:
    url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/state.db"
    fill(url, SIZE)
    made = DatabaseStore(url, SystemClock())
    yield made
    made.close()


def plans(store: T, make: Callable[[T], Any]) -> list[tuple[str, list[str]]]:
    """Each statement that *make* executes on the store or the register, with the lines of its plan."""
    found: list[tuple[str, Any]] = []

    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        found.append((statement, parameters))

    engine = store._engine
    sa.event.listen(sa.Engine, "before_cursor_execute", keep)
    try:
        make(store)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", keep)
    chosen = [(each, values) for each, values in found if each.startswith("SELECT") and "alembic_version" not in each]
    assert chosen
    with engine.connect() as db:
        return [
            (statement, [str(row[3]) for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)])
            for statement, values in chosen
        ]


def reads_all(statement: str, plan: list[str]) -> bool:
    """Whether a plan reads a whole table: a scan that no limit ends, or whose rows are sorted first."""
    scans = [line for line in plan if line.startswith("SCAN")]
    is_sorted = any("TEMP B-TREE FOR ORDER BY" in line for line in plan)
    return bool(scans) and (len(scans) > 1 or "LIMIT" not in statement or is_sorted)


@pytest.mark.parametrize("name", LISTS)
def test_no_list_reads_a_whole_table(store: DatabaseStore, name: str) -> None:
    """Each list searches an index, or reads one page from the end of one; none reads a whole table or sorts it."""
    for statement, plan in plans(store, LISTS[name]):
        assert not reads_all(statement, plan), (statement, plan)


def lists_of(kind: RecordKind[Any]) -> dict[str, Callable[[Records], Any]]:
    """How the records of *kind* are read."""
    place = f"2026-01-01T00:00:00.000Z {kind.name}"
    found: dict[str, Callable[[Records], Any]] = {
        "of a part": lambda records: records.all(kind, OPEN),
        "a page": lambda records: records.page(kind),
        "a page after a cursor": lambda records: records.page(kind, cursor=place),
        "the newest": lambda records: records.page(kind, newest_first=True, cursor=place),
        "of some parts": lambda records: records.page(kind, [OPEN, ENDED], cursor=place),
        "by the beginning of their keys": lambda records: records.page(kind, prefix="a", cursor=" ab"),
        "one": lambda records: records.get(kind, "a"),
    }
    if kind.position is not None:
        found["from a position on"] = lambda records: records.page(kind, start="2026")
    if kind.about is not None:
        found["about something"] = lambda records: records.page(kind, [OPEN, ENDED], about="staging", cursor=place)
        found["written since a moment"] = lambda records: records.written_since(kind, datetime.now(UTC))
    return found


KINDS_OF_ALL: tuple[RecordKind[Any], ...] = (*KINDS, *MANAGEMENT_KINDS)
EVERY_KIND = {kind.name: kind for kind in KINDS_OF_ALL}


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseRegister]:
    folder = tmp_path_factory.mktemp("register")
    url = f"sqlite:///{folder}/state.db"
    made = DatabaseRegister(url, SystemClock(), "shop", MemoryKeys(), HeadFile(folder / "head"))
    yield made
    made.close()


@pytest.mark.parametrize("name", EVERY_KIND)
def test_no_list_of_records_reads_a_whole_table(register: DatabaseRegister, name: str) -> None:
    """Each list of each kind of record searches an index by more than the project, or reads one page of it in order."""
    for read in lists_of(EVERY_KIND[name]).values():
        for statement, plan in plans(register, partial(DatabaseRegister.reading, work=read)):
            assert not reads_project(statement, plan), (statement, plan)


def test_no_list_of_audit_entries_reads_the_whole_stream(register: DatabaseRegister) -> None:
    """Pages of the audit stream, its newest entry and what explains it are read by an index."""
    lists: tuple[Callable[[Any], Any], ...] = (
        lambda records: records.audit(after=5, limit=10),
        lambda records: records.head(),
        lambda records: records.newest_time(),
        lambda records: (records.restores(), records.breaks()),
    )
    for read in lists:
        for statement, plan in plans(register, partial(DatabaseRegister.reading, work=read)):
            assert not reads_project(statement, plan), (statement, plan)


def test_no_list_of_sessions_reads_a_whole_table(tmp_path: Path) -> None:
    """Sessions and failed sign-ins are found by an index."""
    sign_ins = DatabaseSignIns(f"sqlite:///{tmp_path}/state.db", "shop")
    for statement, plan in plans(sign_ins, used_sign_ins):
        assert not reads_project(statement, plan), (statement, plan)
    sign_ins.close()


def used_sign_ins(opened: DatabaseSignIns) -> tuple[object, ...]:
    once = (opened.keep_once("a", "", datetime.now(UTC)), opened.take_once("a"))
    opened.forgive("address", "ann address")
    return (opened.sessions_of("ann"), opened.sessions_from("x"), opened.failures("ann"), once)


def reads_project(statement: str, plan: list[str]) -> bool:
    """Whether a plan reads a whole table, or everything of a project that it does not read in order up to a limit."""
    everything = any(ONLY_PROJECT.search(line) for line in plan)
    is_sorted = any("TEMP B-TREE FOR ORDER BY" in line for line in plan)
    return reads_all(statement, plan) or (everything and ("LIMIT" not in statement or is_sorted))


def test_a_search_by_the_project_alone_is_noticed(register: DatabaseRegister) -> None:
    """A query for all records of a project is one that this check refuses."""
    read = plans(register, lambda opened: opened.reading(lambda records: records.all(REQUESTS)))
    assert any(reads_project(*plan) for plan in read)


def test_every_table_has_a_project(store: DatabaseStore) -> None:
    """Each table has a column `project`, in the program and in a database that the migrations made."""
    inspector = sa.inspect(store._engine)
    made = {name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()}
    assert made.keys() - {"alembic_version"} == ALL_TABLES.keys()
    for name, table in ALL_TABLES.items():
        assert made[name] == {column.name for column in table.columns}
        assert "project" in made[name], name


def test_a_scan_is_noticed(store: DatabaseStore) -> None:
    """A query that reads every run is one that this check refuses."""
    assert any(reads_all(*plan) for plan in plans(store, lambda opened: opened.runs()))
    query = "SELECT data FROM runs ORDER BY data LIMIT 5"
    with store._engine.connect() as db:
        plan = [str(row[3]) for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert reads_all(query, plan)


ONLY_PROJECT = re.compile(r"\(project=\?\)$")
SOURCES = Path(orchestrator.__file__).parent
MOST_ARGUMENTS = {"runs": 1, "verified": 2}
"""Methods that return the newest rows, and the number of their arguments before the limit."""


def unbounded(path: Path) -> list[str]:
    """The calls in *path* that read all runs of the store, or all runs or verified releases of an environment at once."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            most = MOST_ARGUMENTS.get(node.func.attr)
            limited = most is None or len(node.args) > most or any(each.arg == "limit" for each in node.keywords)
            if "store" in ast.unparse(node.func.value).lower() and not limited:
                found.append(f"{path.name}:{node.lineno} reads all of {node.func.attr}")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "each_run":
            chosen = node.args[1] if len(node.args) > 1 else None
            if not isinstance(chosen, ast.Name) and not getattr(chosen, "keywords", None):
                found.append(f"{path.name}:{node.lineno} reads all runs")
    return found


def test_nothing_reads_every_run() -> None:
    """No module reads the runs of the store, or of an environment, without a limit or page by page with a filter."""
    assert [line for path in sorted(SOURCES.rglob("*.py")) for line in unbounded(path)] == []


def test_an_unbounded_read_is_noticed(tmp_path: Path) -> None:
    """A module that reads all runs of an environment, or of the store, is one that this check refuses."""
    (tmp_path / "it.py").write_text(
        "services.store.runs(name)\nstore.runs(name, limit=5)\neach_run(store, RunFilter())\n"
        "store.verified(name, digest)\nstore.verified(name, digest, limit=1)\n"
    )
    assert len(unbounded(tmp_path / "it.py")) == 3
