"""How SQLite executes the queries of the lists, and that nothing reads every run."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import orchestrator
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.promotion import State
from tests.campaigns.scale import Size, fill, names, run_of

SIZE = Size(environments=4, runs=200)
RUN = run_of(20, SIZE)
DIGEST = RUN.release.digest if RUN.release else ""
NAMES = tuple(names(SIZE))

LISTS: dict[str, Callable[[DatabaseStore], Any]] = {
    "runs": lambda store: store.list_runs(),
    "runs after a cursor": lambda store: store.list_runs(cursor="50"),
    "runs of an environment": lambda store: store.list_runs(RunFilter(environment=NAMES[0]), cursor="50"),
    "runs of a request": lambda store: store.runs_of(RUN.root),
    "runs of a release": lambda store: store.list_runs(RunFilter(digest=DIGEST)),
    "runs of a name": lambda store: store.list_runs(RunFilter(name="shop0"), cursor="50"),
    "runs in a state": lambda store: store.list_runs(RunFilter(states=(State.ROLLED_BACK,)), cursor="50"),
    "runs of a kind": lambda store: store.list_runs(RunFilter(kinds=("rollback",))),
    "runs of a plan": lambda store: store.list_runs(RunFilter(plan="sha256:0"), limit=1),
    "the number of runs": lambda store: store.count_runs(RunFilter(environment=NAMES[0], name="shop0")),
    "what was verified last": lambda store: store.verified(NAMES[0], limit=1),
    "when a release was verified": lambda store: store.verified(NAMES[0], DIGEST, limit=1),
    "open runs": lambda store: store.list_runs(RunFilter(is_open=True)),
    "open runs of an environment": lambda store: store.list_runs(RunFilter(environment=NAMES[0], is_open=True)),
    "one run by its beginning": lambda store: store.run(RUN.id[:-2]),
    "the newest runs of an environment": lambda store: store.runs(NAMES[0], limit=5),
    "runs by their ids": lambda store: store.runs_named((RUN.id, "none")),
    "entries by their keys": lambda store: store.entries_of((RUN.id,), ("hosts:finished", "ended")),
    "steps": lambda store: store.list_steps(RUN.id, cursor="2"),
    "hosts of a release": lambda store: store.hosts_of_release(RUN.environment, DIGEST, frozenset({"deploy"})),
    "releases": lambda store: store.list_releases(cursor="50"),
    "releases of a name": lambda store: store.list_releases("shop0", cursor="50"),
    "places of releases": lambda store: store.release_places((DIGEST,), NAMES),
    "places of a release": lambda store: store.places_of_release(DIGEST, cursor="a"),
    "environments": lambda store: store.list_environments(cursor="a"),
    "some environments": lambda store: store.list_environments(NAMES[:2]),
    "hosts of environments": lambda store: store.hosts_of(NAMES),
    "leases": lambda store: store.leases_of(NAMES),
    "queues": lambda store: store.queues_of(NAMES),
    "requests": lambda store: store.list_requests(cursor="1"),
    "the feed": lambda store: store.feed(cursor="0.10"),
    "the end of the feed": lambda store: store.feed_end(),
    "records": lambda store: store.records(RUN.id, after=3),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseStore]:
    url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/state.db"
    fill(url, SIZE)
    made = DatabaseStore(url, SystemClock())
    yield made
    made.close()


def plans(store: DatabaseStore, make: Callable[[DatabaseStore], Any]) -> list[tuple[str, list[str]]]:
    """Each statement that *make* executes, with the lines of its plan."""
    found: list[tuple[str, Any]] = []

    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        found.append((statement, parameters))

    sa.event.listen(store._engine, "before_cursor_execute", keep)
    try:
        make(store)
    finally:
        sa.event.remove(store._engine, "before_cursor_execute", keep)
    chosen = [(statement, values) for statement, values in found if statement.startswith("SELECT")]
    assert chosen
    with store._engine.connect() as db:
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


def test_a_scan_is_noticed(store: DatabaseStore) -> None:
    """A query that reads every run is one that this check refuses."""
    assert any(reads_all(*plan) for plan in plans(store, lambda opened: opened.runs()))
    query = "SELECT data FROM runs ORDER BY data LIMIT 5"
    with store._engine.connect() as db:
        plan = [str(row[3]) for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert reads_all(query, plan)


SOURCES = Path(orchestrator.__file__).parent


def unbounded(path: Path) -> list[str]:
    """The calls in *path* that read all runs of the store, or all runs of an environment at once."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            limited = len(node.args) > 1 or any(keyword.arg == "limit" for keyword in node.keywords)
            if node.func.attr == "runs" and "store" in ast.unparse(node.func.value).lower() and not limited:
                found.append(f"{path.name}:{node.lineno} reads all runs of an environment")
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
    )
    assert len(unbounded(tmp_path / "it.py")) == 2
