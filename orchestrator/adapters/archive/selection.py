"""The selection of a project's files for the tree of a package, and why a file is left out."""

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from orchestrator.adapters import safe_yaml
from orchestrator.adapters.archive import galaxy_lock
from orchestrator.adapters.archive.tree import IGNORE
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.key_material import key_material
from orchestrator.domain.release import Release

RELEASE, ENVIRONMENT, PROJECT = "release.yaml", "environment.yaml", "orchestrator.yaml"
SETTINGS = {RELEASE, ENVIRONMENT, PROJECT, IGNORE}
CI_FOLDERS = {".github", ".gitlab", ".circleci", ".buildkite", ".azure-pipelines", ".woodpecker", ".teamcity", ".ci"}
CI_FILES = {
    "Jenkinsfile",
    ".travis.yml",
    "azure-pipelines.yml",
    ".drone.yml",
    ".woodpecker.yml",
    "bitbucket-pipelines.yml",
}
DOCUMENTS = re.compile(rb'"apiVersion": ?"orchestrator/v[0-9]+"')  # plans and reports that a command wrote
DOCUMENT_HEAD = 4096  # bytes, in which a document names its kind
LARGEST_SETTINGS = 1024 * 1024  # bytes
SECRETS = (
    "vault_password_file",
    "vault_identity_list",
    "private_key_file",
    "connection_password_file",
    "become_password_file",
)


class Selection:
    """Which files of a *project* belong to the *release* in the folder *beside*, and the reasons for the others.

    Args:
        project: the project's folder.
        names: all files of the project.
        beside: the folder of the release's file, relative to the project (`.` for the project itself).
        release: the release.
        exclude: patterns of the project for what is left out.
    """

    def __init__(
        self, project: Path, names: frozenset[str], beside: str, release: Release, exclude: tuple[str, ...]
    ) -> None:
        self._project, self._names = project, names
        self._own = {beside, *_parents(beside)}
        self._used = [step.playbook for step in release.playbook_steps] + release.suites()
        self._folders = {folder: f"the release in {folder}/" for folder in self._others(RELEASE)}
        self._files: dict[str, str] = {}
        for folder in self._others(ENVIRONMENT):
            self._environment(folder)
        for folder in self._others(RELEASE):
            self._artifacts(folder, _named(self._project / folder / RELEASE))
        self._artifacts(beside, [item.path for item in release.artifacts])
        from pathspec import GitIgnoreSpec  # its modules are many, and only a build needs them

        self._patterns = GitIgnoreSpec.from_lines([*exclude, *release.package.exclude])

    def excluded(self, name: str) -> bool:
        """Whether a pattern of `package.exclude` leaves out *name*."""
        return self._patterns.match_file(name)

    def reason(self, name: str) -> str | None:
        """Why the file *name* does not belong to the tree by default; None if it does."""
        if name in self._files:
            return self._files[name]
        parts = name.split("/")
        if parts[-1] in SETTINGS:
            return "a settings file of the orchestrator"
        if parts[-1] == galaxy_lock.FILE and galaxy_lock.is_lock(self._project / name):
            return "a settings file of the orchestrator"
        owner = next((self._folders[folder] for folder in _parents(name) if folder in self._folders), None)
        return owner or self._at_root(parts) or ("written by the orchestrator" if self._is_document(name) else None)

    def _at_root(self, parts: list[str]) -> str | None:
        first, alone = parts[0], len(parts) == 1
        if (first == "docs" and not alone) or (alone and first.lower().endswith(".md")):
            return "documentation"
        if first.startswith(".git") or first in (CI_FILES if alone else CI_FOLDERS):
            return "for Git or a CI system"
        if first == "dist" and not alone:
            return "built"
        if parts[-1].endswith(".release") or (alone and first.endswith(".backup")):
            return "written by the orchestrator"
        return None

    def _is_document(self, name: str) -> bool:
        """Whether *name* is a plan or a report that a command has written to a file."""
        if not name.endswith(".json"):
            return False
        try:
            with (self._project / name).open("rb") as file:
                return DOCUMENTS.search(file.read(DOCUMENT_HEAD)) is not None
        except OSError:
            return False

    def _others(self, file: str) -> Iterator[str]:
        """The folders with such a *file*, but for those that hold the release."""
        for name in sorted(self._names):
            folder, _, last = name.rpartition("/")
            if last == file and folder and folder not in self._own:
                yield folder

    def _environment(self, folder: str) -> None:
        """Leave out an environment: its folder, its program, and its inventories."""
        self._folders[folder] = f"the environment in {folder}/"
        data = _settings(self._project / folder / ENVIRONMENT)
        program = _inside(f"{folder}/{data.get('program') or '.'}")
        if program is not None:
            self._program(program)
        inventory = data.get("inventory")
        files = inventory.get("files") if isinstance(inventory, dict) else None
        for entry in files if isinstance(files, list) else []:
            name = _inside(str(entry))
            if name is not None and name != ".":
                self._files[name] = self._folders[name] = "an inventory of an environment"

    def _program(self, folder: str) -> None:
        """Leave out the Pulumi program in *folder*, but nothing that the release names."""
        held = [*self._own, *(_inside(path) or "." for path in self._used)]
        if folder == "." or any(path == folder or folder in _parents(path) for path in held):
            for name in self._names:
                at, _, last = name.rpartition("/")
                if (at or ".") == folder and (last == "__main__.py" or re.match(r"Pulumi(\..+)?\.ya?ml$", last)):
                    self._files[name] = "the Pulumi program of an environment"
        elif (self._project / folder / "Pulumi.yaml").is_file():
            self._folders.setdefault(folder, "the Pulumi program of an environment")

    def _artifacts(self, folder: str, paths: list[str]) -> None:
        """Leave out the artifacts at *paths* of the release in *folder*: they have an area of their own."""
        for path in paths:
            for base in (folder, "."):
                name = _inside(f"{base}/{path}")
                if name in self._names:
                    self._files[str(name)] = "an artifact"


