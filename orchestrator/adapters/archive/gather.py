"""What goes into a package: all that Ansible and pytest need to run the release from it, and where each file stands.

Positions are kept: the folder that the playbooks live in (beside `release.yaml`, or the project) becomes `content/`,
so that roles, `ansible.cfg`, variables files and templates are found as they were. When a release brings playbooks of
its own, it may still use the project's `ansible.cfg`, roles, collections and plugins; its own come first.
"""

import configparser
import filecmp
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.adapters.archive.names import check_name, on_disk
from orchestrator.adapters.archive.sealed import UNDO_WORDS, playbooks
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Release

ARTIFACTS = "artifacts"
BESIDE_PLAYBOOKS = ("vars", "files", "templates", "tasks", "handlers", "defaults", "group_vars", "host_vars")
SHARED = {  # what a release may take from its project too, and by how many parts of the name its own comes first
    "ansible.cfg": 1,
    "roles": 2,  # roles/<name>
    "collections": 4,  # collections/ansible_collections/<namespace>/<name>
    "library": 1,
    "module_utils": 1,
}
PLUGINS = "_plugins"
PYTEST_FILES = ("conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml")
OWN_FILES = {"orchestrator.yaml", "release.yaml", "environment.yaml"}
SKIPPED = {
    ".git", ".hg", ".svn", "__pycache__", ".orchestrator", ".venv", "node_modules", ".pytest_cache", ".mypy_cache",
    ".ruff_cache", ".tox", ".idea", ".vscode", ".cache", ".DS_Store", ".galaxy_install_info",
}  # fmt: skip
SKIPPED_ENDINGS = (".pyc", ".pyo", ".retry", ".swp", ".swo", "~")
SECRETS = ("vault_password_file", "vault_identity_list", "private_key_file")
MAX_DEPTH = 40

Install = Callable[[list[Path]], Path | None]


@dataclass(frozen=True)
class Found:
    """A file or folder that a release means: where it is, its name below `content/`, and the base it belongs to."""

    path: Path
    name: str
    base: Path


@dataclass(frozen=True)
class Places:
    """Where a release's paths are looked up: beside its file first, then in the project."""

    beside: Path
    project: Path

    def find(self, relative: str) -> Found:
        """What *relative* means. Raises P101 when it is in neither place, P105 when it is no part of either."""
        for base in dict.fromkeys((self.beside, self.project)):
            name = on_disk(os.path.normpath(relative))
            if (base / name).exists():
                if name == "." or any(_skipped(part) for part in name.split("/")):
                    raise OrchestratorError("P105", f"{relative!r} cannot be packed: it is no part of a release")
                return Found(base / name, name, base)
        raise OrchestratorError("P101", f"{relative!r} is neither beside the release nor in the project")


@dataclass
class Gathered:
    """Files by their name below `content/`, and the release with every path resolved to such a name.

    Links may lead to anywhere in *roots*. *secrets* are left out.
    """

    release: Release
    roots: list[Path]
    files: dict[str, Path] = field(default_factory=dict)
    secrets: set[Path] = field(default_factory=set)

    def add(self, found: Found) -> None:
        """A file, or every file below a folder. Raises P108 when another file has that name already."""
        for name, path in _files(found, self.roots):
            if _real(path) not in self.secrets:
                other = self.files.setdefault(check_name(name), path)
                if other != path and not _same(other, path):
                    raise OrchestratorError("P108", f"{name!r} would be both {other} and {path}")


def gather(project: Path, source: Path, release: Release, install: Install = lambda _bases: None) -> Gathered:
    """Everything that *release*, read from the file *source*, needs. Raises P101 to P110 and P203.

    *install* is given the folders that Ansible's content is taken from, and returns one more, or None: where roles
    and collections that are only required there have been installed.
    """
    places = Places(source.parent.resolve(), project.resolve())
    gathered = Gathered(release, [places.beside, places.project])
    found = [places.find(playbook) for playbook in playbooks(release)]
    bases = _bases(found, places)
    for base in bases:
        gathered.secrets |= _secrets(base)
    for base in dict.fromkeys(item.base for item in found):
        for name in BESIDE_PLAYBOOKS:
            if (base / name).is_dir():
                gathered.add(Found(base / name, name, base))
    for playbook in found:
        _playbook(gathered, playbook)
    _shared(gathered, bases, install(bases))
    for relative in _suites(release):
        _suite(gathered, places.find(relative))
    for relative in release.include:
        gathered.add(places.find(relative))
    _artifacts(gathered, places)
    gathered.release = _resolved(gathered.release, places)
    return gathered


def _bases(found: list[Found], places: Places) -> list[Path]:
    """Where roles and the like are taken from: beside the release when a playbook is there, then the project."""
    return list(dict.fromkeys([item.base for item in found if item.base == places.beside] + [places.project]))


def _shared(gathered: Gathered, bases: list[Path], installed: Path | None) -> None:
    """From each base what none before it has: whole roles, whole collections, whole folders of plugins."""
    taken: set[str] = set()
    if installed is not None:
        gathered.roots.append(installed.resolve())
        bases = [*bases, installed.resolve()]
    for base in bases:
        here: set[str] = set()
        for entry in sorted(base.iterdir()):
            depth = 1 if entry.name.endswith(PLUGINS) and entry.is_dir() else SHARED.get(entry.name, 0)
            if depth:
                for name, path in _files(Found(entry, on_disk(entry.name), base), gathered.roots):
                    unit = "/".join(name.split("/")[:depth])
                    here.add(unit)
                    if unit not in taken:
                        gathered.add(Found(path, name, base))
        taken |= here


