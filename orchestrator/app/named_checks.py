"""Names in the files of a project that are recorded elsewhere: roles, users, environments and releases."""

import contextlib
import os
from functools import cached_property
from pathlib import Path

import orchestrator.config as files
from orchestrator.app.acting import Acting, read_own
from orchestrator.app.opening import open_application
from orchestrator.app.people import show_access
from orchestrator.config.access import load_access
from orchestrator.config.references import (
    idle_patterns,
    release_names,
    roles_named,
    source_of,
    unknown_environments,
    unknown_roles,
)
from orchestrator.config.source import Source
from orchestrator.config.store_place import has_records
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.environment import Project
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors

ACCESS = "access.yaml"
Finding = tuple[str, OrchestratorError]
"""`error` or `warning`, and what was found."""


class ProjectNames:
    """The names in the project at *root*. Each list is read once, however many files are checked."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _read_project(self) -> Project | None:
        with contextlib.suppress(OrchestratorError, OrchestratorErrors):
            return files.load_project(self.root)
        return None

    @property
    def is_readable(self) -> bool:
        """Whether the project's file can be read."""
        return self._read_project is not None

    @property
    def project(self) -> Project:
        """The project's file, or the default folders if it cannot be read."""
        return self._read_project or Project(apiVersion="orchestrator/v1", kind="Project", name="unknown")

    @cached_property
    def environments(self) -> list[str]:
        """The environments, whatever is wrong with their files."""
        return files.declared(self.root, self.project)

    @cached_property
    def releases(self) -> tuple[str, ...]:
        """The releases below the project's folder of releases."""
        return tuple(release_names(self.root, self.project.releases))


def rule_problems(file: Path, names: ProjectNames) -> list[Finding]:
    """What is wrong with names in the rules of the project or of an environment; none if *file* cannot be read."""
    source = _read(file, names.root)
    if source is None:
        return []
    wrong: list[Finding] = [("error", error) for error in unknown_environments(source, names.environments)]
    idle = idle_patterns(source, names.releases, names.environments)
    return [*_role_problems(source, names.root, names.project), *wrong, *(("warning", warning) for warning in idle)]


def _role_problems(source: Source, root: Path, project: Project) -> list[Finding]:
    """The roles that there are not. The records of the project are read only for a role that is not built in."""
    if all(name in BUILT_IN for _, name in roles_named(source)):
        return []
    access = recorded_access(root, project)
    known = Directory(access or _written_access(root)).roles
    level = "warning" if access is None else "error"
    return [(level, _unread(error) if access is None else error) for error in unknown_roles(source, known)]


def _unread(error: OrchestratorError) -> OrchestratorError:
    """*error* in a place without the records of the project, where a role of the project cannot be found."""
    hint = f"{error.hint}; a role of the project is found where its state can be read"
    message = f"{error.message} among those that can be read here"
    return OrchestratorError(error.code, message, where=error.where, hint=hint)


def _written_access(root: Path) -> Access:
    """The roles that the access file of the project would record."""
    with contextlib.suppress(OrchestratorErrors):
        return Access(roles=load_access(root / ACCESS).roles)
    return Access()


def is_access_file(file: Path) -> bool:
    """Whether the `kind` of *file* is that of an access file."""
    with contextlib.suppress(OrchestratorErrors):
        data = source_of(file, file.parent).data
        return isinstance(data, dict) and data.get("kind") == "Access"
    return False


def access_problems(file: Path, names: ProjectNames) -> list[Finding]:
    """What is wrong with an access file, together with what the project has recorded."""
    try:
        load_access(file, recorded_access(names.root, names.project))
    except OrchestratorErrors as found:
        return [("error", error) for error in found.errors]
    idle = idle_patterns(source_of(file, names.root), (), names.environments)
    return [("warning", warning) for warning in idle]


def recorded_access(root: Path, project: Project) -> Access | None:
    """The users and rights that the project at *root* has recorded; None if there are no records to be read."""
    if not has_records(root, project, os.environ):
        return None
    try:
        return _access(open_application(root).acting)
    except (OrchestratorError, OrchestratorErrors):  # the commands that need the records report it
        return None


def _access(acting: Acting) -> Access:
    """All of it. To check a file needs no right on this machine."""
    return show_access(acting) if acting.forwarder is not None else read_own(acting, lambda view: view.access)


def require_known_roles(root: Path, folder: Path, access: Access) -> None:
    """Return if there is every role that the rules of the project and of the environment in *folder* name.

    Raises F140 for each one that there is not, with its place.
    """
    known = Directory(access).roles
    found = [_read(file, root) for file in (root / files.PROJECT, folder / files.ENVIRONMENT)]
    errors = [error for source in found if source is not None for error in unknown_roles(source, known)]
    if errors:
        raise OrchestratorErrors(errors)


def _read(file: Path, root: Path) -> Source | None:
    with contextlib.suppress(OrchestratorErrors):
        return source_of(file, root)
    return None