def _named(file: Path) -> list[str]:
    """The paths of the artifacts that a `release.yaml` names."""
    listed = _settings(file).get("artifacts")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return [str(item.get("path")) for item in items]


def _parents(name: str) -> list[str]:
    """The folders above *name*, the nearest first."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _inside(path: str) -> str | None:
    """*path*, relative to the project, in its plain form; None if it leads out of the project."""
    name = os.path.normpath(path)
    return None if name.startswith(("/", "../")) or name == ".." else name


def _settings(file: Path) -> dict[str, object]:
    """The content of a settings file; empty if it cannot be read, which other commands report."""
    try:
        text = file.read_text("utf-8") if file.stat().st_size <= LARGEST_SETTINGS else ""
        data = safe_yaml.load_yaml(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


# -- files with passwords --------------------------------------------------------------------------------------------


def defaults(file: Path) -> Mapping[str, str | None]:
    """The settings in the section `defaults` of an `ansible.cfg`."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}  # Ansible itself will report what is wrong with it
    return dict(parser["defaults"]) if parser.has_section("defaults") else {}


def secrets(project: Path, names: frozenset[str]) -> set[str]:
    """The real paths of files with passwords and keys that transport settings name: they never go into a package.

    Transport settings are those of every `ansible.cfg`, and those of every `environment.yaml`, whose paths are relative
    to the project.
    """
    found: set[Path] = set()
    configs = {project / name for name in names if name.rpartition("/")[2] == CONFIG_FILE}
    for name in names:
        if name.rpartition("/")[2] == ENVIRONMENT:
            settings = _settings(project / name).get("ansible")
            settings = settings if isinstance(settings, dict) else {}
            configs |= {project / str(settings["config"])} if settings.get("config") else set()
            own = settings.get("transport")
            found |= _named_by(own if isinstance(own, dict) else {}, project)
            ids = settings.get("vault_ids")
            found |= _named_by({SECRETS[0]: ",".join(map(str, ids)) if isinstance(ids, list) else ""}, project)
    for file in configs:
        found |= _named_by(defaults(file), file.parent)
    real = {os.path.realpath(path) for path in found}
    return {path for path in real if not _is_program(path)}


def _is_program(path: str) -> bool:
    """Whether *path* is a script that returns a password, and contains none. A key may be executable as well."""
    if not os.access(path, os.X_OK):
        return False
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a real path
            return not key_material(path, file.read(LARGEST_SETTINGS), executable=True)
    except OSError:
        return False


def _named_by(options: Mapping[str, object], folder: Path) -> set[Path]:
    """The files with passwords and keys that *options* name, relative to *folder*."""
    values = [value for key in SECRETS for value in str(options.get(key) or "").split(",")]
    named = [value.rsplit("@", 1)[-1].strip() for value in values]
    return {folder / Path(value).expanduser() for value in named if value}


def too_large(counted: Mapping[str, int], max_files: int, max_size: int, shown_size: str) -> OrchestratorError | None:
    """Why the tree of the files *counted*, each with its size, is too large, with its largest folders; None if not."""
    total = sum(counted.values())
    if len(counted) <= max_files and total <= max_size:
        return None
    by_size = total > max_size
    folders: dict[str, tuple[int, int]] = {}
    for name, size in counted.items():
        folder = "/".join(name.split("/")[:-1][:2]) + "/" if "/" in name else "./"
        files, held = folders.get(folder, (0, 0))
        folders[folder] = (files + 1, held + size)
    largest = sorted(folders.items(), key=lambda item: (-item[1][1 if by_size else 0], item[0]))[:5]
    listed = ", ".join(f"{name} ({files} files, {size / 2**20:.1f} MiB)" for name, (files, size) in largest)
    text = f"the project's tree has {len(counted)} files and {total / 2**20:.1f} MiB; at most {max_files} files and "
    text += f"{shown_size} are packed. Its largest folders: {listed}"
    hint = "let Git ignore what is not needed, name it in package.exclude of orchestrator.yaml, or raise the limit"
    return OrchestratorError("P117", text, hint=hint + " (package.max_files, package.max_size)")
