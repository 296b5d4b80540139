"""How the steps of a run are recorded: events in batches, and names that are unique in a workflow."""

import threading
from collections.abc import Callable
from typing import TypeVar

from orchestrator import tracing
from orchestrator.domain.journal import Entry
from orchestrator.ports import Clock, Durable

T = TypeVar("T")


class Prefixed:
    """Steps of one environment of a workflow: the engine requires unique names."""

    def __init__(self, durable: Durable, prefix: str) -> None:
        self._durable, self._prefix = durable, prefix

    def step(self, name: str, work: Callable[[], T]) -> T:
        """The step of this environment. Its span is recorded where it is executed, and not where it is replayed."""
        full = f"{self._prefix}.{name}"

        def traced() -> T:
            with tracing.record_span(f"step {full}", step=full):
                return work()

        return self._durable.step(full, traced)

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """The wait of this environment."""
        self._durable.sleep(f"{self._prefix}.{name}", seconds, awake)


class Reporter:
    """What adapters report events to while they work: the journal, in bunches, so that a storm of them is cheap.

    An event that comes alone is written at once; those that follow within *PAUSE* seconds wait for the next.
    """

    PAUSE = 0.05

    def __init__(self, note: Callable[..., None], clock: Clock, step: str) -> None:
        self._note, self._clock, self._step = note, clock, step
        self._waiting: list[Entry] = []
        self._written = -1.0
        self._lock = threading.Lock()

    def __call__(self, entry: Entry) -> None:
        """Take one event: whatever the adapter calls it, it belongs to the current step."""
        with self._lock:
            self._waiting.append(entry.model_copy(update={"step": self._step}))
            if self._clock.monotonic() - self._written >= self.PAUSE:
                self._write()

    def flush(self) -> None:
        """Write what still waits."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            self._note(*self._waiting)
            self._waiting = []
        self._written = self._clock.monotonic()
