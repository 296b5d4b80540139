"""What serves an isolated job from outside of its view: a command that is started at the first request of the job.

Standard library only: this is part of the supervisor.
"""

import contextlib
import os
import select
import socket
import subprocess
import threading
from collections.abc import Sequence

from orchestrator.processes import LISTENING, SERVED

SOCKET = "served.sock"
"""The socket of the job, in its folder."""

PATIENCE = 30.0  # seconds that what was started for a job that has ended may still take


class Serving:
    """The socket of the job in *folder*, and the command *argv* behind it. The job finds it by a variable."""

    def __init__(self, folder: str, argv: Sequence[str]) -> None:
        self._argv = list(argv)
        self._listening = _listening(folder)
        self._waking, self._wake = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None
        os.environ[SERVED] = f"{folder}/{SOCKET}"
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The job has ended: end the command as well."""
        os.write(self._wake, b"!")
        self._thread.join()
        self._listening.close()
        for handle in (self._waking, self._wake):
            os.close(handle)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        """Start the command at the first connection: most jobs never connect."""
        if self._listening.fileno() not in select.select([self._listening.fileno(), self._waking], [], [])[0]:
            return
        number = self._listening.fileno()
        env = {**os.environ, LISTENING: str(number)}
        del env[SERVED]
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                self._argv,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[number],
                start_new_session=True,
            )


def _listening(folder: str) -> socket.socket:
    """A socket in *folder*, whose path may be longer than an address can be."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        made = socket.socket(socket.AF_UNIX)
        made.bind(f"/proc/self/fd/{handle}/{SOCKET}")
        made.listen(64)
        return made
    finally:
        os.close(handle)
