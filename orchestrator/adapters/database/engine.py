"""A database that is safe to write to: opened, checked and brought to the schema of this program."""

import contextlib
import functools
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import sqlalchemy as sa

from orchestrator.adapters.database.driver import driver, is_error, journal_mode, refuse_unsafe_wal
from orchestrator.domain.error_codes import DISK_FULL, STORE_NEWER
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.resources import full

if TYPE_CHECKING:
    from alembic.config import Config

SCHEMA = "0036"
UPGRADE_LOCK = 7259301
"""The advisory lock of Postgres that a migration has for itself, and that all changes share."""
PATIENCE = 30.0  # seconds for which a server that has gone away is waited for
PAUSES = (0.05, 2.0)  # seconds: the first, and the longest between two attempts
PASSING = ("08", "23505", "40", "53", "57P")  # SQLSTATEs: connection, another one was first, load, shutdown

P = ParamSpec("P")
T = TypeVar("T")


def open_database(url: str) -> sa.Engine:
    """The engine for *url*, with the schema of this program in it. Raises S-codes."""
    engine = _sqlite(url) if url.startswith("sqlite") else _postgres(url)
    with translate_errors():
        _migrate(engine)
    _require_schema_at_changes(engine)
    return engine


def sqlite_path(url: str) -> Path:
    """The file of a SQLite *url*."""
    return Path(url.removeprefix("sqlite:///"))


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def engine_url(url: str) -> str:
    """The database of durable execution if the journal is at *url*.

    On SQLite in a file of its own beside the journal's; on Postgres in the same database, in the schema `dbos`.
    """
    if not url.startswith("sqlite"):
        return url
    return f"{sqlite_url(sqlite_path(url).with_suffix(''))}-engine.db"


