"""Files that appear whole."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.domain.errors import OrchestratorError


class ReplacedFile:
    """A file that appears under its name when it is complete, and not at all when something goes wrong.

    Raises P112 when it cannot be written.
    """

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> BinaryIO:
        with self._reported():
            self._target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{self._target.name[:100]}.", dir=self._target.parent)
        self._temporary, self._file = Path(name), os.fdopen(handle, "w+b")
        return self._file

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if kind is None:
                with self._reported():
                    self._finish()
            elif isinstance(error, OSError):
                with self._reported():
                    raise error
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        self._file.flush()
        os.fchmod(self._file.fileno(), 0o644)
        os.fsync(self._file.fileno())
        self._temporary.rename(self._target)
        folder = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OrchestratorError("P112", f"cannot write {self._target}: {error.strerror}") from error
