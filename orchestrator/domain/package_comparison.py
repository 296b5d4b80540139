"""The differences between two packages."""

from typing import Any, Literal

from orchestrator.domain.model import Model
from orchestrator.domain.release import Area, Commit, PackageFile, PackageRef, Revision


class FieldChange(Model):
    """One field of the release, by its path (`steps.deploy.hosts`); None where it does not exist."""

    field: str
    before: Any = None
    after: Any = None


class FileChange(Model):
    """One file of an area. *diff* has the lines of a unified diff; None if it is large, encrypted or not text."""

    area: Area
    path: str
    change: Literal["added", "removed", "changed"]
    before: PackageFile | None = None
    after: PackageFile | None = None
    diff: tuple[str, ...] | None = None


class Comparison(Model):
    """Two packages side by side. They are the same when no field and no file is listed.

    *revisions* are the Git revisions that the packages recorded. *commits* are those in which they differ, newest
    first; None if they are not known, with the reason in *commits_unknown*.
    """

    before: PackageRef
    after: PackageRef
    fields: tuple[FieldChange, ...]
    files: tuple[FileChange, ...]
    revisions: tuple[Revision | None, Revision | None] = (None, None)
    commits: tuple[Commit, ...] | None = None
    commits_unknown: str = ""
