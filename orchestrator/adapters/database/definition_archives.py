"""The `DefinitionArchives` port on SQLAlchemy Core. Each method is one transaction.

Archives are compressed. So the filter of secrets in front of databases finds none in them, and changes no byte.
"""

import zlib

import sqlalchemy as sa

from orchestrator.adapters.database import tables
from orchestrator.adapters.database.engine import open_database, retry_on_disconnect, translate_errors
from orchestrator.domain.project_definition import LARGEST_DEFINITION

TABLE = tables.definition_archives
LARGEST = 2 * LARGEST_DEFINITION
"""Bytes of the largest archive, with its headers."""


class DatabaseDefinitionArchives:
    """The archives of *project* at *url*."""

    def __init__(self, url: str, project: str) -> None:
        self._engine, self._project = open_database(url), project

    @retry_on_disconnect
    def keep(self, digest: str, data: bytes) -> None:
        """Keep an archive. Of two processes at the same moment, the second one finds the row of the first."""
        if digest in self.digests():
            return
        row = {"project": self._project, "digest": digest, "data": zlib.compress(data)}
        with translate_errors():
            try:
                with self._engine.begin() as db:
                    db.execute(TABLE.insert().values(**row))
            except sa.exc.IntegrityError:  # another process was faster
                return

    @retry_on_disconnect
    def fetch(self, digest: str) -> bytes | None:
        """One archive."""
        with translate_errors(), self._engine.connect() as db:
            found = db.execute(sa.select(TABLE.c.data).where(self._is(digest))).scalar()
        return _decompressed(bytes(found)) if found is not None else None

    @retry_on_disconnect
    def digests(self) -> frozenset[str]:
        """What is kept."""
        with translate_errors(), self._engine.connect() as db:
            rows = db.execute(sa.select(TABLE.c.digest).where(TABLE.c.project == self._project))
            return frozenset(str(row.digest) for row in rows)

    @retry_on_disconnect
    def remove(self, digest: str) -> None:
        """Remove an archive."""
        with translate_errors(), self._engine.begin() as db:
            db.execute(TABLE.delete().where(self._is(digest)))

    def close(self) -> None:
        """Close connections."""
        self._engine.dispose()

    def _is(self, digest: str) -> "sa.ColumnElement[bool]":
        return sa.and_(TABLE.c.project == self._project, TABLE.c.digest == digest)


def _decompressed(data: bytes) -> bytes:
    """The archive in a row; empty if the row was changed to something else."""
    try:
        return zlib.decompressobj().decompress(data, LARGEST)
    except zlib.error:
        return b""
