"""Reading runs while they continue: the journal as it grows, and whether a process works on it."""

import time

from orchestrator.app.parts import Parts
from orchestrator.domain.journal import Record, Run

POLL_S = 0.08
"""Between two readings of the journal of this machine."""


class RunReader:
    """Reads runs for an actor who may view them. `Queries.reader` checks that once: a follower reads many times."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def run(self, wanted: str) -> Run:
        """The run with the id *wanted*, or the only one whose id starts with it. Raises R101 and R102."""
        return self._parts.store.run(wanted)

    def records(self, run: str, after: int = 0) -> list[Record]:
        """The entries of *run* after the entry number *after*, oldest first."""
        return self._parts.store.records(run, after)

    def wait(self, *, ending: bool = False) -> None:
        """Return when there may be something to read; soon, if what is read is *ending*."""
        del ending
        time.sleep(POLL_S)

    def has_worker(self, root: str) -> bool:
        """Whether a process works, or may work, on the request *root*."""
        return self._parts.engine.working(root)
