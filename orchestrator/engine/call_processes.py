"""The processes of a worker that execute calls of use cases for a server."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from orchestrator.domain.worker import WorkerEvent

AT_ONCE = 2
"""How many calls a worker executes at the same time, beside its runs."""
Begin = Callable[[], tuple[str, int] | None]


class CallProcesses:
    """Executes calls that wait. *begin* takes one and starts its process: its id and number; None if none waits.

    The number is 0 if the call was executed already. *on_event* receives the events.
    """

    def __init__(self, begin: Begin, on_event: Callable[[WorkerEvent], None]) -> None:
        self._begin, self._on_event = begin, on_event
        self._processes: dict[int, str] = {}

    def __bool__(self) -> bool:
        return bool(self._processes)

    def take(self) -> int:
        """Start what waits. Returns how many calls were taken."""
        taken = 0
        while len(self._processes) < AT_ONCE and (begun := self._begin()) is not None:
            call, process = begun
            taken += 1
            if process:
                self._processes[process] = call
            self._on_event(WorkerEvent("took a call", call, process))
        return taken

    def reap(self) -> None:
        """Forget processes that have ended. A call whose process died is taken again when its claim has ended."""
        for process, call in list(self._processes.items()):
            try:
                found, status = os.waitpid(process, os.WNOHANG)
            except ChildProcessError:
                found, status = process, 0
            if found:
                del self._processes[process]
                code = os.waitstatus_to_exitcode(status)
                self._on_event(WorkerEvent("ended a call", call, process, f"status {code}" if code else ""))

    def stop(self) -> None:
        """End them: another worker takes their calls again."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
