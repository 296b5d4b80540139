"""A database that is safe to write to: opened, checked and brought to the schema of this program."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from orchestrator.domain.errors import OrchestratorError

SCHEMA = "0002"


def open_database(url: str) -> sa.Engine:
    """The engine for *url*, with the schema of this program in it. Raises S-codes."""
    engine = _sqlite(url) if url.startswith("sqlite") else _postgres(url)
    with guarded():
        _migrate(engine)
    return engine


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Whether SQLite's write-ahead log keeps its word in *version*.

    Versions before 3.51.3 (and the back-ports 3.50.7 and 3.44.6) may corrupt a database that several connections
    write to: https://sqlite.org/wal.html, "the WAL-reset bug".
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


def _sqlite(url: str) -> sa.Engine:
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = sa.create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, and not by the driver
        mode = "WAL" if wal_is_safe(sqlite3.sqlite_version_info) else "DELETE"
        for pragma in (f"journal_mode={mode}", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _postgres(url: str) -> sa.Engine:
    scheme, _, rest = url.partition("://")
    if scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise OrchestratorError("S110", f"the store {scheme}:// is none that is known")
    try:
        return sa.create_engine(f"postgresql+psycopg://{rest}", pool_pre_ping=True, isolation_level="READ COMMITTED")
    except ImportError as error:
        raise OrchestratorError("S111", f"the driver for Postgres is missing: {error}") from error


@contextmanager
def guarded() -> Iterator[None]:
    """Turn what a database says into S-codes."""
    try:
        yield
    except sa.exc.OperationalError as error:
        text = str(error.orig)
        code = "S113" if "disk is full" in text or "No space" in text else "S112"
        raise OrchestratorError(code, f"the store cannot be used: {text.strip().splitlines()[0]}") from error
    except sa.exc.DatabaseError as error:
        raise OrchestratorError("S114", f"the store is damaged: {str(error.orig).strip().splitlines()[0]}") from error


def _migrate(engine: sa.Engine) -> None:
    """Bring the schema forward, one process at a time; refuse a schema that a newer program has made."""
    if _version(engine) == SCHEMA:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7259301)"))
        found = _read_version(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise OrchestratorError("S115", f"the store has the schema {found}, this program knows {SCHEMA}")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(engine: sa.Engine) -> str | None:
    with engine.connect().execution_options(reading=True) as connection:
        return _read_version(connection)


def _read_version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def integrity(url: str) -> list[str]:
    """What is wrong with the database at *url* by its own check; empty when nothing is. Raises S-codes."""
    engine = open_database(url)
    try:
        if engine.dialect.name != "sqlite":
            return []
        with guarded(), engine.connect().execution_options(reading=True) as connection:
            rows = connection.execute(sa.text("PRAGMA integrity_check")).scalars().all()
        return [str(row) for row in rows if row != "ok"]
    finally:
        engine.dispose()
