"""The folder of ssh's control sockets: connections that are kept open between plays."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError

FORGOTTEN = 2 * 86400  # seconds: no play leaves its connections alone for so long


class ControlSockets:
    """The control sockets of one deployer.

    Args:
        state: the deployer's folder.
        apart: tells these connections from those of another deployer with the same folder.
        environ: the user's environment variables.

    Attributes:
        path: the folder, whether it exists or not.
    """

    def __init__(self, state: Path, apart: str, environ: Mapping[str, str]) -> None:
        self._environ = environ
        base = Path(environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        number = zlib.crc32(f"{state}{apart}".encode())
        # Short, since the paths of sockets may not exceed about 100 characters.
        self.path = base / f"orc-{os.geteuid()}-{number:08x}"

    def folder(self) -> Path:
        """The folder, made when it does not exist. Raises D105 when it belongs to another user."""
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
            _tidy(self.path.parent)
        self._check()
        return self.path

    def close(self) -> None:
        """Close the connections that were kept open for speed, and remove their folder."""
        if not self.path.is_dir():
            return
        self._check()
        for socket in self.path.iterdir():
            words = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "nobody"]
            env = dict(self._environ)
            subprocess.run(words, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=env)
        shutil.rmtree(self.path, ignore_errors=True)

    def _check(self) -> None:
        about = self.path.lstat()
        if about.st_uid != os.geteuid() or about.st_mode & 0o077 or self.path.is_symlink():
            raise OrchestratorError("D105", f"{self.path} belongs to somebody else")


def _tidy(base: Path) -> None:
    """Take away the folders of processes that were killed before they could: they have been empty for days."""
    before = time.time() - FORGOTTEN
    for folder in base.glob(f"orc-{os.geteuid()}-*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_mtime < before:
                folder.rmdir()  # only when it is empty: ssh has ended what was open there
