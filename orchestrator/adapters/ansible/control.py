"""The folder of ssh's control sockets: the connections of a play, which end with it."""

import contextlib
import fcntl
import os
import secrets
import stat
import subprocess
import tempfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.processes import tagged
from orchestrator.trees import discard

FORGOTTEN = 2 * 86400  # seconds: no play leaves its connections alone for so long
NAMES = 10  # how many names another user may take before it is an error


class ControlSockets:
    """The control sockets of one deployer.

    Args:
        state: the deployer's folder.
        apart: distinguishes these connections from those of another deployer with the same folder.
        environ: the user's environment variables.
    """

    def __init__(self, state: Path, instance: str, environ: Mapping[str, str]) -> None:
        self._state, self._instance, self._environ = state, instance, environ
        self._lock: int | None = None
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The folder, whether it exists or not.

        Its path is short, since the paths of sockets may not exceed about 100 characters.
        """
        if self._path is None:
            base = Path(self._environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
            self._path = base / f"orc-{os.geteuid()}-{_word(self._state, self._instance)}"
        return self._path

    def folder(self) -> Path:
        """The folder, made when it does not exist, and held until :meth:`close`.

        Other users of the machine see its name while it exists, and could make it later. In that case another name is
        used. Raises D105 when all names that were tried belong to another user.
        """
        taken = 0
        while not self._holds():
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
                _tidy(self.path, self._environ)
            if self._is_ours():
                self._hold()
                continue
            taken += 1
            if taken > NAMES:
                raise OrchestratorError("D105", f"{self.path} belongs to another user")
            _forget(self._state, self._instance)
            self._path = None
        return self.path

    def close(self) -> None:
        """Close connections that a killed play has left, and remove their folder."""
        if _file(self._state, self._instance).exists() and self._is_ours():
            _close(self.path, self._environ)
        self._unlock()

    def _hold(self) -> None:
        """Lock the folder. The lock of a process that is killed ends with it."""
        self._unlock()
        with contextlib.suppress(FileNotFoundError):
            self._lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _holds(self) -> bool:
        """Whether the folder that is locked is the one at the path."""
        try:
            return self._lock is not None and os.path.samestat(os.fstat(self._lock), self.path.stat())
        except OSError:
            return False

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _is_ours(self) -> bool:
        """Whether there is a folder at the path that belongs to this user, and which no other user can write to."""
        try:
            about = self.path.lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o077


def _word(state: Path, instance: str) -> str:
    """A word that another user of the machine cannot guess, the same for each process with this state folder.

    The folder is in one that all users share: who knew its name could make it before.
    """
    file = _file(state, instance)
    with contextlib.suppress(OSError):
        return file.read_text(encoding="ascii")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "w") as new:
        new.write(secrets.token_hex(6))
    with contextlib.suppress(FileExistsError):
        os.link(name, file)  # another process may have been faster: its word counts
    Path(name).unlink()
    return file.read_text(encoding="ascii")


def _forget(state: Path, instance: str) -> None:
    """Let the next word be another one."""
    _file(state, instance).unlink(missing_ok=True)


def _file(state: Path, instance: str) -> Path:
    return state / "connections" / f"{zlib.crc32(instance.encode()):08x}"


def _close(folder: Path, environ: Mapping[str, str]) -> None:
    """End ssh's masters whose sockets are in *folder*, and remove it."""
    for socket in folder.iterdir():
        words = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "nobody"]
        subprocess.run(words, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=dict(environ))
    discard(folder)


def _tidy(own: Path, environ: Mapping[str, str]) -> None:
    """Close the connections of processes that were killed before they could, and remove their folders.

    Folders without connections are removed after days: a process may be about to use one.
    """
    before = time.time() - FORGOTTEN
    for folder in own.parent.glob(f"orc-{os.geteuid()}-*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            if folder == own or about.st_uid != os.geteuid():
                continue
            if about.st_mtime < before:
                folder.rmdir()  # only if it is empty: ssh has closed its sockets
            else:
                _close_abandoned(folder, environ)


def _close_abandoned(folder: Path, environ: Mapping[str, str]) -> None:
    """Close the connections in *folder* if no process holds it or works over them: a job may outlive its starter."""
    entries = list(folder.iterdir()) if folder.lstat().st_uid == os.geteuid() and not folder.is_symlink() else []
    if not entries or not all(entry.is_socket() for entry in entries):
        return
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a process that needs it now waits
        if not tagged(f"ANSIBLE_SSH_CONTROL_PATH_DIR={folder}"):  # masters of ssh show no environment
            _close(folder, environ)
    finally:
        os.close(lock)
