"""The `KeptReplies` port in memory, with the behaviour of the database."""

import threading
from datetime import datetime

from orchestrator.domain.idempotency import KeptReply


class MemoryKeptReplies:
    """Replies in a dictionary."""

    def __init__(self) -> None:
        self._replies: dict[tuple[str, str], KeptReply] = {}
        self._lock = threading.Lock()

    def open(self, actor: str, key: str, reply: KeptReply) -> KeptReply | None:
        """Keep an open reply."""
        with self._lock:
            found = self._replies.get((actor, key))
            if found is None:
                self._replies[actor, key] = reply
            return found

    def close_with(self, actor: str, key: str, reply: KeptReply) -> None:
        """Keep the reply."""
        with self._lock:
            if (actor, key) in self._replies:
                self._replies[actor, key] = reply

    def forget(self, actor: str, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._replies.pop((actor, key), None)

    def remove_before(self, at: datetime) -> None:
        """Remove what is old."""
        with self._lock:
            self._replies = {key: each for key, each in self._replies.items() if each.at >= at}

    def close(self) -> None:
        """Nothing is open."""
