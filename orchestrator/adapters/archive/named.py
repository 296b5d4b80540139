"""The files of a project that the playbooks of a release name by a literal path: they have to be in its package."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from orchestrator.adapters.ansible.playbook_reader import PlaybookReader
from orchestrator.adapters.archive.galaxy import SearchPaths, requirement_folders
from orchestrator.adapters.archive.references import ROLE, Reference, candidates, references
from orchestrator.adapters.archive.templated import unpacked_folder
from orchestrator.adapters.archive.tree import Listing
from orchestrator.adapters.archive.written import Written
from orchestrator.domain.errors import OrchestratorError, Where

YAML = (".yml", ".yaml")
READ_IN_ROLES = {"tasks", "handlers", "meta"}


class Project(Protocol):
    """The files of a project, of which some are taken."""

    project: Path
    taken: set[str]
    listing: Listing

    def require(self, name: str, what: str, where: Where | None = None) -> None:
        """Take the file or folder *name*."""


class ReferencedFiles:
    """Finds what the playbooks of a release name, and what that names, and takes it.

    Args:
        tree: the files of the project.
        places: where roles are found.
        kept: whether a path in the tree is a controller file that runs keep.
    """

    def __init__(self, tree: Project, places: SearchPaths, kept: Callable[[str], bool] = lambda _path: False) -> None:
        self._kept = kept
        self._tree, self._places = tree, places
        self._installed = requirement_folders(places)["roles"]
        self._warnings: list[OrchestratorError] = []
        self._written = Written(tree.project, [], PlaybookReader(tree.project))

    def take(self, playbooks: list[str]) -> list[OrchestratorError]:
        """Take what *playbooks* name; a warning (P111) for each path to nothing. Raises P105 and P116.

        A file that an earlier task of the same playbook writes on the controller exists when it is read. A controller
        file that runs keep may be.
        """
        starts = [self._tree.project / name for name in playbooks]
        reader = PlaybookReader(self._tree.project, self._places.of("roles"), self._places.of("collections"))
        self._written = Written(self._tree.project, playbooks, reader)
        waiting, seen = list(playbooks), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for reference in references(self._tree.project / name, name):
                waiting += self._found(reference, self._tree.project / name, starts)
        return self._warnings

    def _found(self, reference: Reference, file: Path, starts: list[Path]) -> list[str]:
        """Take what *reference*, named in *file*, leads to. Returns the files of it that may name others."""
        tree = self._tree
        if not reference.literal:
            warning = unpacked_folder(reference, file, starts, tree.project, tree.taken, tree.listing.names)
            self._warnings += [warning] if warning is not None else []
            return []
        if reference.folder == ROLE:
            return self._role(reference, file, starts)
        return self._file(reference, list(candidates(reference, file, starts)))

    def _file(self, reference: Reference, places: list[Path]) -> list[str]:
        """Take the first of *places* that exists; the YAML files in it. Raises P105 and P116."""
        for path in places:
            if path.exists() and path.is_relative_to(self._tree.project):
                name = path.relative_to(self._tree.project).as_posix()
                if name == ".":
                    return []
                self._tree.require(name, f"{reference.path!r}", reference.where)
                return [name] if path.is_file() and name.endswith(YAML) else []
        if self._written.before(reference.where, places) or any(map(self._is_kept, places)):
            return []
        outside = next((path for path in places if path.exists()), None)
        if outside is not None:
            message = f"{reference.path!r} leads out of the project to {outside}"
            hint = "copy it into the project, and use that path"
            raise OrchestratorError("P105", message, where=reference.where, hint=hint)
        message = f"{reference.path!r} does not exist in the project, and will be missing when the release runs"
        hint = "correct the path, or write the file"
        self._warnings.append(OrchestratorError("P111", message, where=reference.where, hint=hint))
        return []

    def _is_kept(self, path: Path) -> bool:
        inside = path.is_relative_to(self._tree.project)
        return inside and self._kept(path.relative_to(self._tree.project).as_posix())

    def _role(self, reference: Reference, file: Path, starts: list[Path]) -> list[str]:
        """Take the role that is named in *file*; the files of it that may name others. Raises P116.

        The build checks report a role that does not exist.
        """
        folders = [folder for start in starts for folder in (start.parent / "roles", start.parent)]
        folders += [*self._places.of("roles"), *_around(file), file.parent]
        for folder in dict.fromkeys(folders):
            path = Path(os.path.normpath(folder / reference.path))
            if path.is_dir() and path.is_relative_to(self._tree.project) and path != self._tree.project:
                name = path.relative_to(self._tree.project).as_posix()
                inside = [taken for taken in self._tree.taken if taken.startswith(f"{name}/")]
                if not inside and folder in self._installed:
                    return []  # it was installed there for a requirements file, and is packed beside the tree
                self._tree.require(name, f"the role {reference.path!r}", reference.where)
                return [taken for taken in sorted(self._tree.taken) if _names_files(taken, name)]
        return []


def _names_files(name: str, role: str) -> bool:
    """Whether *name* is a file of *role* that can name others."""
    inner = name.removeprefix(f"{role}/")
    return inner != name and inner.split("/")[0] in READ_IN_ROLES and inner.endswith(YAML)


def _around(file: Path) -> Iterator[Path]:
    """The folder of the role that *file* belongs to: a role finds those beside it."""
    for parent in file.parents:
        if parent.name in READ_IN_ROLES:
            yield parent.parent.parent
