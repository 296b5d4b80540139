"""What goes into a package: all that Ansible and pytest need to run the release from it, and where each file stands.

Positions are kept: the folder that the playbooks live in (beside `release.yaml`, or the project) becomes `content/`,
so that roles, `ansible.cfg`, variables files and templates are found as they were. When a release brings playbooks of
its own, it may still use the project's `ansible.cfg`, roles, collections and plugins; its own come first.
"""

import configparser
import filecmp
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.adapters.archive.names import check_name, on_disk
from orchestrator.adapters.archive.references import Reference, candidates, references
from orchestrator.adapters.archive.sealed import UNDO_WORDS, playbooks
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Gate, PrometheusGate
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
ROLES, COLLECTIONS = ("roles_path",), ("collections_path", "collections_paths")
INNER = "ansible_collections"
ROLE_PARTS = ("tasks", "meta", "defaults", "handlers", "vars", "files", "templates", "library")
TASKS = {"tasks", "handlers"}
OURS = "orchestrator/release"
NAMED = b"orchestrator.release"
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

    Links may lead to anywhere in *roots*. *secrets* are left out. *warnings* are what may be missing.
    """

    release: Release
    roots: list[Path]
    files: dict[str, Path] = field(default_factory=dict)
    secrets: set[Path] = field(default_factory=set)
    warnings: list[OrchestratorError] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """A file, or every file below a folder. Raises P108 when another file has that name already."""
        for name, path in _files(found, self.roots):
            if _real(path) not in self.secrets:
                other = self.files.setdefault(check_name(name), path)
                if other != path and not _same(other, path):
                    raise OrchestratorError("P108", f"{name!r} would be both {other} and {path}")


def gather(
    project: Path,
    source: Path,
    release: Release,
    install: Install = lambda _bases: None,
    collections: Path | None = None,
) -> Gathered:
    """Everything that *release*, read from the file *source*, needs. Raises P101 to P110 and P203.

    *install* is given the folders that Ansible's content is taken from, and returns one more, or None: where roles
    and collections that are only required there have been installed. *collections* is the folder that holds our own
    collection, which is taken when the playbooks name it.
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
    _referenced(gathered, found)
    if collections is not None:
        _our_collection(gathered, collections.resolve())
    for relative in release.suites():
        _suite(gathered, places.find(relative))
    for relative in (*release.certificates(), *release.include):
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
    configured = _configured(bases)
    if installed is not None:
        gathered.roots.append(installed.resolve())
        bases = [*bases, installed.resolve()]
    for base in bases:
        here: set[str] = set()
        for folder, depth in _places(base, configured).items():
            for name, path in _files(Found(base / folder, folder, base), gathered.roots):
                unit = "/".join(name.split("/")[:depth])
                here.add(unit)
                if unit not in taken:
                    gathered.add(Found(path, name, base))
        taken |= here


def _places(base: Path, configured: Mapping[str, int]) -> dict[str, int]:
    """The files and folders of *base* that Ansible looks into, and by how many parts of a name one hides another."""
    found: dict[str, int] = {}
    for entry in sorted(base.iterdir()):
        depth = 1 if entry.name.endswith(PLUGINS) and entry.is_dir() else SHARED.get(entry.name, 0)
        if depth:
            found[on_disk(entry.name)] = depth
    for name, depth in configured.items():
        if name == ".":  # roles that lie side by side with everything else
            found |= {on_disk(entry.name): 1 for entry in sorted(base.iterdir()) if _is_role(entry)}
        elif (base / name).is_dir() and not any(_skipped(part) for part in name.split("/")):
            found.setdefault(name, depth)
    return found


def _is_role(path: Path) -> bool:
    return (
        path.is_dir() and not _skipped(path.name) and any((path / part / "main.yml").is_file() for part in ROLE_PARTS)
    )


def _configured(bases: list[Path]) -> dict[str, int]:
    """The folders that the packed `ansible.cfg` names for roles, collections and plugins, as far as they are inside."""
    base = next((base for base in bases if (base / "ansible.cfg").is_file()), None)
    if base is None:
        return {}
    found: dict[str, int] = {}
    for key, value in _defaults(base).items():
        for name in (_inside(base, part) for part in (value or "").split(":")):
            if name is None or not (key in {*ROLES, *COLLECTIONS, "library", "module_utils"} or key.endswith(PLUGINS)):
                continue
            parts = 0 if name == "." else name.count("/") + 1
            if key in ROLES:
                found[name] = parts + 1
            elif key in COLLECTIONS:
                inner = name if name.rpartition("/")[2] == INNER else os.path.normpath(f"{name}/{INNER}")
                found[inner] = inner.count("/") + 3
            elif parts:
                found[name] = parts
    return found


def _inside(base: Path, path: str) -> str | None:
    """*path* of an `ansible.cfg` in *base* as a name below it; None when it leads elsewhere."""
    text = path.strip().replace("{{CWD}}", ".").replace("{{ CWD }}", ".")
    name = os.path.relpath(os.path.normpath(base / Path(text).expanduser()), base) if text else ".."
    return None if name.split("/")[0] == ".." else on_disk(name)


