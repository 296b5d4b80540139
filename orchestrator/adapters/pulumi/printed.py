"""What an engine prints, passed on to the output of its job.

The output of a job is a pipe, which its supervisor reads. An engine that prints into a pipe without a reader dies in
the middle of an update, before it has recorded what it made. So an engine prints into a file in memory, and lives on
where its supervisor, or our own process above it, was killed. Memory of what was passed on is freed, and what an engine
prints faster than that is cut in its middle. Standard library only: part of the child process.
"""

import contextlib
import os
import sys
import threading
from typing import Self

CHUNK = 1 << 16
EVERY = 0.1  # seconds between reads
MOST, TAIL = 32 << 20, 16 << 20  # bytes that wait to be passed on: before they are cut, and after the cut
FREED = 1 << 20  # bytes that are freed at once
PUNCH_HOLE = 3  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE


class Printed:
    """A file in memory for the output of an engine, whose content is copied to *target* as it grows.

    Attributes:
        handle: where the engine prints; *target* itself where the system has no files in memory.
    """

    def __init__(self, target: int | None = None) -> None:
        self._target = sys.stdout.fileno() if target is None else target
        self.handle = os.memfd_create("printed") if hasattr(os, "memfd_create") else self._target
        self._offset = self._freed = 0
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
            self._cut()
            self._free()

    def _cut(self) -> None:
        """Leave out the middle of what waits to be passed on, if it is too much."""
        size = os.fstat(self.handle).st_size
        left_out = size - TAIL - self._offset
        if size - self._offset > MOST:
            os.write(self._target, f"\n[… {left_out} bytes were left out here …]\n".encode())
            self._offset += left_out

    def _free(self) -> None:
        """Free the memory of what was passed on."""
        if self._offset - self._freed >= FREED:
            _punch(self.handle, self._freed, self._offset - self._freed)
            self._freed = self._offset


def _punch(handle: int, start: int, length: int) -> None:
    """Make a hole in a file. Where that is not possible its memory is freed when the engine has ended."""
    import ctypes  # most engines print less

    with contextlib.suppress(AttributeError):
        fallocate = ctypes.CDLL(None).fallocate64
        fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        fallocate(handle, PUNCH_HOLE, start, length)