def _sqlite(url: str) -> sa.Engine:
    path = sqlite_path(url)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    refuse_unsafe_wal(path)
    engine = sa.create_engine(url, module=driver(), connect_args={"timeout": 30, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are started below, and not by the driver
        for pragma in (f"journal_mode={journal_mode()}", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("one_statement", False):
            return  # one statement is a transaction
        if options.get("reading", False):  # it takes no lock; `exec_driver_sql` takes as long as a small query
            connection.connection.cursor().execute("BEGIN")
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgres(url: str) -> sa.Engine:
    scheme, _, rest = url.partition("://")
    if scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise OrchestratorError("S110", f"unknown store {scheme}://")
    try:
        return sa.create_engine(
            f"postgresql+psycopg://{rest}",
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": 10, "application_name": "orchestrator"},
        )
    except ImportError as error:
        raise OrchestratorError("S111", f"the driver for Postgres is missing: {error}") from error


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn the errors of a database into S-codes."""
    try:
        yield
    except sa.exc.OperationalError as error:
        code = "S113" if full(error.orig) else "S112"
        raise OrchestratorError(code, f"the store cannot be used: {_first_line(error)}") from error
    except sa.exc.DatabaseError as error:
        if is_error(error.orig):
            raise OrchestratorError("S114", f"the store is damaged: {_first_line(error)}") from error
        raise OrchestratorError("S112", f"the store cannot be used: {_first_line(error)}") from error


def retry_on_disconnect(method: Callable[P, T]) -> Callable[P, T]:
    """*method*, retried while the database's server is unavailable, for *PATIENCE* seconds; then its S112 is raised.

    Whether a commit whose answer was lost took effect is not known. So *method* must be one transaction that changes
    nothing if it is repeated (see :func:`with_keys`).
    """

    @functools.wraps(method)
    def retried(*args: P.args, **kwargs: P.kwargs) -> T:
        started, pause, attempts = time.monotonic(), PAUSES[0], 0
        while True:
            attempts += 1
            try:
                return method(*args, **kwargs)
            except OrchestratorError as error:
                if error.code == DISK_FULL or not passing(error.__cause__):
                    raise
                waited = time.monotonic() - started
                if waited + pause > PATIENCE:
                    message = f"{error.message} (tried {attempts} times in {waited:.0f} s)"
                    raise OrchestratorError(error.code, message) from error
            time.sleep(pause)
            pause = min(2 * pause, PAUSES[1])

    return retried


def with_keys(entries: Iterable[Entry]) -> list[tuple[str, Entry]]:
    """Each of *entries* with the key under which it is written: its own, or a new one of this call.

    So all of them can be written again if it is not known whether they were, and none is recorded twice.
    """
    call = secrets.token_hex(8)
    return [(f"~{call}.{at}" if entry.key is None else entry.key, entry) for at, entry in enumerate(entries)]


def passing(error: BaseException | None) -> bool:
    """Whether the error of the database may be temporary: its server is unavailable, or another transaction was first.

    SQLite waits for others itself, and has no server.
    """
    if not isinstance(error, sa.exc.DBAPIError) or is_error(error.orig):
        return False
    state = getattr(error.orig, "sqlstate", None)
    lost = error.connection_invalidated or (state is None and isinstance(error, sa.exc.OperationalError))
    return lost or str(state).startswith(PASSING)


def _first_line(error: sa.exc.DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or ["no reason given"])[0]


def _migrate(engine: sa.Engine) -> None:
    """Bring the schema forward, one process at a time; refuse a schema that a newer program has made."""
    if _version(engine) == SCHEMA:
        return
    from alembic import command

    from orchestrator.adapters.database.rebuild import rebuild

    config = alembic_config()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})"))
        found = _read_version(connection)
        if found == SCHEMA:
            return  # another process has brought it forward while this one waited
        if found is not None and found not in known_schemas():
            raise _other_schema(found)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if found is not None:
            rebuild(connection)


def _require_schema_at_changes(engine: sa.Engine) -> None:
    """Refuse each change (S115) after another program has upgraded the schema. Reading is not refused.

    A change waits for a migration that is in progress, and a migration for the changes in progress.
    """

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("reading", False) or options.get("one_statement", False):
            return
        if connection.dialect.name == "postgresql":
            # A statement of its own: one that waits sees the data of before its wait.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({UPGRADE_LOCK})")
        require_schema(connection)


def require_schema(connection: sa.Connection) -> None:
    """Return if the database has the schema of this program. Raises S115."""
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found != SCHEMA:
        raise _other_schema(found)


def _other_schema(found: str | None) -> OrchestratorError:
    return OrchestratorError(STORE_NEWER, f"the store has the schema {found}, this program knows {SCHEMA}")


def known_schemas() -> set[str]:
    """Every schema that this program can bring forward to its own."""
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def schema_version(url: str) -> str | None:
    """The schema of the database at *url* as it is, None when there is none. Changes nothing. Raises S-codes."""
    engine = sa.create_engine(url, module=driver()) if url.startswith("sqlite") else _postgres(url)
    try:
        with translate_errors(), engine.connect() as connection:
            return _read_version(connection)
    finally:
        engine.dispose()


def alembic_config() -> "Config":
    """The configuration of Alembic for the migrations of this program."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _version(engine: sa.Engine) -> str | None:
    with engine.connect().execution_options(reading=True) as connection:
        return _read_version(connection)


def _read_version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def integrity(url: str) -> list[str]:
    """What is wrong with the database at *url* by its own check; empty when nothing is. No content changes.

    What a crash has left half-written is rolled back first, as whenever the database is opened: it is not damage.
    Postgres checks its pages itself if it was set up with checksums.
    """
    if not url.startswith("sqlite"):
        return []
    try:
        place = f"{sqlite_path(url).absolute().as_uri()}?mode=rw"
        with contextlib.closing(driver().connect(place, uri=True, timeout=30)) as database:
            rows = [str(row[0]) for row in database.execute("PRAGMA integrity_check")]
    except driver().Error as error:
        return [str(error)]
    return [row for row in rows if row != "ok"]
