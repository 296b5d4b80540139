"""The `SignIns` port in memory, with the behaviour of the database."""

import threading
from datetime import datetime

from orchestrator.domain.access.sign_in import Failures, Session


class MemorySignIns:
    """Sessions and failed sign-ins in dictionaries."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._failures: dict[str, Failures] = {}
        self._kept: dict[str, tuple[str, datetime]] = {}
        self._lock = threading.Lock()

    def start(self, session: Session) -> None:
        """Keep a new session."""
        with self._lock:
            self._sessions[session.sha256] = session

    def session(self, sha256: str) -> Session | None:
        """The session."""
        return self._sessions.get(sha256)

    def use(self, session: Session) -> None:
        """Record a later use."""
        with self._lock:
            if session.sha256 in self._sessions:
                self._sessions[session.sha256] = session

    def end(self, sha256: str) -> bool:
        """End a session."""
        with self._lock:
            return self._sessions.pop(sha256, None) is not None

    def end_all(self, user: str) -> int:
        """End every session of *user*."""
        mine = self.sessions_of(user)
        return sum(self.end(session.sha256) for session in mine)

    def sessions_of(self, user: str) -> tuple[Session, ...]:
        """The sessions of *user*."""
        mine = (session for session in list(self._sessions.values()) if session.user == user)
        return tuple(sorted(mine, key=lambda session: session.started_at, reverse=True))

    def sessions_from(self, provider_session: str) -> tuple[Session, ...]:
        """The sessions of a provider's session."""
        found = list(self._sessions.values())
        return tuple(each for each in found if each.origin and each.origin.session == provider_session)

    def keep_once(self, key: str, text: str, until: datetime) -> bool:
        """Keep a text, if the key is new."""
        with self._lock:
            return self._kept.setdefault(key, made := (text, until)) is made

    def take_once(self, key: str) -> str | None:
        """Remove and return a text."""
        with self._lock:
            return self._kept.pop(key, (None, None))[0]

    def failures(self, source: str) -> Failures | None:
        """The failures of *source*."""
        return self._failures.get(source)

    def fail(self, source: str, at: datetime) -> Failures:
        """Count one more failure."""
        with self._lock:
            before = self._failures.get(source)
            self._failures[source] = Failures(count=before.count + 1 if before else 1, last_at=at)
            return self._failures[source]

    def succeed(self, source: str) -> None:
        """Forget the failures."""
        with self._lock:
            self._failures.pop(source, None)

    def forgive(self, source: str, part: str) -> None:
        """Forget some of the failures."""
        with self._lock:
            less, before = self._failures.pop(part, None), self._failures.get(source)
            if less is None or before is None:
                return
            del self._failures[source]
            if before.count > less.count:
                self._failures[source] = before.model_copy(update={"count": before.count - less.count})

    def remove_before(self, started: datetime, failed: datetime, kept: datetime) -> None:
        """Remove what is over."""
        with self._lock:
            self._sessions = {key: each for key, each in self._sessions.items() if each.started_at >= started}
            self._failures = {key: each for key, each in self._failures.items() if each.last_at >= failed}
            self._kept = {key: each for key, each in self._kept.items() if each[1] >= kept}

    def close(self) -> None:
        """Nothing is open."""
