"""Where the records of a project are, without opening them."""

from collections.abc import Mapping
from pathlib import Path

from orchestrator.domain.environment import Project

_STATE = ".orchestrator/"
_SQLITE = "sqlite:///"


def store_address(root: Path, state: Path, project: Project, environ: Mapping[str, str]) -> str:
    """The database URL of the journal and the register: `ORCHESTRATOR_STORE`, otherwise that of the *project*.

    A relative path of SQLite counts from the project at *root*, and one in its `.orchestrator` from *state*.
    """
    url = environ.get("ORCHESTRATOR_STORE") or project.store
    if not url.startswith(_SQLITE):
        return url
    path = url.removeprefix(_SQLITE)
    return f"{_SQLITE}{state / path.removeprefix(_STATE) if path.startswith(_STATE) else root / path}"


def has_records(root: Path, project: Project, environ: Mapping[str, str]) -> bool:
    """Whether the project at *root* has a database that can be read. None is made."""
    if environ.get("ORCHESTRATOR_SERVER") or environ.get("ORCHESTRATOR_PROFILE"):
        return True
    state = Path(environ.get("ORCHESTRATOR_STATE") or root / ".orchestrator").absolute()
    url = store_address(root, state, project, environ)
    return not url.startswith(_SQLITE) or Path(url.removeprefix(_SQLITE)).is_file()
