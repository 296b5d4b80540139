"""A process that has a database open while a program of a later version brings its schema forward."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import SCHEMA, UPGRADE_LOCK
from orchestrator.adapters.database.sign_ins import DatabaseSignIns
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from tests.postgres import Server

LATER = (
    "ALTER TABLE runs ADD COLUMN later VARCHAR NOT NULL DEFAULT 'x'",
    "UPDATE alembic_version SET version_num = '9999'",
)
"""The migration of the later version."""
NOTE = Entry(kind="notice", data={"level": "info", "text": "written"})


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    found: str = request.getfixturevalue("postgres").fresh()
    return found


def later(url: str) -> sa.Engine:
    """Connections of the later program."""
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def opened(url: str) -> DatabaseStore:
    """A store that has a run."""
    store = DatabaseStore(url, SystemClock())
    store.create(
        Run(id="r1-staging", root="r1", kind="promotion", environment="staging", release=None, by="ann",
            requested_at="2031-01-01T00:00:00Z")
    )  # fmt: skip
    store.require_schema()
    return store


def test_an_open_process_changes_nothing_in_a_later_schema(url: str) -> None:
    """After the schema was brought forward a process that has the store open reads on, and each change is refused with S115."""
    store, sign_ins = opened(url), DatabaseSignIns(url, "demo")
    with later(url).begin() as db:
        for text in LATER:
            db.exec_driver_sql(text)
    refused: list[Callable[[], object]] = [
        lambda: store.append("r1-staging", [NOTE]),
        lambda: store.acquire("staging", "r1", "ann", "why"),
        lambda: sign_ins.end_all("ann"),
        store.require_schema,
    ]
    for change in refused:
        with pytest.raises(OrchestratorError, match=f"schema 9999, this program knows {SCHEMA}") as caught:
            change()
        assert caught.value.code == "S115"
    assert [run.id for run in store.runs()] == ["r1-staging"]
    assert store.records("r1-staging") == []
    store.close()
    sign_ins.close()


def test_a_change_waits_for_a_migration_and_is_refused_then(postgres: Server) -> None:
    """A change that comes while the schema is brought forward waits for that, and then changes nothing."""
    url, refused = postgres.fresh(), list[OrchestratorError]()
    store = opened(url)

    def change() -> None:
        try:
            store.append("r1-staging", [NOTE])
        except OrchestratorError as error:
            refused.append(error)

    changing = threading.Thread(target=change)
    with later(url).begin() as db:
        db.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
        changing.start()
        wait_for_lock(url)
        for text in LATER:
            db.exec_driver_sql(text)
    changing.join()
    assert [error.code for error in refused] == ["S115"]
    assert store.records("r1-staging") == []
    store.close()


def wait_for_lock(url: str) -> None:
    """Wait until a connection waits for the lock of migrations."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    deadline = time.monotonic() + 60
    with later(url).connect() as db:
        while not db.exec_driver_sql(waiting).scalar():
            assert time.monotonic() < deadline, "nothing waits"
            time.sleep(0.02)
