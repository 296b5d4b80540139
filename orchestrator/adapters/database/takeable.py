"""What a worker can take, in one statement, and whether anything was written since the last check."""

import contextlib
import time
from typing import Any

import sqlalchemy as sa

from orchestrator.adapters.database.read_tables import FEED_CHANNEL, run_list
from orchestrator.adapters.database.tables import leases, queue_entries, queued_requests

CHANNEL = "orchestrator"


def takeable_requests(dialect: str, queue: str, now: str) -> "sa.Select[Any]":
    """The requests of *queue* that are not done and do not wait for an environment that another run has, oldest first.

    A run waits if another one holds its environment, or is before it in the queue. A run that was superseded or is to
    be stopped does not wait. A request without a run in a queue does not wait.
    """

    def json_text(column: "sa.ColumnElement[str]", name: str) -> "sa.ColumnElement[Any]":
        if dialect == "sqlite":
            return sa.func.json_extract(column, f"$.{name}")
        found: sa.ColumnElement[Any] = sa.cast(column, sa.JSON)[name].as_string()
        return found

    before = queue_entries.alias("before")
    held = sa.exists().where(
        leases.c.environment == queue_entries.c.environment,
        leases.c.holder != queue_entries.c.run,
        sa.or_(json_text(leases.c.data, "until").is_(None), json_text(leases.c.data, "until") > now),
    )
    behind = sa.exists().where(
        before.c.environment == queue_entries.c.environment,
        before.c.number < queue_entries.c.number,
        json_text(before.c.data, "superseded_by").is_(None),
    )
    stopping = run_list.c.control.in_(("cancel", "abort"))
    superseded = json_text(queue_entries.c.data, "superseded_by").is_not(None)
    mine = sa.exists().where(queue_entries.c.run == run_list.c.id, run_list.c.root == queued_requests.c.root)
    free = mine.where(sa.or_(stopping, superseded, sa.and_(~held, ~behind)))
    chosen = sa.and_(
        queued_requests.c.done.is_(False), json_text(queued_requests.c.data, "queue") == queue, sa.or_(~mine, free)
    )
    columns = (queued_requests.c.root, queued_requests.c.number, queued_requests.c.data)
    return sa.select(*columns).where(chosen).order_by(queued_requests.c.number)


class Pulse:
    """Detects writes of other connections since the last check, without reading a table.

    SQLite counts the commits of others for each connection. Postgres notifies connections that listen.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._version = -1

    def beats(self) -> bool:
        """Whether anything may have been written. True also if the check fails."""
        try:
            return self._notified() if self._engine.dialect.name == "postgresql" else self._counted()
        except Exception:  # noqa: BLE001 - whatever the driver raises: reading the table will report it
            self.close()
            return True

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection, self._version = self._connection, None, -1
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _counted(self) -> bool:
        if self._connection is None:
            self._connection = self._engine.raw_connection()
        cursor = self._connection.cursor()
        version = int(cursor.execute("PRAGMA data_version").fetchone()[0])
        cursor.close()
        changed, self._version = version != self._version, version
        return changed

    def _notified(self) -> bool:
        if self._connection is None:
            self._connection = self._engine.raw_connection()
            driver = self._connection.driver_connection
            driver.rollback()
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            return True
        return bool(list(self._connection.driver_connection.notifies(timeout=0)))


class FeedNews:
    """Waits for new entries of the feed. Postgres notifies connections that listen; on SQLite the time passes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: Any = None

    def wait(self, seconds: float) -> None:
        """Return when there may be new entries, at the latest after so many *seconds*."""
        if self._engine.dialect.name != "postgresql":
            time.sleep(seconds)
            return
        try:
            for _ in self._listening().notifies(timeout=seconds, stop_after=1):
                return
        except Exception:  # noqa: BLE001 - whatever the driver raises: reading the feed will report it
            self.close()
            time.sleep(seconds)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _listening(self) -> Any:
        """The connection of the driver that listens. It does not return to the pool: it commits each statement."""
        if self._connection is None:
            made = self._engine.raw_connection()
            driver: Any = made.driver_connection
            made.detach()
            driver.rollback()
            driver.autocommit = True
            driver.execute(f"LISTEN {FEED_CHANNEL}")
            self._connection = driver
        return self._connection
