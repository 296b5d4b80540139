"""What a database must keep beyond the contract of the store."""

import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database import driver as drivers
from orchestrator.adapters.database import engine
from orchestrator.adapters.database import rebuild as rebuilding
from orchestrator.adapters.database.driver import has_wal, wal_is_safe
from orchestrator.adapters.database.engine import (
    SCHEMA,
    alembic_config,
    integrity,
    open_database,
    retry_on_disconnect,
    schema_version,
    translate_errors,
    with_keys,
)
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.fencing import HIGHEST
from orchestrator.domain.journal import Entry, Run
from tests.postgres import Server, serving


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """A new database can be read by its owner only, and says that nothing is wrong with it."""
    url = f"sqlite:///{tmp_path}/deep/state.db"
    DatabaseStore(url, SystemClock()).close()
    assert stat.S_IMODE((tmp_path / "deep/state.db").stat().st_mode) == 0o600
    assert integrity(url) == []


CRASH = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE more (text)")
connection.executemany("INSERT INTO more VALUES (?)", [("x" * 500,)] * 3000)
os.kill(os.getpid(), 9)
"""


def test_what_a_crash_has_left_is_no_damage(tmp_path: Path) -> None:
    """A database whose writer was killed in the middle of a write is whole, and not told as damaged."""
    file = tmp_path / "state.db"
    DatabaseStore(f"sqlite:///{file}", SystemClock()).close()
    subprocess.run([sys.executable, "-c", CRASH, str(file)], check=False)
    assert integrity(f"sqlite:///{file}") == []
    assert DatabaseStore(f"sqlite:///{file}", SystemClock()).runs() == []


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A store that a newer program has made is not touched, and the error names both schemas."""
    file = tmp_path / "state.db"
    open_database(f"sqlite:///{file}").dispose()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(OrchestratorError) as caught:
        open_database(f"sqlite:///{file}")
    assert caught.value.code == "S115"
    assert "9999" in caught.value.message
    assert SCHEMA in caught.value.message


