"""What an engine prints, passed on to the output of its job.

The output of a job is a pipe, which its supervisor reads. An engine that prints into a pipe without a reader dies in
the middle of an update, before it has recorded what it made. So an engine prints into a file in memory, and lives on
where its supervisor, or our own process above it, was killed. Standard library only: part of the child process.
"""

import contextlib
import os
import sys
import threading
from typing import Self

CHUNK = 1 << 16
EVERY = 0.1  # seconds between reads


class Printed:
    """A file in memory for the output of an engine, whose content is copied to *target* as it grows.

    Attributes:
        handle: where the engine prints; *target* itself where the system has no files in memory.
    """

    def __init__(self, target: int | None = None) -> None:
        self._target = sys.stdout.fileno() if target is None else target
        self.handle = os.memfd_create("printed") if hasattr(os, "memfd_create") else self._target
        self._offset = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        if self.handle != self._target:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.handle != self._target:
            self._done.set()
            self._thread.join()
            os.close(self.handle)

    def _follow(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # nothing reads it any more: the engine runs on all the same
            while not self._done.wait(EVERY):
                self._copy()
            self._copy()

    def _copy(self) -> None:
        while data := os.pread(self.handle, CHUNK, self._offset):
            self._offset += os.write(self._target, data)
