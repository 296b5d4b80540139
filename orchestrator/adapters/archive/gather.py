"""What goes into a package: all that Ansible and pytest need to run the release from it, and where each file stands.

Positions are kept: the folder that the playbooks live in (beside `release.yaml`, or the project) becomes `content/`,
so that roles, `ansible.cfg`, variables files and templates are found as they were.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.adapters.archive.names import check_name
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Release

ARTIFACTS = "artifacts"
FOLDERS = (
    "roles", "collections", "group_vars", "host_vars", "library", "module_utils", "vars", "files", "templates",
    "tasks", "handlers", "defaults", "filter_plugins", "lookup_plugins", "test_plugins", "action_plugins",
    "callback_plugins", "connection_plugins", "strategy_plugins", "vars_plugins", "become_plugins", "cache_plugins",
)  # fmt: skip
FILES = ("ansible.cfg",)
PYTEST_FILES = ("conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml")
SKIPPED_FOLDERS = {
    ".git", ".hg", ".svn", "__pycache__", ".orchestrator", ".venv", "node_modules", ".pytest_cache", ".mypy_cache",
    ".ruff_cache", ".tox", ".idea", ".vscode", ".cache",
}  # fmt: skip
SKIPPED_ENDINGS = (".pyc", ".pyo", ".retry", ".swp", "~", ".DS_Store")


@dataclass
class Gathered:
    """Files by their name below `content/`, and the release with every path resolved to such a name."""

    release: Release
    files: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Places:
    """Where a release's paths are looked up: beside its file first, then in the project."""

    beside: Path
    project: Path

    def find(self, relative: str) -> tuple[Path, str]:
        """The file or folder, and its name below `content/`. Raises P101 when it is in neither place."""
        for base in (self.beside, self.project):
            found = base / relative
            if found.exists():
                return found, _below(os.path.normpath(found), base, relative)
        raise OrchestratorError("P101", f"{relative!r} is neither beside the release nor in the project")

    def roots(self, relatives: Iterable[str]) -> list[Path]:
        """The folders that the playbooks *relatives* belong to, each once."""
        found = []
        for relative in relatives:
            path, _ = self.find(relative)
            base = self.beside if path.is_relative_to(self.beside) else self.project
            if base not in found:
                found.append(base)
        return found


def gather(project: Path, source: Path, release: Release) -> Gathered:
    """Everything that *release*, read from the file *source*, needs. Raises P101 to P105."""
    places = Places(source.parent.resolve(), project.resolve())
    gathered = Gathered(release)
    playbooks = [step.playbook for step in release.steps]
    playbooks += [step.undo for step in release.steps if step.undo not in (None, "nothing", "impossible")]
    for base in places.roots(playbooks):
        _ansible(gathered, base)
    for playbook in playbooks:
        _playbook(gathered, places, playbook)
    for item in release.verify:
        _suite(gathered, places, item.tests)
    if release.watch is not None:
        _suite(gathered, places, release.watch.tests)
    for relative in release.include:
        _add(gathered, *places.find(relative))
    _artifacts(gathered, places)
    return gathered


def _artifacts(gathered: Gathered, places: Places) -> None:
    resolved = []
    for artifact in gathered.release.artifacts:
        path, _ = places.find(artifact.path)
        if not path.is_file():
            raise OrchestratorError("P102", f"the artifact {artifact.path!r} is not a file")
        name = f"{ARTIFACTS}/{artifact.file_name}"
        gathered.files[check_name(name)] = path
        resolved.append(artifact.model_copy(update={"path": name, "name": artifact.file_name}))
    gathered.release = gathered.release.model_copy(update={"artifacts": tuple(resolved)})


def _ansible(gathered: Gathered, base: Path) -> None:
    for name in FILES:
        if (base / name).is_file():
            _add(gathered, base / name, name)
    for name in FOLDERS:
        if (base / name).is_dir():
            _add(gathered, base / name, name)


def _playbook(gathered: Gathered, places: Places, relative: str) -> None:
    """A playbook with all that lies in its folder (it may include any of it), unless that is the project itself."""
    path, name = places.find(relative)
    if not path.is_file():
        raise OrchestratorError("P102", f"the playbook {relative!r} is not a file")
    if path.parent in (places.beside, places.project):
        for sibling in sorted(path.parent.glob("*.y*ml")):
            if sibling.name not in {"orchestrator.yaml", "release.yaml", "environment.yaml"}:
                _add(gathered, sibling, sibling.name)
    else:
        _add(gathered, path.parent, name.rsplit("/", 1)[0])


def _suite(gathered: Gathered, places: Places, relative: str) -> None:
    """A suite with the configuration of pytest in its folder and in those above it, up to its base."""
    path, name = places.find(relative)
    _add(gathered, path, name)
    base = places.beside if path.is_relative_to(places.beside) else places.project
    folder = path.parent
    while folder.is_relative_to(base):
        for file in PYTEST_FILES:
            if (folder / file).is_file():
                _add(gathered, folder / file, _below(str(folder / file), base, file))
        folder = folder.parent


def _add(gathered: Gathered, path: Path, name: str) -> None:
    """A file, or every file below a folder. What lies beside the release wins over the project's."""
    if path.is_file():
        gathered.files.setdefault(check_name(name), path)
        return
    for file in _walk(path):
        _check_inside(file, path)
        gathered.files.setdefault(check_name(f"{name}/{file.relative_to(path).as_posix()}"), file)


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if (entry.name in SKIPPED_FOLDERS and entry.is_dir()) or entry.name.endswith(SKIPPED_ENDINGS):
            continue
        if entry.is_dir():
            if entry.is_symlink():
                raise OrchestratorError("P103", f"{entry} is a link to a folder; a package holds files only")
            yield from _walk(entry)
        elif entry.is_file():
            yield entry
        else:
            raise OrchestratorError("P104", f"{entry} is neither a file nor a folder, or a link to nothing")


def _check_inside(file: Path, folder: Path) -> None:
    """A link may stand for a file of the same tree, and is packed as that file; others would smuggle something in."""
    if file.is_symlink() and not file.resolve().is_relative_to(folder.resolve()):
        raise OrchestratorError("P103", f"{file} is a link that leads out of {folder.name}/")


def _below(path: str, base: Path, relative: str) -> str:
    inside = Path(path).relative_to(base).as_posix() if Path(path).is_relative_to(base) else ""
    if not inside or inside == ".":
        raise OrchestratorError("P105", f"{relative!r} must be something below the release's or the project's folder")
    return inside
