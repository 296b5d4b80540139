"""Following runs at a server: its stream of events reports when there is something to read."""

import threading
import time
from contextlib import suppress

from orchestrator.app.queries import Queries
from orchestrator.app.run_reader import POLL_S, RunReader
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Record, Run
from orchestrator.ports.servers import ServerConnection

LONGEST_WAIT_S = 2.0
"""How long a follower waits at most: whether a worker lives is not an event."""
RECONNECT_S = 1.0


class EventWatch:
    """Listens to the events of the server behind *connection*, in a thread of its own."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection, self._news = connection, threading.Event()
        self._thread: threading.Thread | None = None

    def wait(self, seconds: float) -> None:
        """Return at the next event, or after these *seconds*. The first call starts to listen."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()
        self._news.wait(seconds)
        self._news.clear()

    def _listen(self) -> None:
        """Listen until the process ends. After a lost connection the stream continues after its last event."""
        cursor: str | None = None
        while True:
            with suppress(OrchestratorError):
                for each in self._connection.events("/api/v1/events", cursor):
                    cursor = each
                    self._news.set()
            time.sleep(RECONNECT_S)


class RemoteRunReader(RunReader):
    """Reads runs of a server for an actor, by *queries*."""

    def __init__(self, queries: Queries, actor: Actor, watch: EventWatch) -> None:
        self._queries, self._actor, self._watch = queries, actor, watch

    def wait(self, *, ending: bool = False) -> None:
        """Return at the next event, or after a time: that a worker has ended is not an event."""
        self._watch.wait(POLL_S if ending else LONGEST_WAIT_S)

    def run(self, wanted: str) -> Run:
        """The run with the id *wanted*, or the only one whose id starts with it. Raises R101 and R102."""
        return self._queries.find_run(self._actor, wanted)

    def records(self, run: str, after: int = 0) -> list[Record]:
        """The entries of *run* after the entry number *after*, oldest first."""
        found = page = self._queries.records(self._actor, run, after)
        while page:
            page = self._queries.records(self._actor, run, page[-1].seq)
            found = [*found, *page]
        return found

    def has_worker(self, root: str) -> bool:
        """Whether a process works, or may work, on the request *root*."""
        return self._queries.has_worker(self._actor, root)
