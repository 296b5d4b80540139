"""Project definitions: what servers and workers need of a project's folder, sealed under one digest."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from orchestrator.domain.model import Digest, Model, Name, canonical_json, digest_of
from orchestrator.domain.moments import Moment, moment_text
from orchestrator.domain.release import PackageFile, Revision

LARGEST_DEFINITION = 64 * 1024 * 1024
"""Bytes of the largest definition: it is in the database."""
MOST_FILES = 20_000
CURRENT, EARLIER = "current", "earlier"
"""The parts of the definitions of a project."""


class DefinitionManifest(Model):
    """The *files* of a project that its definition has, in the order of their names. Its digest is the definition's.

    *credentials* are files that the project's settings name, and that are never uploaded: each machine has its own.
    """

    apiVersion: Literal["orchestrator/v1"] = "orchestrator/v1"
    kind: Literal["ProjectDefinitionManifest"] = "ProjectDefinitionManifest"
    format: Literal[1] = 1
    project: Name
    files: tuple[PackageFile, ...]
    credentials: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        """The canonical form, as the archive has it."""
        return canonical_json(self.to_json())

    @property
    def digest(self) -> str:
        """The digest of the definition."""
        return digest_of(self.to_json())

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


class SealedDefinition(Model):
    """A definition in the archive *file*, and the *revision* of Git from which it was sealed."""

    manifest: DefinitionManifest
    file: str
    revision: Revision | None = None

    @property
    def digest(self) -> str:
        """The digest of the definition."""
        return self.manifest.digest


class ProjectDefinition(Model):
    """A definition that a project keeps: who has pushed it (*pushed_by*), and who made it current last (*used_by*).

    *files* is their number, and *size* are their bytes. *message* is the reason of the last user who made it current.
    *replaced_at* is when another one became current.
    """

    digest: Digest
    files: int = Field(ge=0)
    size: int = Field(ge=0)
    pushed_by: str
    pushed_at: Moment
    revision: Revision | None = None
    message: str = ""
    used_by: str = ""
    used_at: Moment | None = None
    is_current: bool = False
    replaced_at: Moment | None = None

    @property
    def last_needed(self) -> Moment:
        """When new runs could use it last, if it is not current."""
        return self.replaced_at or self.pushed_at

    @property
    def part(self) -> str:
        """The part of the definitions to which it belongs."""
        return CURRENT if self.is_current else EARLIER

    @property
    def position(self) -> str:
        """Its place in lists."""
        return moment_text(self.pushed_at)


class DefinitionChange(Model):
    """What became of the current definition: *before* is the digest of the earlier one, empty if there was none.

    *added*, *changed* and *removed* are names of files.
    """

    before: str = ""
    definition: ProjectDefinition
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """Whether the definition was current before."""
        return self.before == self.definition.digest


class ShownDefinition(Model):
    """A *definition* with its *files*, and the files with *credentials* that machines have of their own."""

    definition: ProjectDefinition
    files: tuple[PackageFile, ...]
    credentials: tuple[str, ...] = ()


def file_changes(
    before: Iterable[PackageFile], after: Iterable[PackageFile]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The names of the files that were added, changed and removed."""
    old, new = {file.path: file for file in before}, {file.path: file for file in after}
    changed = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    return tuple(sorted(new.keys() - old.keys())), tuple(changed), tuple(sorted(old.keys() - new.keys()))
