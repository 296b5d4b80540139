"""The warning of a run about the files that a play wrote in its copy of the project.

By hand they would be in the project afterwards. Here they are kept with the job, unless the environment declares them.
A play that deploys to a folder of the project has therefore deployed nothing, and must not seem to have.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.adapters.archive.tree import is_cache
from orchestrator.domain.journal import Entry
from orchestrator.domain.text import clean_text, counted

NAMED = 5  # files, and folders, that the text names
NAME = 200  # characters of each


def notice(step: str, job: str, files: Sequence[Mapping[str, Any]]) -> Entry | None:
    """The warning about *files*, which the play of *step* wrote in the copy of *job*; None if none of them matters."""
    made = [item for item in files if item["change"] != "removed" and not is_cache(str(item["path"]))]
    if not made:
        return None
    paths = [clean_text(str(item["path"]), NAME) for item in made if "more" not in item]
    folders = list(dict.fromkeys(path.rpartition("/")[0] or path for path in paths))
    listed = ", ".join(folders[:NAMED])
    number = counted(sum(int(item.get("more", 1)) for item in made), "file")
    text = (
        f"{step} wrote {number} in its copy of the project, and not in the project itself: {_some(paths)}. "
        f"They are kept with the job, and later runs do not find them. If later plays need them, add "
        f"controller_files: [{listed}] to environment.yaml. If the project itself is to be changed, add "
        f"isolation: {{write: [{listed}]}} with folders that exist"
    )
    data = {"level": "warning", "text": text, "written": folders[:NAMED]}
    return Entry(kind="notice", step=step, data=data, key=f"{job}:written")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
