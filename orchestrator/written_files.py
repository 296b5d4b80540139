"""The list of the files that a play wrote, in the folder of its job, where the play may have put another one."""

import os
from pathlib import Path
from typing import Any

from orchestrator.domain.job_event import Shape, has_shape, parsed
from orchestrator.trees import LONGEST, entry

LISTING = "files.json"
LARGEST = 128 * 2**20  # bytes of a list
ITEM: Shape = {"path": str, "change": str, "size": int, "kept": bool, "more?": int}


def written_files(folder: Path) -> list[dict[str, Any]] | None:
    """The files that the play of the job in *folder* wrote, as they were listed after it; None without a valid list.

    The play can replace the list by its own. Such a list also names only files of this folder.
    """
    with entry(folder, LISTING) as found:
        if found is None or not found.is_file or found.status.st_size > LARGEST:
            return None
        with os.fdopen(found.open(), "rb") as file:
            items = parsed(file.read())
    if not isinstance(items, list) or not all(has_shape(item, ITEM) and is_below(item["path"]) for item in items):
        return None
    return items


def is_below(path: str) -> bool:
    """Whether *path* names something below the folder that it is relative to."""
    return len(path) <= LONGEST and "\0" not in path and not {"", ".", ".."} & {*path.split("/")}
