"""The copy of a program that the engine runs in, so that nothing is ever written to the user's own files.

Standard library only: this is part of the child process. Two things about the copy decide whether Pulumi behaves as it
does by hand:

- *It lies at the same path each time.* Python's dynamic providers are kept in the stack's state as pickles, and a
  pickle holds the path of its source. A new folder for each operation would make each of them a change, and the update
  would not fit the saved plan. So an environment has one folder, and a lock keeps two operations from sharing it.
- *It has what is read.* The copy has the files of the kept definition, each verified while it is copied, at their
  places below the project's root, and links to the folders of installed packages. So `../shared`,
  `virtualenv: ../.venv` and `node_modules` mean what they mean by hand. What else lies beside the program is a link
  that leads nowhere: a list of a folder has its name, and reading it fails.
"""

import contextlib
import fcntl
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import IO, Any

from orchestrator.file_system import is_locked, write_whole
from orchestrator.trees import discard, walk

INSTALLED = {".venv", "venv", "node_modules"}
PASSED_OVER = {".git", "__pycache__", ".pulumi", ".orchestrator", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
IGNORED = INSTALLED | PASSED_OVER
MOST = 1 << 16  # bytes of lines about encryption
NOWHERE = "not-in-the-definition"  # what links to files outside the definition lead to
SECRETS_LINE = re.compile(r"^(encryptionsalt|encryptedkey|secretsprovider):", re.MULTILINE)


class Refused(Exception):
    """The operation must not start. *code* is one of ours, *urns* are the resources that it is about."""

    def __init__(self, code: str, message: str, urns: list[str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.urns = code, message, urns or []


class Workspace:
    """The folder of one environment, as a context: entered with the lock taken and a fresh copy laid.

    Args:
        spec: the job's `spec.json`.
        job: the job's folder, which has the stack's configuration as `stack.yaml`.
        notice: receives the reason of a wait.
    """

    def __init__(self, spec: dict[str, Any], job: Path, notice: Callable[[str, str], None]) -> None:
        self._configuration, self._notice = job / "stack.yaml", notice
        self._kept, self._salt = Path(spec["kept"]), Path(spec["salt"])
        self._files: list[tuple[str, str, bool]] = spec["files"]
        self._others: list[str] | None = spec["others"]  # None: everything beside the program is linked
        self._project, self._place = Path(spec["project"]), str(spec["place"])
        self._root = Path(spec["work"])
        self._program = self._root / self._place
        self._config_file = self._program / spec["config_file"]
        self._lock: IO[str] | None = None

    def __enter__(self) -> Path:
        """The program's folder in the copy."""
        self._root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._root.with_name(f"{self._root.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._notice("info", "waiting for another operation on this environment")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._lay()
        except Refused:
            self.__exit__()
            raise
        return self._program

    def __exit__(self, *_: object) -> None:
        self._keep_salt()
        discard(self._root)
        if self._lock is not None:
            self._lock.close()

    def _lay(self) -> None:
        discard(self._root)
        for name, sha256, executable in self._files:
            self._copy(name, sha256, executable=executable)
        self._program.mkdir(parents=True, exist_ok=True)
        for name in self._others or ():
            _link(Path(NOWHERE, PurePath(name).name), self._root / name)
        self._surround()
        self._bring_installed()
        self._config_file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._configuration, self._config_file)

    def _copy(self, name: str, sha256: str, *, executable: bool) -> None:
        """Copy one file of the definition, if it matches its digest. Raises :class:`Refused` (E166)."""
        original = self._kept / name
        data = original.read_bytes() if original.is_file() and not original.is_symlink() else b""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Refused("E166", f"the kept definition was changed: {original}; nothing was changed")
        copy = self._root / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(data)
        copy.chmod(0o755 if executable else 0o644)

    def _surround(self) -> None:
        """Link what a definition of the first format does not have: everything beside the program."""
        at, original = self._root, self._project
        for part in (*PurePath(self._place).parts, ""):
            for path in original.iterdir() if original.is_dir() and self._others is None else ():
                if path.name not in PASSED_OVER:
                    _link(path, at / path.name)
            at, original = at / part, original / part

    def _bring_installed(self) -> None:
        """Link the folders of installed packages."""
        for path in installed_folders(self._project, self._place):
            _link(path, self._root / path.relative_to(self._project))

    def _keep_salt(self) -> None:
        """Leave the lines about encryption that the engine added to the copy: the next copy starts with them."""
        added: list[str] = []
        with contextlib.suppress(OSError):
            if not SECRETS_LINE.search(self._configuration.read_text(encoding="utf-8")):
                lines = self._config_file.read_text(encoding="utf-8").splitlines(keepends=True)
                added = [line for line in lines if SECRETS_LINE.match(line)]
        if added:
            write_whole(self._salt, "".join(added))


def keep_salt(left: Path, salt: Path) -> None:
    """Keep the lines about encryption that an operation has *left*, and no other ones, as *salt*."""
    with contextlib.suppress(OSError, UnicodeError):
        if left.is_symlink() or left.stat().st_size > MOST:
            return
        lines = left.read_text(encoding="utf-8").splitlines(keepends=True)
        write_whole(salt, "".join(line for line in lines if SECRETS_LINE.match(line)))
        left.unlink()


def installed_folders(project: Path, place: str) -> Iterator[Path]:
    """The folders of installed packages: beside the program at *place*, up to the root *project*, and below it."""
    original = project
    for part in PurePath(place).parts:
        yield from (path for path in (original.iterdir() if original.is_dir() else ()) if is_installed(path))
        original /= part
    for at, folders, names in walk(original):
        yield from (Path(at, name) for name in (*folders, *names) if is_installed(Path(at, name)))
        folders[:] = [name for name in folders if name not in IGNORED and not is_installed(Path(at, name))]


def is_installed(path: Path) -> bool:
    """Whether *path* holds installed packages: a virtual environment, or what npm has installed."""
    return path.name in INSTALLED or (path / "pyvenv.cfg").is_file()


def in_use(root: Path) -> bool:
    """Whether an operation is running in the environment's folder *root*."""
    return is_locked(root.with_name(f"{root.name}.lock"))


def _link(original: Path, link: Path) -> None:
    """Link to *original*, unless the copy has something of that name, or has left its folder out."""
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        link.symlink_to(original)
