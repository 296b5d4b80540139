"""Files that the playbooks of a run wrote on this machine, and their download."""

import os
import shutil
from pathlib import Path

from orchestrator.trees import entry


def copy_written(folder: Path, path: str, target: Path) -> None:
    """Copy the file *path* of *folder* to the same place below *target*; no link leads anywhere else."""
    with entry(folder, path) as found:
        if found is not None and found.is_file:
            copy = target / path
            copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(copy, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(found.open(), "rb") as source, os.fdopen(handle, "wb") as written:
                shutil.copyfileobj(source, written)
