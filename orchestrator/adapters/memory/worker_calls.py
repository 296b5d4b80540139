"""The `WorkerCalls` port in memory, with the behaviour of the database."""

import threading
from datetime import datetime

from orchestrator.domain.worker_calls import CLAIM_LASTS, WorkerCall


class MemoryWorkerCalls:
    """Calls in a dictionary."""

    def __init__(self) -> None:
        self._calls: dict[str, WorkerCall] = {}
        self._lock = threading.Lock()

    def add(self, call: WorkerCall) -> None:
        """Record a new call."""
        with self._lock:
            self._calls[call.id] = call

    def get(self, call: str) -> WorkerCall | None:
        """One call."""
        return self._calls.get(call)

    def take(self, holder: str, now: datetime) -> WorkerCall | None:
        """Claim the oldest call that waits."""
        with self._lock:
            waiting = [each for each in self._calls.values() if each.is_waiting(now)]
            if not waiting:
                return None
            first = min(waiting, key=lambda each: (each.at, each.id))
            taken = first.model_copy(update={"holder": holder, "until": now + CLAIM_LASTS})
            self._calls[taken.id] = taken
            return taken

    def change(self, call: WorkerCall) -> bool:
        """Write a call that its holder still has."""
        with self._lock:
            found = self._calls.get(call.id)
            if found is None or found.holder != call.holder or found.ended_at is not None:
                return False
            self._calls[call.id] = call
            return True

    def remove_before(self, at: datetime) -> None:
        """Remove what is old."""
        with self._lock:
            self._calls = {key: each for key, each in self._calls.items() if each.at >= at}

    def close(self) -> None:
        """Nothing is open."""
