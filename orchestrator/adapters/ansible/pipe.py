"""A process without a terminal and without input, in the place of the one that ansible-runner starts in a terminal.

With a terminal a prompt waits for an answer that never comes. Without one Ansible takes the default, or continues
without an answer and reports that. The child part of the adapter then ends it.
"""

import codecs
import contextlib
import os
import select
import signal
import subprocess
import time
from typing import Any, TextIO

WAIT = 5.0  # seconds without output after which the runner checks again whether the process exists
LAST = 0.1  # seconds for what a process has written last


class PipedProcess:
    """The part of `pexpect.spawn` that ansible-runner uses, over a pipe."""

    current: "PipedProcess | None" = None

    def __init__(self, command: str, words: list[str], *, cwd: str, env: dict[str, str], **_terminal: Any) -> None:
        self._process = subprocess.Popen(
            [command, *words],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.logfile_read: TextIO | None = None
        PipedProcess.current = self

    @property
    def pid(self) -> int:
        """The process and its group."""
        return self._process.pid

    @property
    def exitstatus(self) -> int | None:
        """The exit code; None when a signal has ended it."""
        code = self._process.returncode
        return code if code is not None and code >= 0 else None

    def isalive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def expect(self, patterns: Any, timeout: float | None = None, searchwindowsize: int | None = None) -> int:
        """Pass the output on until it ends. Returns the index of the end, or of the timeout, in *patterns*."""
        import pexpect

        del timeout, searchwindowsize
        ended = self._read()
        wanted = pexpect.EOF if ended else pexpect.TIMEOUT
        return patterns.index(wanted) if isinstance(patterns, list) and wanted in patterns else 0

    def kill(self) -> None:
        """End it and its group at once."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Wait for its end, after its output is passed on."""
        self._process.wait()
        self._read()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> bool:
        """Read until the end of the output, which may be held open by others when the process has ended."""
        since = time.monotonic()
        while time.monotonic() - since < WAIT:
            ready, _, _ = select.select([self._output], [], [], LAST)
            if ready:
                data = os.read(self._output, 1 << 16)
                if not data:
                    self._hand_on(b"", last=True)
                    self._process.wait()
                    return True
                self._hand_on(data)
                since = time.monotonic()
            elif not self.isalive():
                self._hand_on(b"", last=True)
                return True
        return False

    def _hand_on(self, data: bytes, *, last: bool = False) -> None:
        text = self._decoder.decode(data, last)
        if text and self.logfile_read is not None:
            self.logfile_read.write(text)