def _playbook(gathered: Gathered, found: Found) -> None:
    """A playbook with all that lies in its folder (it may include any of it), unless that is the base itself."""
    if not found.path.is_file():
        raise OrchestratorError("P102", f"the playbook {found.name!r} is not a file")
    gathered.add(found)
    if found.path.parent == found.base:
        for sibling in sorted(found.base.glob("*.y*ml")):
            if sibling.name not in OWN_FILES and not sibling.name.startswith("Pulumi.") and sibling.is_file():
                gathered.add(Found(sibling, on_disk(sibling.name), found.base))
    else:
        gathered.add(_parent(found))


def _suites(release: Release) -> list[str]:
    return [item.tests for item in release.verify] + ([release.watch.tests] if release.watch else [])


def _suite(gathered: Gathered, found: Found) -> None:
    """A suite, with what pytest reads in the folders above it: its configuration, and modules that it may import."""
    gathered.add(found)
    if found.path.is_file() and found.path.parent != found.base:
        gathered.add(_parent(found))
    while found.path != found.base:
        found = _parent(found)
        modules = [path.name for path in found.path.glob("*.py")] if found.path != found.base else []
        for name in dict.fromkeys([*PYTEST_FILES, *modules]):
            if (found.path / name).is_file():
                gathered.add(Found(found.path / name, _join(found.name, on_disk(name)), found.base))


def _artifacts(gathered: Gathered, places: Places) -> None:
    for artifact in gathered.release.artifacts:
        found = places.find(artifact.path)
        if not found.path.is_file():
            raise OrchestratorError("P102", f"the artifact {artifact.path!r} is not a file")
        gathered.add(Found(found.path, f"{ARTIFACTS}/{artifact.file_name}", found.base))


def _resolved(release: Release, places: Places) -> Release:
    """*release* with the names that its files have below `content/`."""

    def name(relative: str) -> str:
        return places.find(relative).name

    steps = []
    for step in release.steps:
        undo = step.undo if step.undo is None or step.undo in UNDO_WORDS else name(step.undo)
        steps.append(step.model_copy(update={"playbook": name(step.playbook), "undo": undo}))
    artifacts = [
        item.model_copy(update={"path": f"{ARTIFACTS}/{item.file_name}", "name": item.file_name})
        for item in release.artifacts
    ]
    verify = [item.model_copy(update={"tests": name(item.tests)}) for item in release.verify]
    watch = release.watch and release.watch.model_copy(update={"tests": name(release.watch.tests)})
    include = [name(relative) for relative in release.include]
    resolved = {"artifacts": tuple(artifacts), "steps": tuple(steps), "verify": tuple(verify), "watch": watch}
    return release.model_copy(update={**resolved, "include": tuple(include)})


def _secrets(base: Path) -> set[Path]:
    """Files with passwords and keys that `ansible.cfg` names: these never go into a package."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(base / "ansible.cfg", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return set()  # Ansible itself will say what is wrong with it
    named = [parser.get("defaults", key, fallback="") for key in SECRETS]
    values = [value.rsplit("@", 1)[-1].strip() for text in named for value in text.split(",")]
    paths = [_real(base / Path(value).expanduser()) for value in values if value]
    return {path for path in paths if not os.access(path, os.X_OK)}  # a script that asks for the password holds none


def _files(found: Found, roots: list[Path]) -> Iterator[tuple[str, Path]]:
    """Every file of *found* with its name. Links stand for what they lead to, inside of *roots* and nowhere else."""
    waiting = [(found.name, found.path, 0)]
    while waiting:
        name, path, depth = waiting.pop()
        _check_link(path, roots)
        if path.is_file():
            yield name, path
        elif path.is_dir():
            if depth > MAX_DEPTH:
                raise OrchestratorError("P103", f"{path} is deeper than {MAX_DEPTH} folders: a link to its own parent?")
            waiting += [(_join(name, on_disk(entry)), path / entry, depth + 1) for entry in _entries(path)]
        else:
            raise OrchestratorError("P104", f"{path} is neither a file nor a folder, or a link to nothing")


def _entries(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir() if not _skipped(entry.name)]
    except OSError as error:
        raise OrchestratorError("P109", f"cannot read the folder {folder}: {error.strerror}") from error


def _check_link(path: Path, roots: list[Path]) -> None:
    """A link that leads out of *roots*, or to what is never packed, would smuggle something in."""
    real = _real(path)
    for root in roots:
        if real.is_relative_to(root) and not any(_skipped(part) for part in real.relative_to(root).parts):
            return
    raise OrchestratorError("P103", f"{path} leads to {real}, which is outside of the project or is never packed")


def _real(path: Path) -> Path:
    """Where *path* is when all links are followed; `Path.resolve` would raise on links in a circle."""
    return Path(os.path.realpath(path))


def _skipped(name: str) -> bool:
    return name in SKIPPED or name.endswith(SKIPPED_ENDINGS) or name.startswith(".#")


def _same(one: Path, other: Path) -> bool:
    modes = {bool(path.stat().st_mode & 0o100) for path in (one, other)}
    return len(modes) == 1 and filecmp.cmp(one, other, shallow=False)


def _parent(found: Found) -> Found:
    return Found(found.path.parent, found.name.rpartition("/")[0], found.base)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
