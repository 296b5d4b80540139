"""Starting a process in a view: the only place of the project that starts code of a package or of a project."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.isolation import bubblewrap, namespaces
from orchestrator.isolation.isolator import Isolator
from orchestrator.isolation.mount import BOUND, MEMORY, Mount


def start_in_view(
    isolator: Isolator,
    made: Sequence[Mount],
    argv: Sequence[str],
    *,
    cwd: str,
    secrets: Mapping[str, bytes] | None = None,
    tied: bool = True,
    first: int = -1,
    **options: Any,
) -> "subprocess.Popen[bytes]":
    """Start *argv* with the mounts *made*, as *isolator* does it.

    Args:
        isolator: what isolates it; without one the mounts do not count.
        made: the mounts of its view.
        argv: the command.
        cwd: where it starts, as the command finds it.
        secrets: files by their paths, which are only in memory and end with the command. They need an isolator.
        tied: an isolated command ends with the process that starts it.
        first: a descriptor to which bubblewrap writes the number of the first process of the namespace, as JSON. This
            process waits for every daemon of the command; that of our own namespaces ends with the command.
        options: further arguments of `subprocess.Popen`.
    """
    if not isolator.isolates:
        if secrets:
            raise ValueError("files in memory need an isolator")
        return subprocess.Popen(list(argv), cwd=cwd, **options)
    with contextlib.ExitStack() as stack:
        files = {path: stack.enter_context(_descriptor(data)) for path, data in (secrets or {}).items()}
        every = _with_memory(made, files)
        if isolator.kind == "bubblewrap":
            command = bubblewrap.bubblewrap_words(isolator.path, every, files, cwd, argv[0], tied=tied, first=first)
            numbers = [*files.values(), *([first] if first >= 0 else [])]
        else:
            names = list(options.get("env") or os.environ)
            order = stack.enter_context(_descriptor(namespaces.order(every, files, cwd, names, tied=tied)))
            command, numbers = namespaces.namespaces_words(order), [*files.values(), order]
        return subprocess.Popen([*command, *argv], cwd="/", pass_fds=numbers, **options)


@contextlib.contextmanager
def _descriptor(data: bytes) -> Iterator[int]:
    """An open file with *data* that has no name: in memory where the system can do that."""
    number = os.memfd_create("orchestrator") if hasattr(os, "memfd_create") else _unlinked()
    try:
        with os.fdopen(os.dup(number), "wb") as file:
            file.write(data)
        os.lseek(number, 0, os.SEEK_SET)
        yield number
    finally:
        os.close(number)


def _unlinked() -> int:
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _with_memory(made: Sequence[Mount], files: Mapping[str, int]) -> list[Mount]:
    """The mounts from their real paths, with a folder in memory for the files in memory.

    A link in the path of a source would lead nowhere: the mounts are made when the root of the machine has moved.
    """
    folders = dict.fromkeys(os.path.dirname(path) for path in files)
    bound = [item._replace(source=os.path.realpath(item.source)) if item.kind in BOUND else item for item in made]
    return [*(mount for mount in bound if mount.target not in folders), *(Mount(MEMORY, folder) for folder in folders)]
