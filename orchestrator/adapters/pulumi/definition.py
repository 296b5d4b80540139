"""What defines an environment: every file of its Pulumi program, and its own file, kept under one digest."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from orchestrator.adapters.pulumi.child import IGNORED
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import digest_of


def digest(folder: Path, about: object) -> str:
    """The digest over every file below *folder*, and *about* (JSON data)."""
    files = {}
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - IGNORED)
        for name in sorted(names):
            path = Path(at) / name
            if path.is_file() and not name.endswith((".pyc", ".pyo")):
                files[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digest_of({"files": files, "about": about})


def keep(folder: Path, about: object, store: Path) -> tuple[str, Path]:
    """The digest of *folder*, and a copy of it below *store* that nobody edits. Made once for each digest."""
    found = digest(folder, about)
    kept = store / found.removeprefix("sha256:")
    if not kept.is_dir():
        store.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = Path(tempfile.mkdtemp(prefix=".copying-", dir=store))
        try:
            shutil.copytree(
                folder, temporary / "program", ignore=lambda _at, names: IGNORED & set(names), symlinks=False
            )
            if digest(temporary / "program", about) != found:
                raise OrchestratorError("E104", f"{folder} changed while it was read")
            (temporary / "program").rename(kept)
        except FileExistsError:
            pass  # another process kept the same definition
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return found, kept
