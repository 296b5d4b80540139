"""The copy of a program that the engine runs in, so that nothing is ever written to the user's own files.

Standard library only: this is part of the child process. Two things about the copy decide whether Pulumi behaves as it
does by hand:

- *It lies at the same path each time.* Python's dynamic providers are kept in the stack's state as pickles, and a
  pickle holds the path of its source. A new folder for each operation would make each of them a change, and the update
  would not fit the saved plan. So an environment has one folder, and a lock keeps two operations from sharing it.
- *Its surroundings are there.* Everything beside the program, up to the project's root, is linked, as are the folders
  of installed packages inside it. So `../shared`, `virtualenv: ../.venv` and `node_modules` mean what they mean by hand.
"""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Callable
from typing import IO, Any

INSTALLED = {".venv", "venv", "node_modules"}
PASSED_OVER = {".git", "__pycache__", ".pulumi", ".orchestrator", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
IGNORED = INSTALLED | PASSED_OVER
SECRETS_LINE = re.compile(r"^(encryptionsalt|encryptedkey|secretsprovider):", re.MULTILINE)


class Workspace:
    """The folder of one environment, as a context: entered with the lock taken and a fresh copy laid.

    Args:
        spec: the job's `spec.json`.
        job: the job's folder, which has the stack's configuration as `stack.yaml`.
        notice: told what we wait for.
    """

    def __init__(self, spec: dict[str, Any], job: str, notice: Callable[[str, str], None]) -> None:
        self._spec, self._job, self._notice = spec, job, notice
        self._root, self._lock = str(spec["work"]), None
        self._program = os.path.normpath(os.path.join(self._root, spec["place"]))
        self._lock: IO[str] | None

    def __enter__(self) -> str:
        os.makedirs(os.path.dirname(self._root), exist_ok=True, mode=0o700)
        self._lock = open(f"{self._root}.lock", "w", encoding="utf-8")  # noqa: SIM115 - held until __exit__
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._notice("info", "waiting for another operation on this stack")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._lay()
        return self._program

    def __exit__(self, *_: object) -> None:
        self._keep_salt()
        shutil.rmtree(self._root, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def _lay(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        shutil.copytree(self._spec["kept"], self._root, symlinks=True)
        self._surround()
        original = os.path.normpath(os.path.join(self._spec["project"], self._spec["place"]))
        for at, folders, names in os.walk(original):
            for name in INSTALLED & {*folders, *names}:
                _link(os.path.join(at, name), os.path.join(self._program, os.path.relpath(at, original), name))
            folders[:] = [name for name in folders if name not in IGNORED]
        config = os.path.join(self._program, self._spec["config_file"])
        os.makedirs(os.path.dirname(config), exist_ok=True)
        shutil.copyfile(os.path.join(self._job, "stack.yaml"), config)

    def _surround(self) -> None:
        """Link what lies beside the program, level by level from the project's root."""
        at, original = self._root, str(self._spec["project"])
        for part in [part for part in str(self._spec["place"]).split("/") if part not in {"", "."}]:
            for name in os.listdir(original):
                if name not in {part, *PASSED_OVER}:
                    _link(os.path.join(original, name), os.path.join(at, name))
            at, original = os.path.join(at, part), os.path.join(original, part)

    def _keep_salt(self) -> None:
        """Keep the lines about encryption that the engine added to the copy: the next copy begins with them."""
        added: list[str] = []
        with contextlib.suppress(OSError):
            before = _read(os.path.join(self._job, "stack.yaml"))
            after = _read(os.path.join(self._program, self._spec["config_file"]))
            if not SECRETS_LINE.search(before):
                added = [line for line in after.splitlines() if SECRETS_LINE.match(line)]
        if added:
            temporary = f"{self._spec['salt']}.{os.getpid()}"
            with open(temporary, "w", encoding="utf-8") as kept:
                kept.write("\n".join(added) + "\n")
            os.replace(temporary, self._spec["salt"])


def _link(original: str, link: str) -> None:
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.symlink(original, link)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
