"""The worker of a server: a process of its own, started again when it ends.

The server holds its standard input open. It ends with the server, also with one that is killed: then it stops as a
user stops it, and the worker of the next server resumes its runs.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestrator.app.opening import ServerOptions

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STEADY_S = 60.0
"""A worker that has run for so long is started again without a longer pause."""
STOP_S = 30.0
COMMAND = (sys.executable, "-m", "orchestrator", "worker", "--as-system", "--until-input-ends")


class OwnWorker:
    """Keeps one process of *command* in the *folder* of a project until it is stopped. *environ* are its variables."""

    def __init__(
        self, folder: Path, command: tuple[str, ...] = COMMAND, environ: Mapping[str, str] | None = None
    ) -> None:
        self._folder, self._command, self._environ = folder, command, environ
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="own worker", daemon=True)

    def start(self) -> None:
        """Start the worker, and watch it."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the worker as a user does: it takes no new runs, and its runs stop before their next step."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        self._thread.join(STOP_S)

    @property
    def process(self) -> int | None:
        """The number of the worker's process; None between two of them."""
        with self._lock:
            return self._process.pid if self._process is not None and self._process.poll() is None else None

    def _keep(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            with self._lock:
                if self._stopping.is_set():
                    return
                started = subprocess.Popen(self._command, cwd=self._folder, env=self._environ, stdin=subprocess.PIPE)
                self._process = started
            steady = self._wait(started)
            if started.stdin is not None:
                started.stdin.close()
            pause = FIRST_PAUSE_S if steady else min(pause * 2, LONGEST_PAUSE_S)
            self._stopping.wait(pause)

    def _wait(self, process: "subprocess.Popen[bytes]") -> bool:
        """Wait for the end of *process*; whether it was long in coming."""
        try:
            process.wait(STEADY_S)
        except subprocess.TimeoutExpired:
            process.wait()
            return True
        return False


def worker_command(options: ServerOptions) -> tuple[str, ...]:
    """The command of the worker of a server with these *options*."""
    return (*COMMAND, "--log-format", "json") if options.log_json else COMMAND


@contextmanager
def own_worker(folder: Path, environ: Mapping[str, str], command: tuple[str, ...] = COMMAND) -> Iterator[OwnWorker]:
    """A worker for the project in *folder* while the server runs: *command* with the variables *environ*."""
    made = OwnWorker(folder, command, environ)
    made.start()
    try:
        yield made
    finally:
        made.stop()
