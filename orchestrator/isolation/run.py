"""Running a command in a view to its end."""

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from orchestrator.domain.view import View
from orchestrator.isolation.isolator import Isolator
from orchestrator.isolation.mounts import mounts
from orchestrator.isolation.start import start_in_view

MOST = 256 << 20  # bytes that a command may print: what it runs may be code of a package
CHUNK = 1 << 16


def run_in_view(
    isolator: Isolator,
    view: View,
    argv: Sequence[str],
    *,
    cwd: str,
    timeout: float | None = None,
    **options: Any,
) -> "subprocess.CompletedProcess[bytes]":
    """Run *argv* in *view* to its end, without input; its exit code and what it printed.

    A command that prints too much is ended, and has failed. Raises `subprocess.TimeoutExpired` after *timeout* seconds:
    with an isolator none of its processes is left.
    """
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    made = mounts(view) if isolator.isolates else []
    with start_in_view(isolator, made, argv, cwd=cwd, stdin=subprocess.DEVNULL, **streams) as process:
        try:
            out, errors = _printed(process, timeout)
        except _TooMuch:
            process.kill()
            text = f"it printed more than {MOST >> 20} MiB, and was ended\n"
            own = process.stderr is not None
            return subprocess.CompletedProcess(
                list(argv), 1, b"" if own else text.encode(), text.encode() if own else b""
            )
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(list(argv), isolator.code(process.returncode), out, errors)


class _TooMuch(Exception):
    """A command has printed more than :data:`MOST` bytes."""


def _printed(process: "subprocess.Popen[bytes]", timeout: float | None) -> tuple[bytes, bytes]:
    """What *process* prints until it has ended: its standard output and its standard error."""
    end = None if timeout is None else time.monotonic() + timeout
    found = {stream: bytearray() for stream in (process.stdout, process.stderr) if stream is not None}
    with selectors.DefaultSelector() as waiting:
        for stream in found:
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(None if end is None else max(0.0, end - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(process.args, timeout or 0.0)
            for key, _ in ready:
                data = os.read(key.fd, CHUNK)
                found[key.fileobj] += data  # type: ignore[index]
                if not data:
                    waiting.unregister(key.fileobj)
            if sum(map(len, found.values())) > MOST:
                raise _TooMuch
    process.wait(None if end is None else max(0.0, end - time.monotonic()))
    parts = [bytes(found[stream]) if stream is not None else b"" for stream in (process.stdout, process.stderr)]
    return parts[0], parts[1]
