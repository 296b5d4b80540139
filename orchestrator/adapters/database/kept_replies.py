"""The `KeptReplies` port on SQLAlchemy Core. Each method is one transaction."""

from datetime import datetime

import sqlalchemy as sa

from orchestrator.adapters.database import tables
from orchestrator.adapters.database.engine import open_database, retry_on_disconnect, translate_errors
from orchestrator.adapters.database.values import decode
from orchestrator.domain.idempotency import KeptReply
from orchestrator.domain.moments import moment_text

TABLE = tables.kept_replies


class DatabaseKeptReplies:
    """The replies of *project* at *url*."""

    def __init__(self, url: str, project: str) -> None:
        self._engine, self._project = open_database(url), project

    @retry_on_disconnect
    def open(self, actor: str, key: str, reply: KeptReply) -> KeptReply | None:
        """Keep an open reply. Of two at the same moment, the primary key lets one in, and the other is repeated."""
        row = {"project": self._project, "actor": actor, "key": key, "at": moment_text(reply.at)}
        with translate_errors(), self._engine.begin() as db:
            found = self._read(db, actor, key)
            if found is None:
                db.execute(TABLE.insert().values(**row, data=reply.model_dump_json()))
            return found

    @retry_on_disconnect
    def close_with(self, actor: str, key: str, reply: KeptReply) -> None:
        """Keep the reply."""
        values = {"at": moment_text(reply.at), "data": reply.model_dump_json()}
        with translate_errors(), self._engine.begin() as db:
            db.execute(TABLE.update().where(self._is(actor, key)).values(**values))

    @retry_on_disconnect
    def forget(self, actor: str, key: str) -> None:
        """Forget a key."""
        with translate_errors(), self._engine.begin() as db:
            db.execute(TABLE.delete().where(self._is(actor, key)))

    @retry_on_disconnect
    def remove_before(self, at: datetime) -> None:
        """Remove what is old."""
        with translate_errors(), self._engine.begin() as db:
            db.execute(TABLE.delete().where(TABLE.c.project == self._project, TABLE.c.at < moment_text(at)))

    def close(self) -> None:
        """Close connections."""
        self._engine.dispose()

    def _read(self, db: sa.Connection, actor: str, key: str) -> KeptReply | None:
        data = db.execute(sa.select(TABLE.c.data).where(self._is(actor, key))).scalar()
        return decode(KeptReply, str(data)) if data is not None else None

    def _is(self, actor: str, key: str) -> "sa.ColumnElement[bool]":
        return sa.and_(TABLE.c.project == self._project, TABLE.c.actor == actor, TABLE.c.key == key)
