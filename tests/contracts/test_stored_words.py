"""A store of the version before the words changed: its rows are migrated, and its entries translated when they are read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.promotion import State
from orchestrator.ports.lists import queue_of
from tests.contracts.test_database import make_schema
from tests.postgres import Server

REQUEST = {
    "root": "r1", "kind": "accept", "release": None, "targets": ["staging"], "by": "ann", "plan": None, "wait": 0.0,
    "again": {"run": "r0-staging", "step": "deploy"}, "about": {"host": "web1", "named": {"replace": [], "no_return": []}},
}  # fmt: skip
RUN = {
    "id": "r1-staging", "root": "r1", "kind": "accept", "environment": "staging", "release": None, "plan": None,
    "by": "ann", "requested_at": "2026-11-01T10:00:00Z", "state": "needs a person", "ended_at": "2026-11-01T10:01:00Z",
    "message": "", "wish": "pause", "wished_by": "bob", "wished_at": "2026-11-01T10:00:30Z",
}  # fmt: skip
ENTRIES: list[tuple[str, dict[str, Any]]] = [
    ("requested", REQUEST),
    ("state", {"from": "restoring", "event": "prove", "to": "proving"}),
    ("control", {"wish": "pause", "by": "bob", "why": ""}),
    ("planned", {"plan": "sha256:1", "named": {}, "back": {"available": True, "again": None}}),
    (
        "way back",
        {"apiVersion": "orchestrator/v1", "kind": "RollbackPlan", "again": {"restore": []}, "digest": "sha256:2"},
    ),
    ("notice", {"level": "warning", "text": "it goes there again", "again": "the load balancer", "of": "r0-staging"}),
    ("switched", {"live": "blue", "unsure": True, "sides": {}}),
    ("ended", {"state": "needs a person", "message": "it needs a person", "exit": 5, "failure": None}),
]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseStore]:
    """The store after its migration, with a run of the version before."""
    url = f"sqlite:///{tmp_path}/state.db"
    if request.param == "postgres":
        server: Server = request.getfixturevalue("postgres")
        url = server.fresh()
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    make_schema(engine, "0010")
    host = {"host": "web1", "truth": "seen", "side": "green", "stands_by": True, "unsure": True}
    work = {"root": "r1", "asked": REQUEST, "queue": "", "done": False}
    with engine.begin() as db:
        row = {
            "id": RUN["id"],
            "number": 1,
            "root": "r1",
            "environment": "staging",
            "last_seq": len(ENTRIES),
            "data": RUN,
        }
        _insert(db, "runs", row)
        for seq, (kind, data) in enumerate(ENTRIES, start=1):
            entry = {
                "kind": kind,
                "data": data,
                "key": kind,
                "run": RUN["id"],
                "seq": seq,
                "at": "2026-11-01T10:00:00Z",
            }
            _insert(db, "records", {"run": RUN["id"], "seq": seq, "key": kind, "data": entry})
        _insert(db, "hosts", {"environment": "staging", "host": "web1", "data": host})
        _insert(db, "works", {"root": "r1", "number": 1, "done": False, "worker": "", "data": work})
        entry = {"environment": "staging", "run": RUN["id"], "number": 1, "by": "ann"}
        _insert(
            db, "waits", {"number": 1, "environment": "staging", "run": RUN["id"], "data": {**entry, "since": "2026"}}
        )
        row = dict.fromkeys(("project", "part", "created_at", "created_by", "changed_at", "changed_by"), "")
        waiting = {"id": "q1-staging", "again": "the load balancer", "overrun": ""}
        _insert(db, "run_requests", {**row, "key": "q1-staging", "version": 1, "data": waiting})
    engine.dispose()
    made = DatabaseStore(url, SystemClock())
    yield made
    made.close()


def _insert(db: sa.Connection, table: str, row: dict[str, Any]) -> None:
    values = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()}
    db.execute(sa.table(table, *map(sa.column, values)).insert().values(**values))


def test_rows_have_the_current_words(store: DatabaseStore) -> None:
    """Runs, hosts, queued requests and the queue are there after the migration, in current words."""
    run, host, work = store.run("r1-staging"), store.hosts("staging")[0], store.work("r1")
    assert (run.kind, run.state, run.control, run.control_by) == ("override", State.NEEDS_INTERVENTION, "pause", "bob")
    assert (host.is_standby, host.switch_uncertain) == (True, True)
    assert (work.request["kind"], work.request["retry"]["step"]) == ("override", "deploy")
    assert set(work.request["parameters"]) == {"host", "acknowledgements"}
    assert [entry.run for entry in queue_of(store, "staging")] == ["r1-staging"]


def test_run_requests_have_the_current_words(store: DatabaseStore) -> None:
    """The row of a run request has the current names of its fields after the migration."""
    with store._engine.connect() as db:
        kept = json.loads(db.execute(sa.text("SELECT data FROM run_requests")).scalar_one())
    assert kept == {"id": "q1-staging", "allow_rolled_back": "the load balancer", "overrun": ""}


def test_lists_have_the_current_words(store: DatabaseStore) -> None:
    """The read model is rebuilt: a filter by the current state finds the run."""
    from orchestrator.domain.listing import RunFilter

    found = store.list_runs(RunFilter(states=(State.NEEDS_INTERVENTION,), kinds=("override",)))
    assert [run.id for run in found.items] == ["r1-staging"]


def test_entries_are_translated_and_stay(store: DatabaseStore) -> None:
    """Entries are read in current words with their keys, and their rows are those of the version before."""
    records = {record.key: record for record in store.records("r1-staging")}
    assert records["way back"].kind == "rollback plan"
    assert records["way back"].data["second_pass"] == {"restore": []}
    assert records["state"].data == {"from": "restoring", "event": "verify rollback", "to": "verifying rollback"}
    assert records["control"].data["control"] == "pause"
    assert set(records["planned"].data) == {"plan", "acknowledgements", "rollback_target"}
    assert records["switched"].data["switch_uncertain"] is True
    assert (records["ended"].data["state"], records["ended"].data["message"]) == (
        "needs intervention",
        "it needs a person",
    )
    assert records["notice"].data["override_reason"] == "the load balancer"
    assert store.has_entry("r1-staging", "way back")
    with store._engine.connect() as db:
        kept = db.execute(sa.text("SELECT data FROM records WHERE key = 'way back'")).scalar_one()
    assert json.loads(kept)["kind"] == "way back"
