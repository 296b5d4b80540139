"""The `WorkerCalls` port on SQLAlchemy Core. Each method is one transaction."""

from datetime import datetime

import sqlalchemy as sa

from orchestrator.adapters.database import tables
from orchestrator.adapters.database.engine import open_database, retry_on_disconnect, translate_errors
from orchestrator.adapters.database.values import decode
from orchestrator.domain.moments import moment_text
from orchestrator.domain.worker_calls import CLAIM_LASTS, WorkerCall

TABLE = tables.worker_calls
ENDED = "ended"
"""In the column *until* of a call that has ended: later than every time."""


class DatabaseWorkerCalls:
    """The calls of *project* at *url*."""

    def __init__(self, url: str, project: str) -> None:
        self._engine, self._project = open_database(url), project

    @retry_on_disconnect
    def add(self, call: WorkerCall) -> None:
        """Record a new call."""
        row = {"project": self._project, "id": call.id, "at": moment_text(call.at), "until": "", "holder": ""}
        with translate_errors(), self._engine.begin() as db:
            db.execute(TABLE.insert().values(**row, data=call.model_dump_json()))

    @retry_on_disconnect
    def get(self, call: str) -> WorkerCall | None:
        """One call."""
        with translate_errors(), self._engine.connect().execution_options(reading=True) as db:
            return self._read(db, call)

    @retry_on_disconnect
    def take(self, holder: str, now: datetime) -> WorkerCall | None:
        """Claim the oldest call that waits. Of two workers at the same moment, the update lets one have it."""
        waits = sa.and_(TABLE.c.project == self._project, TABLE.c.until <= moment_text(now))
        oldest = sa.select(TABLE.c.id).where(waits).order_by(TABLE.c.at, TABLE.c.id).limit(1)
        with translate_errors(), self._engine.connect().execution_options(reading=True) as db:
            found = db.execute(oldest).scalar()
            call = self._read(db, str(found)) if found is not None else None
        if call is None:
            return None
        taken = call.model_copy(update={"holder": holder, "until": now + CLAIM_LASTS})
        with translate_errors(), self._engine.begin() as db:
            done = db.execute(TABLE.update().where(waits, TABLE.c.id == call.id).values(**_columns(taken)))
            return taken if done.rowcount else None

    @retry_on_disconnect
    def change(self, call: WorkerCall) -> bool:
        """Write a call that its holder still has."""
        mine = self._is(call.id), TABLE.c.holder == call.holder, TABLE.c.until != ENDED
        with translate_errors(), self._engine.begin() as db:
            return bool(db.execute(TABLE.update().where(*mine).values(**_columns(call))).rowcount)

    @retry_on_disconnect
    def remove_before(self, at: datetime) -> None:
        """Remove what is old."""
        with translate_errors(), self._engine.begin() as db:
            db.execute(TABLE.delete().where(TABLE.c.project == self._project, TABLE.c.at < moment_text(at)))

    def close(self) -> None:
        """Close connections."""
        self._engine.dispose()

    def _read(self, db: sa.Connection, call: str) -> WorkerCall | None:
        data = db.execute(sa.select(TABLE.c.data).where(self._is(call))).scalar()
        return decode(WorkerCall, str(data)) if data is not None else None

    def _is(self, call: str) -> "sa.ColumnElement[bool]":
        return sa.and_(TABLE.c.project == self._project, TABLE.c.id == call)


def _columns(call: WorkerCall) -> dict[str, str]:
    until = ENDED if call.ended_at is not None else moment_text(call.until) if call.until is not None else ""
    return {"holder": call.holder, "until": until, "data": call.model_dump_json()}
