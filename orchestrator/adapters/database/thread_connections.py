"""Connections that the threads of a server keep for statements that only read.

A server reads some dozen times for a page. A connection from the pool and its transaction take longer than most of the
statements. One statement needs no transaction on SQLite. On Postgres a connection that is kept would hold its
transaction, so each statement takes one from the pool.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

CACHE_KIB = 256
"""The pages that SQLite keeps for each connection. By default that is 2 MiB: with two connections of each of 40 threads
the memory of a server grew by 90 MB, and reads were not faster, because the system keeps the file in memory."""
KEEPS = threading.Event()
"""Set in a server: its threads keep connections. A process that forks must not, because a child cannot use them."""


def keep_connections() -> None:
    """Let the threads of this process keep connections from now on. It does not fork."""
    KEEPS.set()


class _Kept:
    """A connection that ends with its thread."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class ThreadConnections:
    """Executes single statements on *engine*, in each thread on its own connection if this process keeps any."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine.execution_options(one_statement=True)
        self._own = threading.local()

    @property
    def are_kept(self) -> bool:
        """Whether the connection of this thread is kept."""
        return KEEPS.is_set() and self._engine.dialect.name == "sqlite"

    def rows(self, query: "sa.Select[Any]", values: Mapping[str, Any] | None = None) -> "Sequence[sa.Row[Any]]":
        """The rows that *query* finds."""
        if not self.are_kept:
            with self._engine.connect() as db:
                return db.execute(query, values).all()
        try:
            return self._mine().execute(query, values).all()
        except BaseException:
            self._own.__dict__.clear()
            raise

    def close(self) -> None:
        """Forget all connections. That of another thread ends when the thread uses it next, or ends."""
        self._own = threading.local()

    def _mine(self) -> sa.Connection:
        kept: _Kept | None = getattr(self._own, "kept", None)
        if kept is None:
            made = self._engine.connect()
            made.detach()  # the pool has as many connections as before
            made.exec_driver_sql(f"PRAGMA cache_size = -{CACHE_KIB}")
            kept = self._own.kept = _Kept(made)
        return kept.connection
