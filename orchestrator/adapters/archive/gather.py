"""What goes into a package: the project's tree, each file at its own path, and what lies in areas beside it.

The tree is the project as Git would check it out, less what does not belong to a release. What the release names
belongs to it in any case. Artifacts, installed requirements and our own collection have areas of their own, so that the
tree is exactly the user's.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.adapters.archive import links
from orchestrator.adapters.archive.artifact import is_unpacked
from orchestrator.adapters.archive.galaxy import SearchPaths, requirement_folders
from orchestrator.adapters.archive.key_scan import Scan
from orchestrator.adapters.archive.manifest_checks import OWN_COLLECTION, playbooks
from orchestrator.adapters.archive.named import ReferencedFiles
from orchestrator.adapters.archive.names import check_name, on_disk
from orchestrator.adapters.archive.resolved import with_resolved_paths
from orchestrator.adapters.archive.selection import Selection, defaults, secrets, too_large
from orchestrator.adapters.archive.tree import NEVER, Listing, below, is_cache, list_project
from orchestrator.domain.errors import OrchestratorError, Where
from orchestrator.domain.packing import Packing
from orchestrator.domain.quantities import size_bytes
from orchestrator.domain.release import Area, Artifact, Release, Revision

NAMED = b"orchestrator.release"
INNER = "ansible_collections"
POINTER = b"version https://git-lfs.github.com/spec/v1\n"
LARGEST_POINTER = 1024  # bytes

Install = Callable[[SearchPaths], Path | None]


@dataclass(frozen=True)
class Item:
    """One file or link of a package: its place in the package, and the *source* of its content."""

    area: Area
    path: str
    source: Path

    @property
    def name(self) -> str:
        """The name in the archive."""
        return f"{self.area}/{self.path}"


@dataclass
class Gathered:
    """The items of a package by their names, and the release with every path relative to the project's folder.

    *named* are the paths in the tree that the release, its playbooks, their tasks and roles name.
    """

    release: Release
    revision: Revision | None
    items: dict[str, Item] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    warnings: list[OrchestratorError] = field(default_factory=list)

    def add(self, area: Area, path: str, source: Path) -> None:
        """Take one file or link. Raises P104, P118 and P203."""
        if not source.is_symlink():
            if not source.is_file():
                raise OrchestratorError("P104", f"{source} is neither a file nor a folder")
            _check_pointer(source)
        try:
            name = check_name(on_disk(path))
        except OrchestratorError as error:
            hint = "rename the file, or name it in package.exclude of orchestrator.yaml"
            raise OrchestratorError(error.code, error.message, hint=hint) from error
        item = Item(area, name, source)
        self.items[item.name] = item


def gather(
    project: Path,
    source: Path,
    release: Release,
    install: Install = lambda _places: None,
    collections: Path | None = None,
    packing: Packing | None = None,
    kept: Callable[[str], bool] = lambda _path: False,
) -> Gathered:
    """Everything that *release*, read from the file *source*, needs. Raises P101 to P110, P116 to P119, P203 and P220.

    *install* is given the folders that Ansible's content is taken from, and returns one more, or None: where roles
    and collections that are only required there have been installed. *collections* is the folder that holds our own
    collection, which is taken when a playbook or task names it. *packing* are the settings of the project.
    *kept* returns whether a path is a controller file that runs keep, which a playbook can therefore find.
    """
    project, beside = Path(os.path.realpath(project)), Path(os.path.realpath(source.parent))
    if not beside.is_relative_to(project):
        raise OrchestratorError("P105", f"the release {source} is not in the project {project}")
    tree = Tree(project, beside.relative_to(project).as_posix(), release, packing or Packing())
    for path in release.include:
        tree.include(path)
    for path in [*playbooks(release), *release.implementations(), *release.suites(), *release.certificates()]:
        tree.take(path)
    tree.check_size()
    final = with_resolved_paths(release, tree.find)
    for kind, paths in (("playbook", playbooks(final)), ("implementation plan", final.implementations())):
        folder = next((path for path in paths if not (project / path).is_file()), None)
        if folder is not None:
            raise OrchestratorError("P102", f"the {kind} {folder!r} is not a file")
    gathered = Gathered(final, tree.listing.revision)
    gathered.warnings += ReferencedFiles(tree, tree.places(final), kept).take(playbooks(final))
    for name in sorted(tree.taken):
        gathered.add("content", name, project / name)
    gathered.named = tree.named
    gathered.warnings += tree.warnings()
    gathered.release = final.model_copy(update={"artifacts": _artifacts(gathered, tree)})
    _requirements(gathered, tree, install)
    if collections is not None:
        _our_collection(gathered, Path(os.path.realpath(collections)))
    _check_links(gathered)
    _check_keys(gathered)
    return gathered


class Tree:
    """The files of a *project* that belong to the *release* in its folder *beside*."""

    def __init__(self, project: Path, beside: str, release: Release, packing: Packing) -> None:
        self.project, self.beside, self._packing = project, beside, packing
        self.listing: Listing = list_project(project)
        self._selection = Selection(project, self.listing.names, beside, release, packing.exclude)
        self._secret = secrets(project, self.listing.names)
        self._links = {
            name: str((project / name).readlink()) for name in self.listing.names if (project / name).is_symlink()
        }
        belongs = (name for name in self.listing.names if self._selection.reason(name) is None)
        self.named: set[str] = set()
        self.taken = {name for name in belongs if not self._selection.excluded(name) and not self._is_secret(name)}

    def find(self, relative: str) -> str:
        """What *relative* means, by its path in the project: beside the release first, in the project second.

        Raises P101 if it is in neither place, P103 if it leads out of the project, P105 if it is never packed.
        """
        if os.path.normpath(relative) == ".":
            raise OrchestratorError("P105", f"{relative!r} cannot be packed: it is the whole project")
        for base in dict.fromkeys((self.beside, ".")):
            name = os.path.normpath(f"{base}/{relative}")
            path = self.project / name
            if not path.exists():
                continue
            if name == "." or is_cache(name):
                raise OrchestratorError("P105", f"{relative!r} cannot be packed: it is not a file of a release")
            real = Path(os.path.realpath(path))
            if not real.is_relative_to(self.project) or not NEVER.isdisjoint(real.relative_to(self.project).parts):
                text = f"{path} leads to {real}, which is outside of the project or is never packed"
                raise OrchestratorError("P103", text)
            return on_disk(name)
        raise OrchestratorError("P101", f"{relative!r} is neither beside the release nor in the project")

    def include(self, relative: str) -> None:
        """Take a file or folder whatever Git ignores and whatever is left out by default."""
        for name in self._ways(self.find(relative)):
            found = {inner for inner in below(self.project, name) if not self._is_secret(inner)}
            self.taken |= found
            self.named |= found

    def take(self, relative: str) -> None:
        """Take a file or folder that the release names. Raises P116 if Git ignores it, or a pattern excludes it."""
        name = self.find(relative)
        self.require(name, f"{relative!r} of the release")

    def require(self, name: str, what: str, where: Where | None = None) -> None:
        """Take the file or folder *name*. *what* describes it in messages, *where* is its place. Raises P116."""
        for way in self._ways(name):
            there = {inner for inner in self.listing.names if inner == way or inner.startswith(f"{way}/")}
            there = {inner for inner in there if not self._selection.excluded(inner) and not self._is_secret(inner)}
            if not there and not any(inner == way or inner.startswith(f"{way}/") for inner in self.taken):
                raise self._excluded(way, what, where)
            self.taken |= there
            self.named |= there

    def _excluded(self, name: str, what: str, where: Where | None) -> OrchestratorError:
        """Why a named file is not in the package, and what to do."""
        inner = [other for other in self.listing.names if other == name or other.startswith(f"{name}/")]
        if any(self._selection.excluded(other) for other in inner):
            why, hint = "package.exclude leaves it out", "change the pattern in package.exclude"
        elif inner:
            why, hint = "a transport setting names it as a password or key", "keep secrets out of what is packed"
        else:
            why = "Git ignores it, or .orchestratorignore names it"
            hint = f"add it to Git (git add -f {name}), or name it in `include` of release.yaml"
        return OrchestratorError("P116", f"{what} is not in the package: {why}", where=where, hint=hint)

    def _ways(self, name: str) -> list[str]:
        """*name* as a path without links, and each link on the way to it."""
        parts = name.split("/")
        above = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        crossed = [part for part in above if part in self._links]
        real = links.target(name, self._links)
        return [*crossed, real] if real not in (None, ".") else crossed or [name]

    def _is_secret(self, name: str) -> bool:
        return bool(self._secret) and os.path.realpath(self.project / name) in self._secret

    def check_size(self) -> None:
        """Raise P117 if the tree is larger than the project allows."""
        sizes = {name: (self.project / name).lstat().st_size for name in self.taken}
        packing = self._packing
        error = too_large(sizes, packing.max_files, size_bytes(packing.max_size), packing.max_size)
        if error is not None:
            raise error

    def warnings(self) -> list[OrchestratorError]:
        """What the operator should know: submodules without files (P121)."""
        hint = "run git submodule update --init, unless the release does not need it"
        text = "the submodule {} is not checked out, and nothing of it is in the package"
        return [OrchestratorError("P121", text.format(name), hint=hint) for name in self.listing.absent]

    def places(self, release: Release) -> SearchPaths:
        """Where the project may have the roles and collections that it requires."""
        folders = {".", self.beside}
        for playbook in playbooks(release):
            folder = self.find(playbook).rpartition("/")[0] or "."
            folders |= {folder, *_configured_above(folder, self.listing.names)}
        bases = [self.project / folder for folder in sorted(folders)]
        roles, found = [], []
        for base in bases:
            options = defaults(base / "ansible.cfg")
            roles += _paths(base, options.get("roles_path"))
            found += _paths(base, options.get("collections_path") or options.get("collections_paths"))
        inside = [[path for path in paths if path.is_relative_to(self.project)] for paths in (roles, found)]
        return SearchPaths(bases, inside[0], [path.parent if path.name == INNER else path for path in inside[1]])


def _configured_above(folder: str, names: frozenset[str]) -> list[str]:
    """The folders at or above *folder* that have an `ansible.cfg`."""
    parts = folder.split("/")
    above = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return [name for name in above if f"{name}/ansible.cfg" in names]


def _paths(base: Path, value: str | None) -> list[Path]:
    """The folders of a search path in an `ansible.cfg` in *base*."""
    words = [word.strip().replace("{{CWD}}", ".").replace("{{ CWD }}", ".") for word in (value or "").split(":")]
    return [Path(os.path.normpath(base / Path(word).expanduser())) for word in words if word]


def _artifacts(gathered: Gathered, tree: Tree) -> tuple[Artifact, ...]:
    """Take the artifacts; each with whether hosts unpack it. Raises P102 and P122."""
    found = []
    for artifact in gathered.release.artifacts:
        path = tree.project / artifact.path
        if not path.is_file():
            raise OrchestratorError("P102", f"the artifact {artifact.path!r} is not a file")
        real = Path(os.path.realpath(path))
        gathered.add("artifacts", artifact.file_name, real)
        found.append(artifact.model_copy(update={"unpack": is_unpacked(artifact, real)}))
    return tuple(found)


def _requirements(gathered: Gathered, tree: Tree, install: Install) -> None:
    """Roles and collections that a requirements file names, and that are not in the tree."""
    places = tree.places(gathered.release)
    for kind, folders in requirement_folders(places).items():
        for folder in sorted(folders):
            _from_project(gathered, tree, kind, folder)
    installed = install(places)
    for name in sorted(below(installed, "")) if installed is not None else ():
        if f"requirements/{name}" not in gathered.items:
            gathered.add("requirements", name, Path(os.path.realpath(installed)) / name)  # type: ignore[arg-type]


def _from_project(gathered: Gathered, tree: Tree, kind: str, folder: Path) -> None:
    """Take what was installed into a *folder* of the project and is not in the tree, because Git ignores it."""
    start = folder.relative_to(tree.project).as_posix()
    for name in sorted(below(tree.project, start)):
        inner = os.path.relpath(name, start)
        if name not in tree.listing.names and ".info" not in inner.split("/")[-2:][0]:
            gathered.add("requirements", f"{kind}/{inner}", tree.project / name)


def _our_collection(gathered: Gathered, collections: Path) -> None:
    """Our own collection, when a packed YAML file names it and the project does not bring it."""
    if any(OWN_COLLECTION in name for name in gathered.items):
        return
    texts = [item.source for item in gathered.items.values() if _may_name_it(item)]
    if any(NAMED in path.read_bytes() for path in texts):
        for name in below(collections, OWN_COLLECTION.rstrip("/")):
            gathered.add("collection", name, collections / name)


def _may_name_it(item: Item) -> bool:
    plain = item.area == "content" and item.path.endswith((".yml", ".yaml")) and not item.source.is_symlink()
    return plain and INNER not in item.path.split("/")


def _check_pointer(path: Path) -> None:
    """Raise P118 if *path* is what Git LFS leaves in place of a file that it did not fetch."""
    if path.stat().st_size > LARGEST_POINTER:
        return
    try:
        with path.open("rb") as file:
            if file.read(len(POINTER)) != POINTER:
                return
    except OSError as error:
        raise OrchestratorError("P109", f"cannot read {path}: {error.strerror}") from error
    hint = "run git lfs pull"
    raise OrchestratorError("P118", f"{path} is a pointer of Git LFS, and not the file itself", hint=hint)


def _check_keys(gathered: Gathered) -> None:
    """Refuse key material that the release does not name (P220). Other findings are warnings."""
    scan = Scan(gathered.release.package.key_material)
    artifacts = {artifact.file_name: artifact.path for artifact in gathered.release.artifacts}
    for _, item in sorted(gathered.items.items()):
        if item.area != "collection" and not item.source.is_symlink():
            name = {"artifacts": artifacts.get(item.path, item.path), "content": item.path}.get(item.area, item.name)
            scan.file(name, item.source)
    scan.refuse()
    gathered.warnings += scan.warnings()


def _check_links(gathered: Gathered) -> None:
    """Check each link: it stays in its area (otherwise P103), and its target is packed (otherwise a warning, P120)."""
    for area in {item.area for item in gathered.items.values()}:
        items = {item.path: item for item in gathered.items.values() if item.area == area}
        known = {path: on_disk(str(item.source.readlink())) for path, item in items.items() if item.source.is_symlink()}
        folders = {"."} | {path[:at] for path in items for at, letter in enumerate(path) if letter == "/"}
        for path in sorted(known):
            leads_to = _checked_target(path, known)
            if leads_to not in items and leads_to not in folders:
                text = f"the link {path} leads to {leads_to}, which is not in the package"
                hint = f"if the release needs {leads_to}, name it in `include` of release.yaml"
                gathered.warnings.append(OrchestratorError("P120", text, hint=hint))


def _checked_target(path: str, known: dict[str, str]) -> str:
    """The target of the link *path*, by the links that are *known*. Raises P103 if it is not in the project."""
    link, leads_to = known[path], links.target(path, known)
    why = links.objection(link)
    if why is None and leads_to is not None:
        return leads_to
    why = why or "leads out of the project or in a circle"
    hint = "make it a relative link inside the project, replace it by a copy, or name it in package.exclude"
    raise OrchestratorError("P103", f"the target of the link {path} {why}: {link}", hint=hint)