def make_schema(engine: sa.Engine, version: str) -> None:
    """Make the schema *version* in an empty database, as an older program did."""
    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_schema_is_brought_forward_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several servers that start at once on an earlier schema one makes the migrations, and the others wait for it and change nothing."""
    url = f"sqlite:///{tmp_path}/state.db" if kind == "sqlite" else request.getfixturevalue("postgres").fresh()
    make_schema(sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://")), "0018")
    rebuilt, barrier, failed = list[str](), threading.Barrier(4), list[BaseException]()
    rebuild = rebuilding.rebuild

    def counted(connection: sa.Connection) -> None:
        rebuilt.append(threading.current_thread().name)
        time.sleep(0.2)  # the others come to the lock meanwhile
        rebuild(connection)

    def opens() -> None:
        barrier.wait()
        try:
            open_database(url).dispose()
        except BaseException as error:  # noqa: BLE001 - reported below
            failed.append(error)

    monkeypatch.setattr(rebuilding, "rebuild", counted)
    threads = [threading.Thread(target=opens) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, len(rebuilt), schema_version(url)) == ([], 1, SCHEMA)


TOO_LONG = {"production": 10**15, "staging": 12, "qa": 999_999_999_999_999}


def test_tokens_that_no_host_reads_are_lowered_once(tmp_path: Path) -> None:
    """A store of the previous schema keeps its tokens, except those with more digits than hosts read: the next one is read again."""
    url = f"sqlite:///{tmp_path}/state.db"
    make_schema(sa.create_engine(url), "0003")
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.executemany("INSERT INTO fences VALUES (?, ?)", TOO_LONG.items())
    store = DatabaseStore(url, SystemClock())
    assert {name: store.newest_fence(name) for name in TOO_LONG} == {**TOO_LONG, "production": HIGHEST}


def test_tokens_are_wide_enough_on_postgres_after_an_upgrade(postgres: Server) -> None:
    """A Postgres store of the previous schema keeps its tokens, and counts on beyond 2^31."""
    url = postgres.fresh()
    make_schema(sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://")), "0003")
    with psycopg.connect(url) as db:
        db.execute("INSERT INTO fences VALUES ('staging', 2147483647)")
    store = DatabaseStore(url, SystemClock())
    assert store.newest_fence("staging") == 2**31 - 1
    assert store.acquire("staging", "r1", "ann", "why").fence == 2**31
    store.close()


def test_a_newer_schema_is_refused_on_postgres_too(postgres: Server) -> None:
    """A Postgres database that a newer program has made is not touched, and the error names both schemas."""
    url = postgres.fresh()
    open_database(url).dispose()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(OrchestratorError) as caught:
        open_database(url)
    assert caught.value.code == "S115"
    assert "9999" in caught.value.message
    assert SCHEMA in caught.value.message
    assert schema_version(url) == "9999"


def test_many_bring_the_schema_forward_at_once(postgres: Server) -> None:
    """Of many who open an empty Postgres database at once one makes the tables, and all find them."""
    url, made = postgres.fresh(), []
    barrier = threading.Barrier(6)

    def opens() -> None:
        barrier.wait()
        open_database(url).dispose()
        made.append(schema_version(url))

    threads = [threading.Thread(target=opens) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [SCHEMA] * 6


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """A server that cannot be reached is an error that says so, within seconds."""
    started = time.monotonic()
    with pytest.raises(OrchestratorError) as caught:
        open_database(f"postgresql://ann@/shop?host={tmp_path}")
    assert caught.value.code == "S112"
    assert str(tmp_path) in caught.value.message
    assert time.monotonic() - started < 10


class Lasting(DatabaseStore):
    """The store with every write made again until it is known to be there."""

    @retry_on_disconnect
    def create(self, run: Run) -> None:
        super().create(run)

    def append(self, run: str, entries: Iterable[Entry], *more: Any) -> int:
        keyed = [entry.model_copy(update={"key": key}) for key, entry in with_keys(entries)]
        return self._again(run, keyed, *more)

    @retry_on_disconnect
    def _again(self, run: str, entries: list[Entry], *more: Any) -> int:
        return super().append(run, entries, *more)


def run(name: str = "r1-staging") -> Run:
    return Run(id=name, root=name, kind="promotion", environment="staging", release=None, by="ann")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_that_nobody_answered_for(postgres: Server, moment: str) -> None:
    """When the server's process dies at a commit, before it or when it is done, the entries are written again and stand there once."""
    url = postgres.fresh()
    store = Lasting(url, SystemClock())
    store.create(run())
    cuts = [3]

    @sa.event.listens_for(store._engine, "commit")
    def _commit(connection: sa.Connection) -> None:
        if cuts[0]:
            cuts[0] -= 1
            if moment == "after":
                connection.connection.commit()
            assert postgres.cut(url) >= 1
            if moment == "after":
                connection.exec_driver_sql("SELECT 1")

    for number in range(3):
        last = store.append(
            "r1-staging",
            [Entry(kind="notice", data={"n": number}), Entry(kind="notice", data={"n": number}, key=f"k{number}")],
        )
        assert last == 2 * number + 2
    assert cuts == [0]
    found = store.records("r1-staging")
    store.close()
    assert [(record.seq, record.data["n"]) for record in found] == [(at + 1, at // 2) for at in range(6)]


def test_a_server_that_restarts(postgres: Server, tmp_path: Path) -> None:
    """While a server crashes and comes back, what many write to it arrives, once and in order."""
    with serving() as server:
        url = server.fresh()
        store, errors = Lasting(url, SystemClock()), []
        store.create(run())

        def write(name: str) -> None:
            try:
                for number in range(60):
                    store.append("r1-staging", [Entry(kind="notice", data={"by": name, "n": number})])
                    time.sleep(0.02)
            except OrchestratorError as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(0.4)
            server.stop(at_once=True)
            time.sleep(0.5)
            server.start()
        for thread in threads:
            thread.join()
        found = Lasting(url, SystemClock()).records("r1-staging")
        store.close()
    assert errors == []
    assert [record.seq for record in found] == list(range(1, 121))
    for name in "ab":
        assert [record.data["n"] for record in found if record.data["by"] == name] == list(range(60))


def test_patience_ends(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stays away is waited for as long as was said and no longer, and the error tells how often it was tried."""
    monkeypatch.setattr(engine, "PATIENCE", 2.0)
    with serving() as server:
        store = Lasting(server.fresh(), SystemClock())
        store.create(run())
        server.stop()
        started = time.monotonic()
        with pytest.raises(OrchestratorError) as caught:
            store.append("r1-staging", [Entry(kind="notice")])
        store.close()
    assert caught.value.code == "S112"
    assert "(tried " in caught.value.message
    assert time.monotonic() - started < 10


def test_what_will_not_pass_is_told_at_once(tmp_path: Path) -> None:
    """Damage, a full disk and a mistake of ours are not tried again."""
    calls = []

    @retry_on_disconnect
    def fails() -> None:
        calls.append(1)
        with translate_errors():
            raise sa.exc.DatabaseError("SELECT", {}, sqlite3.DatabaseError("malformed"))

    with pytest.raises(OrchestratorError) as caught:
        fails()
    assert (caught.value.code, len(calls)) == ("S114", 1)


def test_two_runs_at_the_same_moment(postgres: Server) -> None:
    """Many who write a new run at once all succeed, each with a number of its own."""
    url = postgres.fresh()
    stores = [Lasting(url, SystemClock()) for _ in range(6)]
    barrier, errors = threading.Barrier(6), []

    def create(at: int) -> None:
        barrier.wait()
        try:
            for number in range(10):
                stores[at].create(run(f"r{at}-{number}"))
        except OrchestratorError as error:
            errors.append(error)

    threads = [threading.Thread(target=create, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(stores[0].runs()) == 60
    for store in stores:
        store.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Something else in its place is an error that says so, and is left as it was."""
    file = tmp_path / "state.db"
    file.write_text("not a database, but long enough to look at twice" * 40)
    with pytest.raises(OrchestratorError) as caught:
        open_database(f"sqlite:///{file}")
    assert caught.value.code in {"S112", "S114"}
    assert file.read_text().startswith("not a database")


def test_an_unknown_store(tmp_path: Path) -> None:
    """A URL of another kind is an error that names it."""
    with pytest.raises(OrchestratorError) as caught:
        open_database("mysql://localhost/x")
    assert caught.value.code == "S110"


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
    ],
)
def test_versions_whose_log_keeps_its_word(version: tuple[int, int, int], safe: bool) -> None:
    """The write-ahead log is used only where SQLite's known fault is repaired."""
    assert wal_is_safe(version) is safe


def test_a_file_with_a_log_is_refused_where_that_is_not_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with a write-ahead log is neither read nor changed by a SQLite that may corrupt it; a safe one opens it."""
    file = tmp_path / "state.db"
    DatabaseStore(f"sqlite:///{file}", SystemClock()).close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    assert has_wal(file)
    monkeypatch.setattr(drivers, "journal_mode", lambda: "DELETE")
    with pytest.raises(OrchestratorError) as caught:
        open_database(f"sqlite:///{file}")
    assert caught.value.code == "S182"
    assert has_wal(file)
    monkeypatch.undo()
    if drivers.journal_mode() == "WAL":
        DatabaseStore(f"sqlite:///{file}", SystemClock()).close()


def test_a_store_on_the_newest_sqlite(tmp_path: Path) -> None:
    """A store is opened with the newest SQLite that can be imported, in the mode that is safe for it."""
    store = DatabaseStore(f"sqlite:///{tmp_path}/state.db", SystemClock())
    store.create(run())
    with store._engine.connect() as db:
        assert db.exec_driver_sql("SELECT sqlite_version()").scalar() == drivers.driver().sqlite_version
        assert str(db.exec_driver_sql("PRAGMA journal_mode").scalar()).upper() == drivers.journal_mode()
    assert has_wal(tmp_path / "state.db") is (drivers.journal_mode() == "WAL")
    assert drivers.driver().sqlite_version_info >= sqlite3.sqlite_version_info
    store.close()
