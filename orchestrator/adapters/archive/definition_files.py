"""Which files of a project belong to its definition: those that Git would check out, without credentials."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.adapters.archive import links
from orchestrator.adapters.archive.key_scan import Scan
from orchestrator.adapters.archive.selection import ENVIRONMENT, PROJECT, secrets, too_large
from orchestrator.adapters.archive.tree import list_project
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors, Where
from orchestrator.domain.packing import KeyMaterial
from orchestrator.domain.project_definition import LARGEST_DEFINITION, MOST_FILES, DefinitionManifest
from orchestrator.domain.release import PackageFile, Revision

RESULTS = (".release", ".backup")
KEY_FILE = "private_key_file"
KEYS = ("ansible_ssh_private_key_file", f"ansible_{KEY_FILE}", "ansible_become_password_file")
ASKED = frozenset({"prompt", "prompt_ask_vault_pass"})
"""What Ansible takes for a question, and not for a file with a password."""


@dataclass(frozen=True)
class ProjectFolder:
    """The folder *root* of the project *name*, with its *environments* and their folders.

    *allowed* is the key material that releases of the project may have.
    """

    root: Path
    name: str
    environments: tuple[tuple[Environment, Path], ...]
    allowed: tuple[KeyMaterial, ...] = ()


@dataclass(frozen=True)
class SelectedFiles:
    """The *names* of the files, the names of *credentials* that are left out, and the *revision* of Git."""

    names: tuple[str, ...]
    credentials: tuple[str, ...]
    revision: Revision | None


def select_files(project: ProjectFolder) -> SelectedFiles:
    """The files of the definition of *project*. Raises N181, P103, P109, P116, P117 and P119."""
    root = project.root
    listing = list_project(root)
    credentials = credential_files(project, listing.names)
    left_out = set(credentials)
    names = tuple(sorted(name for name in listing.names if name not in left_out and not _is_result(name)))
    for needed in _needed(project):
        if needed not in names:
            hint = f"add it to Git (git add -f {needed}), or remove its pattern from .orchestratorignore"
            text = f"{needed} is not in the definition: Git ignores it, or .orchestratorignore names it"
            raise OrchestratorError("P116", text, hint=hint)
    sizes = {name: (root / name).lstat().st_size for name in names}
    error = too_large(sizes, MOST_FILES, LARGEST_DEFINITION, f"{LARGEST_DEFINITION >> 20} MiB")
    if error is not None:
        hint = "let Git ignore what servers and workers do not need, or name it in .orchestratorignore"
        raise OrchestratorError(error.code, error.message, hint=hint)
    _check_links(root, names)
    _check_keys(project, names)
    return SelectedFiles(names, credentials, listing.revision)


def credential_files(project: ProjectFolder, names: frozenset[str]) -> tuple[str, ...]:
    """The files in the folder of *project* with passwords and keys that settings name, also if they do not exist."""
    top = os.path.realpath(project.root)
    found = {os.path.relpath(path, top) for path in secrets(project.root, names) if path.startswith(f"{top}{os.sep}")}
    for environment, _ in project.environments:
        found |= {name for name in _own_files(environment) if _is_inside(name)}
    return tuple(sorted(found - ASKED))


def _own_files(environment: Environment) -> Iterator[str]:
    """The files with keys that variables of *environment* name."""
    for name in KEYS:
        value = environment.ansible.extra_vars.get(name)
        if isinstance(value, str) and value and "{{" not in value:
            yield os.path.normpath(value)


def _is_inside(path: str) -> bool:
    return not path.startswith(("/", "~", "../")) and path not in {"", ".", ".."}


def _is_result(name: str) -> bool:
    """Whether the orchestrator has written the file *name*."""
    return name.startswith("dist/") or ("/" not in name and name.endswith(RESULTS))


def _needed(project: ProjectFolder) -> Iterable[str]:
    """The files that every project needs."""
    found = (folder / ENVIRONMENT for _, folder in project.environments)
    return [PROJECT, *(file.relative_to(project.root).as_posix() for file in found)]


def _check_links(root: Path, names: tuple[str, ...]) -> None:
    """Each link leads to a place in the project. Raises P103."""
    known = {name: str((root / name).readlink()) for name in names if (root / name).is_symlink()}
    for name, link in known.items():
        why = links.objection(link) or ("" if links.target(name, known) is not None else "leads out of the project")
        if why:
            hint = "make it a relative link inside the project, replace it by a copy, or name it in .orchestratorignore"
            raise OrchestratorError("P103", f"the target of the link {name} {why}: {link}", hint=hint)


def _check_keys(project: ProjectFolder, names: tuple[str, ...]) -> None:
    """No file has a key or a password, but for those that a release may have. Raises N181 for each."""
    scan = Scan(project.allowed)
    for name in names:
        if not (project.root / name).is_symlink():
            scan.file(name, project.root / name)
    hint = "let Git ignore it or name it in .orchestratorignore, and copy it to each worker; or use ansible-vault"
    errors = [
        OrchestratorError("N181", f"{name} has {finding.what}", where=Where(name, finding.line), hint=hint)
        for name, finding in scan.found
    ]
    if len(errors) > 1:
        raise OrchestratorErrors(errors)
    if errors:
        raise errors[0]


def manifest_faults(manifest: DefinitionManifest) -> str:
    """What is wrong with *manifest*, whose names are plain; empty if nothing is."""
    names = [file.path for file in manifest.files]
    if names != sorted(names) or list(manifest.credentials) != sorted(set(manifest.credentials)):
        return "its files are not in order"
    if len(names) > MOST_FILES or manifest.size > LARGEST_DEFINITION:
        return f"it has more than {MOST_FILES} files or {LARGEST_DEFINITION >> 20} MiB"
    if PROJECT not in names:
        return f"it has no {PROJECT}"
    if any(file.area != "content" for file in manifest.files):
        return "a file is in another area"
    strange = next(_strange_links(manifest), None)
    return f"the link {strange} leads out of the project" if strange is not None else ""


def _strange_links(manifest: DefinitionManifest) -> Iterator[str]:
    """The links that lead out of the project, or that are written as no program of ours writes them."""
    known = {file.path: file.link for file in manifest.files if file.link is not None}
    for file in manifest.files:
        link = file.link
        if link is not None and (links.objection(link) or links.target(file.path, known) is None or not _is_link(file)):
            yield file.path


def _is_link(file: PackageFile) -> bool:
    sha256 = hashlib.sha256(str(file.link).encode()).hexdigest()
    return (file.size, file.sha256, file.executable) == (0, sha256, False)
