"""What a job prints and reports, masked on its way into the files of its folder.

Standard library only: this is part of the supervisor. The job writes into pipes, so nothing of it is on disk before it
was masked. Whatever outlives the job cannot write any more.
"""

import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Callable

from orchestrator.domain.redaction import Redactor
from orchestrator.processes import EVENTS, EVENTS_PIPE
from orchestrator.resources import full

LARGEST, HEAD, TAIL = 32 << 20, 4 << 20, 8 << 20  # bytes of output: before it is cut, and what stays of it after that
CHUNK = 1 << 16
LONGEST_EVENT = 128 << 20  # bytes of one event: the report of a host's files has up to 64 MiB
MOST_EVENTS = 2 << 30  # bytes of all events of a job
PAUSE = 0.5  # seconds without output after which what was held back of it is written as far as possible
FULL = 0.5  # seconds between attempts to write where the disk is full
PATIENCE = 10.0  # seconds of such attempts after the job has ended


class _Pipe:
    """Reads a pipe in a thread, until the job has ended and nothing is left in it.

    What comes is given to *take*; where nothing comes for a while, *pause* is called.
    """

    def __init__(self, reading: int, take: Callable[[bytes], None], pause: Callable[[], None] = lambda: None) -> None:
        self._reading, self._take, self._pause = reading, take, pause
        self._waking, self._wake = os.pipe()
        self._error: OSError | MemoryError | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The job has ended: read what is left. Raises what *take* has raised."""
        self._ended.set()
        os.write(self._wake, b"!")
        self._thread.join()
        for handle in (self._reading, self._waking, self._wake):
            os.close(handle)
        if self._error is not None:
            raise self._error

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self._ended.is_set()

    def is_closed(self, seconds: float | None) -> bool:
        """Whether every process has closed its end of the pipe, after at most *seconds*; None sets no limit."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _read(self) -> None:
        quiet = True
        while True:
            over = self._ended.is_set()  # read before the pipe: nothing of the job comes after it
            handles = [self._reading] if over else [self._reading, self._waking]
            ready, _, _ = select.select(handles, [], [], 0 if over else None if quiet else PAUSE)
            data = os.read(self._reading, CHUNK) if self._reading in ready else b""
            if not data and (self._reading in ready or over):
                return
            self._handle(data)
            quiet = not data

    def _handle(self, data: bytes) -> None:
        """Take *data*, or use the pause, unless that has failed: the job continues, and never waits for a reader."""
        if self._error is None:
            try:
                if data:
                    self._take(data)
                else:
                    self._pause()
            except (OSError, MemoryError) as error:
                self._error = error


class Output:
    """The file that a job prints to, masked, and kept below a size while it prints.

    *handle* is where the job writes. Text that cannot be written is lost: it decides on nothing.
    """

    def __init__(self, path: str, redactor: Redactor) -> None:
        self.cut, self.is_short = 0, False
        self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        self._stream = redactor.stream()
        reading, self.handle = os.pipe()
        self._pipe = _Pipe(reading, self._take, lambda: self._write(self._stream.pause()))

    def is_closed(self, seconds: float | None) -> bool:
        """Whether no process of the job can print any more, after at most *seconds*. Closes *handle*."""
        self._close()
        return self._pipe.is_closed(seconds)

    def end(self) -> None:
        """The job prints no more."""
        self._close()
        self._pipe.end()
        self._write(self._stream.end())
        os.close(self._file)

    def _close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def _take(self, data: bytes) -> None:
        self._write(self._stream.feed(data))

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
            self._shorten()
        except OSError as error:  # the disk is full, or broken: the job continues
            self.is_short = self.is_short or full(error)

    def _shorten(self) -> None:
        size = os.fstat(self._file).st_size
        if size <= LARGEST:
            return
        tail = os.pread(self._file, TAIL, size - TAIL)
        self.cut += size - HEAD - len(tail)
        os.ftruncate(self._file, HEAD)
        os.write(self._file, f"\n[… {self.cut} bytes were left out here …]\n".encode() + tail)


class Events:
    """The file with the events of a job, masked line by line; each line stays JSON.

    The job writes them to a named pipe. An event that cannot be written is held until it can: results depend on it.
    One that is too long is left out, and so is what comes after too many bytes of them; an event reports it each time.
    """

    def __init__(self, folder: str, redactor: Redactor) -> None:
        self._path = os.path.join(folder, EVENTS_PIPE)
        self._redactor = redactor
        self._rest: list[bytes] = []  # of a line that is not whole yet
        self._skips = self._full = False
        self._size = 0
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        os.mkfifo(self._path, 0o600)
        self._file = os.open(os.path.join(folder, EVENTS), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        # It is a writer as well: a job that opens the pipe never waits for a reader.
        self._pipe = _Pipe(os.open(self._path, os.O_RDWR), self._lines)

    def end(self) -> None:
        """The job reports no more. Raises `OSError` if not every event could be written."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        try:
            self._pipe.end()
            if not self._skips:
                self._lay(masked_line(self._redactor, b"".join(self._rest)))
        finally:
            os.close(self._file)

    def _lines(self, data: bytes) -> None:
        if b"\n" not in data:
            self._hold(data)
            return
        *lines, rest = b"".join([*self._rest, data]).split(b"\n")
        self._rest = []
        if self._skips:  # the end of a line that was too long
            del lines[0]
            self._skips = False
        self._lay(b"".join(masked_line(self._redactor, line) + b"\n" for line in lines))
        self._hold(rest)

    def _hold(self, data: bytes) -> None:
        """Keep *data*, which ends in a line that is not whole, until the rest of it comes, unless it is too long."""
        self._rest += [] if self._skips or not data else [data]
        if sum(map(len, self._rest)) > LONGEST_EVENT:
            self._lay(omission_event(f"an event of more than {LONGEST_EVENT >> 20} MiB was left out"))
            self._skips, self._rest = True, []

    def _lay(self, data: bytes) -> None:
        """Write *data*, unless the job has reported too much already."""
        self._size += len(data)
        if self._size <= MOST_EVENTS:
            self._write(data)
        elif not self._full:
            self._full = True
            self._write(omission_event(f"events after the first {MOST_EVENTS >> 30} GiB were left out"))

    def _write(self, data: bytes) -> None:
        until: float | None = None
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except OSError:
                if self._pipe.ended:
                    until = until or time.monotonic() + PATIENCE
                    if time.monotonic() > until:
                        raise
                time.sleep(FULL)


def omission_event(text: str) -> bytes:
    """The event that reports in *text* what was left out."""
    return json.dumps({"kind": "notice", "level": "warning", "text": text}).encode() + b"\n"


def masked_line(redactor: Redactor, line: bytes) -> bytes:
    """A line of JSON, masked; one that is not JSON is masked as text."""
    if redactor.is_empty:
        return line
    text = line.decode("utf-8", "replace")
    masked = redactor.json(text)
    return line if masked == text else masked.encode("utf-8", "surrogatepass")