def _referenced(gathered: Gathered, found: list[Found]) -> None:
    """What playbooks and tasks name by a literal relative path, and what that names. Raises P105."""
    starts = [item.path for item in found]
    packed = [_packed(name, path) for name, path in sorted(gathered.files.items())]
    known = {item.path: item for item in packed}
    waiting = [*found, *(item for item in packed if _is_task(item.name))]
    seen: set[Path] = set()
    while waiting:
        item = waiting.pop()
        if item.path in seen:
            continue
        seen.add(item.path)
        for reference in references(item.path, item.name):
            target = _target(gathered, item, reference, list(candidates(reference, item.path, starts)), known)
            if target is not None:
                gathered.add(target)
                files = [Found(path, name, target.base) for name, path in _files(target, gathered.roots)]
                waiting += [file for file in files if file.name == target.name or _is_task(file.name)]


def _is_task(name: str) -> bool:
    """Whether *name* is a file of tasks; those of collections are whole already."""
    parts = name.split("/")[:-1]
    return name.endswith((".yml", ".yaml")) and INNER not in parts and not TASKS.isdisjoint(parts)


def _packed(name: str, path: Path) -> Found:
    return Found(path, name, path.parents[name.count("/")])


def _target(
    gathered: Gathered, item: Found, reference: Reference, places: list[Path], known: Mapping[Path, Found]
) -> Found | None:
    """The first of *places* that is there, as what *reference* means; a warning (P111) when none is.

    What a role that was installed for the build names may lie in the project.
    """
    bases = [item.base, *([] if item.base in gathered.roots[:2] else gathered.roots)]
    elsewhere = None
    for path in places:
        if path in known:
            return known[path]
        if path.exists():
            base = next((base for base in bases if path.is_relative_to(base)), None)
            if base is not None:
                return None if path == base else Found(path, on_disk(path.relative_to(base).as_posix()), base)
            elsewhere = elsewhere or path
    if elsewhere is not None:
        message = f"{reference.path!r} leads out of the project, or out of the folder of the release to {elsewhere}"
        hint = "copy it into the project, or beside the release, and name it there"
        raise OrchestratorError("P105", message, where=reference.where, hint=hint)
    message = f"{reference.path!r} is nowhere in the project, and will be missing when the release runs"
    hint = "correct the path, or write the file"
    gathered.warnings.append(OrchestratorError("P111", message, where=reference.where, hint=hint))
    return None


def _our_collection(gathered: Gathered, collections: Path) -> None:
    """Our own collection, when a packed YAML file names it and the project does not bring it."""
    if any(f"{INNER}/{OURS}/" in name for name in gathered.files):
        return
    texts = [path for name, path in gathered.files.items() if name.endswith((".yml", ".yaml")) and INNER not in name]
    if any(NAMED in path.read_bytes() for path in texts):
        gathered.roots.append(collections)
        name = f"{INNER}/{OURS}"
        gathered.add(Found(collections / name, f"collections/{name}", collections))


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

    def query(found: PrometheusGate | None) -> PrometheusGate | None:
        return found.model_copy(update={"ca": name(found.ca)}) if found is not None and found.ca is not None else found

    def gates(found: tuple[Gate, ...]) -> tuple[Gate, ...]:
        return tuple(
            gate.model_copy(update={"tests": gate.tests and name(gate.tests), "prometheus": query(gate.prometheus)})
            for gate in found
        )

    steps = []
    for step in release.steps:
        undo = step.undo if step.undo is None or step.undo in UNDO_WORDS else name(step.undo)
        rollout = step.rollout
        if rollout.canary is not None:
            canary = rollout.canary.model_copy(update={"gates": gates(rollout.canary.gates)})
            rollout = rollout.model_copy(update={"canary": canary})
        sides = rollout.blue_green
        if sides is not None:
            played = {"switch": name(sides.switch), "retire": sides.retire and name(sides.retire)}
            sides = sides.model_copy(update={**played, "gates": gates(sides.gates)})
            rollout = rollout.model_copy(update={"blue_green": sides})
        steps.append(step.model_copy(update={"playbook": name(step.playbook), "undo": undo, "rollout": rollout}))
    artifacts = [
        item.model_copy(update={"path": f"{ARTIFACTS}/{item.file_name}", "name": item.file_name})
        for item in release.artifacts
    ]
    verify = [item.model_copy(update={"tests": name(item.tests)}) for item in release.verify]
    watch = release.watch
    if watch is not None:
        watch = watch.model_copy(update={"tests": watch.tests and name(watch.tests), "gates": gates(watch.gates)})
    include = [name(relative) for relative in release.include]
    resolved = {"artifacts": tuple(artifacts), "steps": tuple(steps), "verify": tuple(verify), "watch": watch}
    return release.model_copy(update={**resolved, "include": tuple(include)})


def _secrets(base: Path) -> set[Path]:
    """Files with passwords and keys that `ansible.cfg` names: these never go into a package."""
    defaults = _defaults(base)
    named = [defaults.get(key) or "" for key in SECRETS]
    values = [value.rsplit("@", 1)[-1].strip() for text in named for value in text.split(",")]
    paths = [_real(base / Path(value).expanduser()) for value in values if value]
    return {path for path in paths if not os.access(path, os.X_OK)}  # a script that asks for the password holds none


def _defaults(base: Path) -> Mapping[str, str | None]:
    """What the section `defaults` of the `ansible.cfg` in *base* says."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read(base / "ansible.cfg", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}  # Ansible itself will say what is wrong with it
    return dict(parser["defaults"]) if parser.has_section("defaults") else {}


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
