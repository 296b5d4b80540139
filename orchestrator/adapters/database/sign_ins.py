"""The `SignIns` port on SQLAlchemy Core. Each method is one transaction that can be repeated."""

from datetime import datetime

import sqlalchemy as sa

from orchestrator.adapters.database.engine import open_database, retry_on_disconnect, translate_errors
from orchestrator.adapters.database.tables import kept_once, sessions, sign_in_failures
from orchestrator.adapters.database.values import decode
from orchestrator.domain.access.sign_in import Failures, Session
from orchestrator.domain.moments import moment_text, parse_moment


class DatabaseSignIns:
    """The sessions and failed sign-ins of *project* at *url*."""

    def __init__(self, url: str, project: str) -> None:
        self._engine, self._project = open_database(url), project

    @retry_on_disconnect
    def start(self, session: Session) -> None:
        """Keep a new session."""
        origin = session.origin.session if session.origin else None
        row = {"user": session.user, "data": session.model_dump_json(), "provider_session": origin or ""}
        with translate_errors(), self._engine.begin() as db:
            db.execute(sessions.delete().where(self._is(session.sha256)))
            db.execute(sessions.insert().values(project=self._project, sha256=session.sha256, **row))

    @retry_on_disconnect
    def session(self, sha256: str) -> Session | None:
        """The session."""
        with translate_errors(), self._engine.execution_options(reading=True).connect() as db:
            data = db.execute(sa.select(sessions.c.data).where(self._is(sha256))).scalar()
        return decode(Session, str(data)) if data is not None else None

    @retry_on_disconnect
    def use(self, session: Session) -> None:
        """Record a later use."""
        with translate_errors(), self._engine.begin() as db:
            db.execute(sessions.update().where(self._is(session.sha256)).values(data=session.model_dump_json()))

    @retry_on_disconnect
    def end(self, sha256: str) -> bool:
        """End a session."""
        with translate_errors(), self._engine.begin() as db:
            return db.execute(sessions.delete().where(self._is(sha256))).rowcount > 0

    @retry_on_disconnect
    def end_all(self, user: str) -> int:
        """End every session of *user*."""
        with translate_errors(), self._engine.begin() as db:
            return db.execute(sessions.delete().where(self._of(user))).rowcount

    def sessions_of(self, user: str) -> tuple[Session, ...]:
        """The sessions of *user*."""
        return self._sessions(self._of(user))

    def sessions_from(self, provider_session: str) -> tuple[Session, ...]:
        """The sessions of a provider's session."""
        mine = sessions.c.project == self._project
        return self._sessions(sa.and_(mine, sessions.c.provider_session == provider_session))

    @retry_on_disconnect
    def _sessions(self, chosen: "sa.ColumnElement[bool]") -> tuple[Session, ...]:
        with translate_errors(), self._engine.execution_options(reading=True).connect() as db:
            rows = db.execute(sa.select(sessions.c.data).where(chosen)).scalars().all()
        found = (decode(Session, str(data)) for data in rows)
        return tuple(sorted(found, key=lambda session: session.started_at, reverse=True))

    @retry_on_disconnect
    def keep_once(self, key: str, text: str, until: datetime) -> bool:
        """Keep a text, if the key is new. Of two at the same moment the primary key lets one pass."""
        row = {"project": self._project, "key": key, "until": moment_text(until), "data": text}
        with translate_errors():
            try:
                with self._engine.begin() as db:
                    db.execute(kept_once.insert().values(**row))
            except sa.exc.IntegrityError:
                return False
        return True

    @retry_on_disconnect
    def take_once(self, key: str) -> str | None:
        """Remove and return a text. The deletion decides which of two callers gets it."""
        mine = sa.and_(kept_once.c.project == self._project, kept_once.c.key == key)
        with translate_errors(), self._engine.begin() as db:
            text = db.execute(sa.select(kept_once.c.data).where(mine)).scalar()
            removed = db.execute(kept_once.delete().where(mine)).rowcount
        return str(text) if removed else None

    @retry_on_disconnect
    def failures(self, source: str) -> Failures | None:
        """The failures of *source*."""
        with translate_errors(), self._engine.execution_options(reading=True).connect() as db:
            return _failures(db, self._from(source))

    @retry_on_disconnect
    def fail(self, source: str, at: datetime) -> Failures:
        """Count one more failure. The row is written first, so that two at the same moment wait for each other."""
        table, last_at = sign_in_failures, moment_text(at)
        more = table.update().where(self._from(source)).values(count=table.c.count + 1, last_at=last_at)
        with translate_errors(), self._engine.begin() as db:
            if not db.execute(more).rowcount:
                db.execute(table.insert().values(project=self._project, source=source, count=1, last_at=last_at))
            found = _failures(db, self._from(source))
        assert found is not None
        return found

    @retry_on_disconnect
    def succeed(self, source: str) -> None:
        """Forget the failures."""
        with translate_errors(), self._engine.begin() as db:
            db.execute(sign_in_failures.delete().where(self._from(source)))

    @retry_on_disconnect
    def forgive(self, source: str, part: str) -> None:
        """Forget some of the failures. The part is removed with them: repeated, this changes nothing."""
        table = sign_in_failures
        with translate_errors(), self._engine.begin() as db:
            db.execute(table.update().where(self._from(part)).values(count=table.c.count))  # two wait for each other
            less = _failures(db, self._from(part))
            if less is None:
                return
            db.execute(table.delete().where(self._from(part)))
            db.execute(table.update().where(self._from(source)).values(count=table.c.count - less.count))
            db.execute(table.delete().where(sa.and_(self._from(source), table.c.count <= 0)))

    @retry_on_disconnect
    def remove_before(self, started: datetime, failed: datetime, kept: datetime) -> None:
        """Remove what is over."""
        with translate_errors(), self._engine.begin() as db:
            mine = sessions.c.project == self._project
            for sha256, data in db.execute(sa.select(sessions.c.sha256, sessions.c.data).where(mine)).all():
                if decode(Session, str(data)).started_at < started:
                    db.execute(sessions.delete().where(self._is(str(sha256))))
            table = sign_in_failures
            old = sa.and_(table.c.project == self._project, table.c.last_at < moment_text(failed))
            db.execute(table.delete().where(old))
            over = sa.and_(kept_once.c.project == self._project, kept_once.c.until < moment_text(kept))
            db.execute(kept_once.delete().where(over))

    def close(self) -> None:
        """Close connections."""
        self._engine.dispose()

    def _is(self, sha256: str) -> "sa.ColumnElement[bool]":
        return sa.and_(sessions.c.project == self._project, sessions.c.sha256 == sha256)

    def _of(self, user: str) -> "sa.ColumnElement[bool]":
        return sa.and_(sessions.c.project == self._project, sessions.c.user == user)

    def _from(self, source: str) -> "sa.ColumnElement[bool]":
        return sa.and_(sign_in_failures.c.project == self._project, sign_in_failures.c.source == source)


def _failures(db: sa.Connection, chosen: "sa.ColumnElement[bool]") -> Failures | None:
    row = db.execute(sa.select(sign_in_failures.c.count, sign_in_failures.c.last_at).where(chosen)).first()
    return Failures(count=int(row[0]), last_at=parse_moment(str(row[1]))) if row else None
