"""What a job prints and reports, masked on its way into the files of its folder.

Standard library only: this is part of the supervisor. The job writes into pipes, so nothing of it is on disk before it
was masked. Whatever outlives the job cannot write any more.
"""

import contextlib
import errno
import io
import json
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from orchestrator.domain.redaction import Redactor
from orchestrator.processes import EVENTS, EVENTS_PIPE

LARGEST, HEAD, TAIL = 32 << 20, 4 << 20, 8 << 20  # bytes of output: before it is cut, and what stays of it then
CHUNK = 1 << 16
WHOLE = 8 << 20  # bytes of a file that is masked in memory
PAUSE = 0.5  # seconds without output after which what was held back of it is written as far as possible
FULL = 0.5  # seconds between attempts to write where the disk is full
PATIENCE = 10.0  # seconds of such attempts after the job has ended
TEXTS = ("result.json", "stderr.log", "engine-events.json")
"""Files that a job leaves besides its output and its events."""


class _Pipe:
    """Reads a pipe in a thread, until the job has ended and nothing is left in it.

    What comes is given to *take*; where nothing comes for a while, *pause* is called.
    """

    def __init__(self, reading: int, take: Callable[[bytes], None], pause: Callable[[], None] = lambda: None) -> None:
        self._reading, self._take, self._pause = reading, take, pause
        self._waking, self._wake = os.pipe()
        self._error: OSError | None = None
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
            over = self._ended.is_set()  # before the look: nothing of the job comes after it
            handles = [self._reading] if over else [self._reading, self._waking]
            ready, _, _ = select.select(handles, [], [], 0 if over else None if quiet else PAUSE)
            data = os.read(self._reading, CHUNK) if self._reading in ready else b""
            if not data and (self._reading in ready or over):
                return
            self._handle(data)
            quiet = not data

    def _handle(self, data: bytes) -> None:
        """Take *data*, or use the pause, unless that has failed: the job goes on, and never waits for a reader."""
        if self._error is None:
            try:
                if data:
                    self._take(data)
                else:
                    self._pause()
            except OSError as error:
                self._error = error


class Output:
    """The file that a job prints to, masked, and kept below a size while it prints.

    *handle* is where the job writes. Text that cannot be written is lost: it decides on nothing.
    """

    def __init__(self, path: str, redactor: Redactor) -> None:
        self.cut = 0
        self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        self._stream = redactor.stream()
        reading, self.handle = os.pipe()
        self._pipe = _Pipe(reading, self._take, lambda: self._write(self._stream.pause()))

    def is_closed(self, seconds: float | None) -> bool:
        """Whether no process of the job can print any more, after at most *seconds*; *handle* is closed then."""
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
        with contextlib.suppress(OSError):  # the disk is full, or broken: the job goes on
            while data:
                data = data[os.write(self._file, data) :]
            self._shorten()

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
    """

    def __init__(self, folder: str, redactor: Redactor) -> None:
        self._path = os.path.join(folder, EVENTS_PIPE)
        self._redactor, self._rest = redactor, b""
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
            self._write(masked_line(self._redactor, self._rest))
        finally:
            os.close(self._file)

    def _lines(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._write(b"".join(masked_line(self._redactor, line) + b"\n" for line in lines))

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


def masked_line(redactor: Redactor, line: bytes) -> bytes:
    """A line of JSON, masked; one that is not JSON is masked as text."""
    if redactor.is_empty:
        return line
    text = line.decode("utf-8", "replace")
    masked = redactor.json(text)
    return line if masked == text else masked.encode("utf-8", "surrogatepass")


def mask_files(folder: str, redactor: Redactor, names: tuple[str, ...] = TEXTS) -> None:
    """Mask the files *names* of a job that has ended; links and devices that it has left are not read."""
    for name in names if not redactor.is_empty else ():
        with contextlib.suppress(FileNotFoundError), _regular(os.path.join(folder, name)) as source:
            if source is not None:
                _mask_file(os.path.join(folder, name), source, redactor)


def mask_written(folder: str, redactor: Redactor) -> None:
    """Mask the files that a job that has ended has written to the folders that its description names.

    These are the files that have changed since the description was written. A file that cannot be masked is removed.
    """
    description = os.path.join(folder, "job.json")
    try:
        with open(description, encoding="utf-8") as file:
            job, since = json.load(file), os.fstat(file.fileno()).st_ctime_ns
    except (OSError, ValueError):
        return
    unmasked = [os.path.join(folder, name.strip("/")) for name in job.get("unmasked", ())]
    for name in job.get("writes", ()) if not redactor.is_empty else ():
        for path in _files_below(os.path.join(folder, name)):
            if not any(path == left or path.startswith(f"{left}/") for left in unmasked):
                _mask_written(path, since, redactor)


def _mask_written(path: str, since: int, redactor: Redactor) -> None:
    try:
        if os.lstat(path).st_ctime_ns < since:
            return
        with _regular(path) as source:
            if source is not None:
                _mask_file(path, source, redactor, os.fstat(source.fileno()).st_mode & 0o777)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _files_below(top: str) -> Iterator[str]:
    """The files below *top*; links to folders are not followed."""
    for place, _, names in os.walk(top) if not os.path.islink(top) else ():
        yield from (os.path.join(place, name) for name in names)


@contextlib.contextmanager
def _regular(path: str) -> "Iterator[io.BufferedReader | None]":
    """The open file at *path*; None if there is a link or a device. The job may have put anything there."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO}:
            raise
        yield None
        return
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        yield None
        return
    with open(handle, "rb") as file:
        yield file


def _mask_file(path: str, source: io.BufferedReader, redactor: Redactor, mode: int = 0o600) -> None:
    """Put a masked copy of *source* in its place, with *mode*, unless it has no secret."""
    as_lines = path.endswith((".json", ".jsonl"))
    if os.fstat(source.fileno()).st_size <= WHOLE:
        data = source.read()
        masked = _masked_document(data, redactor) if as_lines else redactor.mask(data)
        if masked == data:
            return
        pieces: Iterable[bytes] = [masked]
    elif as_lines:
        lines = ((line.removesuffix(b"\n"), line[-1:] == b"\n") for line in source)
        pieces = (masked_line(redactor, line) + b"\n" * ended for line, ended in lines)
    else:
        pieces = _streamed(source, redactor)
    temporary = f"{path}.{os.urandom(8).hex()}"
    handle = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as target:
        target.writelines(pieces)
        os.fchmod(handle, mode)
    os.replace(temporary, path)


def _streamed(source: io.BufferedReader, redactor: Redactor) -> Iterator[bytes]:
    stream = redactor.stream()
    while data := source.read(CHUNK):
        yield stream.feed(data)
    yield stream.end()


def _masked_document(data: bytes, redactor: Redactor) -> bytes:
    """*data*, which is one JSON document, or JSON lines."""
    with contextlib.suppress(ValueError):
        json.loads(data)
        return masked_line(redactor, data)
    return b"\n".join(masked_line(redactor, line) for line in data.split(b"\n"))
