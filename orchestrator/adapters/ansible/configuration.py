"""The configuration of every Ansible process: resolved once from sealed, current and declared settings.

Nothing else reaches Ansible: no `ANSIBLE_*` variable of the controller, no `~/.ansible.cfg`, no `/etc/ansible`, and no
roles, collections or plugins of the machine. Plays, host inspections, inventories and suites all use this module.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchestrator.adapters.ansible.installed import ansible_settings, ansible_versions
from orchestrator.adapters.ansible.settings import CURRENT, SEALED, EffectiveSettings, Source, Types
from orchestrator.adapters.testinfra import installed
from orchestrator.adapters.views import CONTROL, Views
from orchestrator.domain.configuration import (
    CONFIG_FILE,
    NOT_PASSED,
    Configuration,
    FolderSettings,
    Setting,
    working_folder,
)
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.model import digest_of
from orchestrator.domain.release import Package
from orchestrator.domain.view import View

PASSED = (
    "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "KRB5CCNAME", "http_proxy",
    "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "VAULT_ADDR", "VAULT_TOKEN",
)  # fmt: skip
ASKED = "ANSIBLE_ORCHESTRATOR_INVENTORY"
"""Set by our inventory plugin: whose inventory is being read. An inventory that leads back to it is refused by that."""
REPORTED = ("ANSIBLE_", "PYTEST_", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME")
SSH_ARGS = (
    "-C -o ControlMaster=auto -o ControlPersist=120s -o PreferredAuthentications=publickey -o GSSAPIAuthentication=no"
)
TUNED = {  # variable: (the settings of ansible.cfg that mean the same, our value)
    "ANSIBLE_PIPELINING": (
        (("defaults", "pipelining"), ("connection", "pipelining"), ("ssh_connection", "pipelining")),
        "True",
    ),
    "ANSIBLE_SSH_ARGS": ((("ssh_connection", "ssh_args"),), SSH_ARGS),
    "ANSIBLE_SSH_USETTY": ((("ssh_connection", "usetty"),), "False"),
    "ANSIBLE_SSH_TRANSFER_METHOD": ((("ssh_connection", "transfer_method"),), "piped"),
    "ANSIBLE_SSH_CONTROL_PATH": ((("ssh_connection", "control_path"),), "%(directory)s/%%C"),
}
"""What is set for speed where nothing else sets it; the figures are printed by `bench/deploy.py`."""
HOST_KEYS = (("ssh_connection", "host_key_checking"), ("defaults", "host_key_checking"))
ROLES = (("defaults", "roles_path"),)
COLLECTIONS = (("defaults", "collections_path"), ("defaults", "collections_paths"))
CALLBACKS = (("defaults", "callback_plugins"),)
CODE = (
    "collections", "roles", "group_vars", "host_vars", "inventory_plugins", "vars_plugins", "filter_plugins",
    "lookup_plugins", "plugins", "library", "module_utils",
)  # fmt: skip
"""What Ansible finds in the project beside its `ansible.cfg`, where it reads inventories and inspects hosts."""
MACHINE = ("/usr/share/ansible/plugins", "/usr/share/ansible/roles", "/usr/share/ansible/collections")
OF_USER = ("roles", "collections/ansible_collections", "plugins")


@dataclass(frozen=True)
class Effective:
    """What Ansible is given in one working folder.

    Attributes:
        folder: where Ansible works.
        settings: the settings of `ansible.cfg`.
        host_key_checking: whether the keys of hosts are checked if no setting decides it.
        package: the package whose roles and collections beside its tree are found as well.
        copy: the copy of the package's content in which Ansible works, as Ansible finds it; None: the content itself.
        laid: that copy, as this process finds it.
    """

    folder: Path
    settings: EffectiveSettings
    host_key_checking: bool
    _owner: "Configurations"
    _declared: tuple[str, ...]
    package: Package | None = None
    copy: Path | None = None
    laid: Path | None = None

    def view(self, settings: AnsibleSettings, read: Iterable[str], write: Iterable[str] = ()) -> View:
        """The view of an Ansible process, besides its own folders: *read* and *write* are files of it. Raises I103."""
        package, placed = self.package, self.laid is not None and self.copy != self.laid
        areas = [package.folder(area) for area in package.manifest.areas()] if package is not None else []
        project = [str(self.folder / name) for name in CODE] if self.laid is None else []
        named = self.settings.get(("ssh_connection", "control_path_dir"))
        control = [str(Path(named).expanduser())] if named else []
        return self._owner.views.of(
            settings,
            keys=[str(path) for path in self.settings.named_files() if str(path) not in control],
            read=[*filter(None, areas), str(self._owner.collections), *project, *read],
            write=[*([str(self.laid)] if self.laid is not None and not placed else []), *write],
            copy=self.laid if placed else None,
            empty=[CONTROL, *control, *([str(self.folder)] if self.laid is None else [])],
        )

    def _exists(self, path: Path) -> bool:
        """Whether there is the folder that Ansible finds at *path*."""
        if self.copy is not None and self.laid is not None and path.is_relative_to(self.copy):
            path = self.laid / path.relative_to(self.copy)
        return path.is_dir()

    @property
    def leaves_reaching_to_variables(self) -> bool:
        """Whether only the variables of a host define how it is reached: no setting and no declared variable does."""
        declared = any(name.startswith("ANSIBLE_") for name in self._owner.passed(self._declared))
        return self.host_key_checking and not declared and not self.settings.about_reaching()

    @property
    def config(self) -> bytes:
        """The text of the `ansible.cfg` that Ansible reads."""
        return self.settings.text.encode()

    def environment(self, job: Path, control: Path, hosts: int) -> dict[str, str]:
        """The whole environment of an Ansible process for so many *hosts*.

        Args:
            job: the folder that has `ansible.cfg` with :attr:`config`, and gets Ansible's temporary files.
            control: the folder of ssh's control sockets.
            hosts: how many hosts there are.
        """
        env = self._owner.passed(self._declared)
        for variable, (options, value) in TUNED.items():
            if self.settings.get(*options) is None:
                env.setdefault(variable, value)
        if self.settings.get(("defaults", "forks")) is None:
            env.setdefault("ANSIBLE_FORKS", str(min(max(hosts, 1), 10 * (os.cpu_count() or 1), 50)))
        checking = self.settings.get(*HOST_KEYS)
        env.setdefault("ANSIBLE_HOST_KEY_CHECKING", checking if checking is not None else str(self.host_key_checking))
        if self.settings.get(("ssh_connection", "control_path_dir")) is None:
            env.setdefault("ANSIBLE_SSH_CONTROL_PATH_DIR", str(control))
        own = {
            "ANSIBLE_CONFIG": str(job / CONFIG_FILE),
            "ANSIBLE_HOME": str(job / "home"),
            "ANSIBLE_LOCAL_TEMP": str(job / "tmp"),
            "ANSIBLE_PERSISTENT_CONTROL_PATH_DIR": str(control),
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
        }
        return {**self._owner.without_machine(self.settings, job / "home"), **self.search_paths(), **env, **own}

    def search_paths(self) -> dict[str, str]:
        """Where roles, collections and callbacks are found: in the package, and beside us; never elsewhere."""
        found = self._with_packed(COLLECTIONS, "collections")
        packed = self.folder / "collections"  # with our own collection, as the release was verified with it
        more = [str(packed)] if self._exists(packed) else []
        places = dict.fromkeys([*found, *more, str(self._owner.collections)])
        return {
            "ANSIBLE_ROLES_PATH": os.pathsep.join(self._with_packed(ROLES, "roles") or [str(self.folder / "roles")]),
            "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(places),
            # ansible-runner sets this variable too, and would hide the callbacks of the project.
            "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join(
                self._beside(CALLBACKS, "callback_plugins") or [str(self.folder / "callback_plugins")]
            ),
        }

    def _with_packed(self, options: tuple[tuple[str, str], ...], name: str) -> list[str]:
        """As :meth:`_beside`, with what is packed beside the tree: after the tree's own, before all others."""
        found = self._beside(options, name)
        if self.package is None:
            return found
        packed = self.package.role_paths() if name == "roles" else self.package.collection_paths()
        top = self.copy or (self.folder if self.package.root is None else Path(self.package.root))
        inside = [place for place, part in enumerate(found, 1) if Path(part).is_relative_to(top)]
        after = inside[-1] if inside else 0
        return [*found[:after], *packed, *found[after:]]

    def _beside(self, options: tuple[tuple[str, str], ...], name: str) -> list[str]:
        """The search path that is set; otherwise the folder *name*, if it exists."""
        value = self.settings.get(*options)
        if value is not None:
            return [str(Path(part).expanduser()) for part in value.split(os.pathsep) if part]
        return [str(self.folder / name)] if self._exists(self.folder / name) else []


class Configurations:
    """Resolves the configuration of Ansible for plays, host inspections and inventories.

    Args:
        environ: the environment variables of the controller.
        home: the folder of the project. None: only the package is known, and its sealed file gives all settings.
        collections: the folder that holds `ansible_collections/orchestrator`.
        state: the folder in which Ansible works if *home* is None and no `ansible.cfg` lies above an inventory file.
        views: what processes find of this machine; by default nothing but what they are given.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        home: Path | None,
        collections: Path,
        state: Path,
        views: Views | None = None,
    ) -> None:
        self.environ, self._home, self.collections, self._state = environ, home, collections, state
        self.views = views or Views(home, state, environ)

    def of_play(
        self, package: Package, playbook: str, settings: AnsibleSettings, copy: Path | None = None
    ) -> Effective:
        """The configuration of *playbook*: code settings from the package, transport settings from the operator.

        *copy* is the copy of the package's content in which it runs; by default that content itself. Raises D150.
        """
        root = self.seen(package, copy)
        sealed, effective = _sealed(package, playbook, root), EffectiveSettings(self._types)
        effective.take(sealed, transport=False)
        current = self._current(package, playbook)
        effective.take(current or sealed, transport=True)
        effective.own(settings, self._home)
        if current is not None:
            effective.leave_out(sealed)
        return self._effective(sealed.base or sealed.folder, effective, settings, package, root, copy)

    def seen(self, package: Package, copy: Path | None) -> Path | None:
        """Where Ansible finds the *copy* of the content of *package*: isolated, at the path of the project.

        A package of format 1 has another tree than the project, and is found where it is.
        """
        return copy if copy is None or package.manifest.format == 1 else self.views.seen(copy)

    def of_suite(
        self, package: Package, tests: str, files: tuple[str, ...], settings: AnsibleSettings, copy: Path
    ) -> Effective:
        """The configuration of Ansible where the suite *tests* starts it, in the *copy*. Raises D150."""
        root = self.seen(package, copy)
        sealed, effective = _sealed(package, f"{tests}/", root), EffectiveSettings(self._types)
        effective.take(sealed, transport=False)
        here = self._home is not None
        effective.take(Source(self._hosts_folder(files, settings), CURRENT) if here else sealed, transport=True)
        effective.own(settings, self._home)
        return self._effective(sealed.base or sealed.folder, effective, settings, package, root, copy)

    def of_hosts(self, files: tuple[str, ...], settings: AnsibleSettings) -> Effective:
        """The configuration of host inspections, and of Ansible where it reads the inventory *files*. Raises D150."""
        folder = self._hosts_folder(files, settings)
        effective, source = EffectiveSettings(self._types), Source(folder, CURRENT)
        effective.take(source, transport=False)
        effective.without_code()
        effective.take(source, transport=True)
        effective.own(settings, self._home)
        return self._effective(folder, effective, settings)

    def of_folder(self, folder: Path, package: Package) -> Effective:
        """The configuration of a *folder* of *package* alone, with nothing of the operator. Raises D150."""
        effective = EffectiveSettings(self._types)
        effective.take(Source(folder, SEALED), transport=False)
        return self._effective(folder, effective, AnsibleSettings(), package)

    def document(self, package: Package, files: tuple[str, ...], settings: AnsibleSettings) -> Configuration:
        """The part of a plan with the configuration of the playbooks of *package* and of host inspections."""
        plays: dict[str, tuple[Setting, ...]] = {}
        for playbook in package.manifest.release.playbooks():
            folder = working_folder_of(package, playbook)
            plays.setdefault(folder or ".", self.of_play(package, playbook, settings).settings.listed())
        declared = tuple(sorted({name for name in settings.environment if name in self.environ}))
        return Configuration(
            versions={**ansible_versions(), **installed.python_versions()},
            plays=tuple(FolderSettings(folder=name, settings=found) for name, found in sorted(plays.items())),
            hosts=self.of_hosts(files, settings).settings.listed(),
            environment=declared,
            values=digest_of([[name, self.environ[name]] for name in declared]) if declared else None,
        )

    def notes(self, package: Package, settings: AnsibleSettings) -> tuple[str, ...]:
        """Settings of the controller or the package that Ansible does not get, in a sentence each."""
        notes = [
            f"{name} is set here {NOT_PASSED}"
            for name in sorted(self.environ)
            if name.startswith(REPORTED) and name not in {ASKED, *settings.environment}
        ]
        notes += [f"{path} exists here {NOT_PASSED}" for path in self._elsewhere()]
        notes += self.views.notes(settings)
        unused: dict[str, None] = {}
        for playbook in package.manifest.release.playbooks():
            unused |= dict.fromkeys(self.of_play(package, playbook, settings).settings.unused)
        if unused:
            names, verb = ", ".join(unused), "is" if len(unused) == 1 else "are"
            notes.append(
                f"{names} in the package's ansible.cfg {verb} not used: only this project's own ansible.cfg and"
                " environment.yaml set how hosts are reached"
            )
        return tuple(notes)

    def passed(self, declared: tuple[str, ...]) -> dict[str, str]:
        """The variables of the controller that an Ansible process gets, and what every process of ours gets."""
        allowed = self.views.passed({*PASSED, ASKED}, declared)
        env = {name: value for name, value in self.environ.items() if name in allowed}
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), self.environ.get("PATH", os.defpath)])
        env.setdefault("LANG", "C.UTF-8")
        return env | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}

    def without_machine(self, settings: EffectiveSettings, home: Path) -> dict[str, str]:
        """Variables that keep plugins of the machine out: each search path that nothing sets gets an empty place."""
        found = {}
        for name, about in ansible_settings().items():
            options = tuple((item["section"], item["key"]) for item in about.get("ini") or ())
            is_search_path = about.get("type") == "pathspec" and "/usr/share/ansible" in str(about.get("default"))
            if is_search_path and about.get("env") and settings.get(*options) is None:
                found[str(about["env"][0]["name"])] = str(home / "plugins" / name.lower())
        return found

    def _effective(
        self,
        folder: Path,
        settings: EffectiveSettings,
        chosen: AnsibleSettings,
        package: Package | None = None,
        copy: Path | None = None,
        laid: Path | None = None,
    ) -> Effective:
        return Effective(folder, settings, chosen.host_key_checking, self, chosen.environment, package, copy, laid)

    def _current(self, package: Package, playbook: str) -> Source | None:
        """The folder of the project whose current `ansible.cfg` counts for *playbook*; None if the sealed file counts.

        The sealed file counts if the folder of the project is not known. It also counts for a package of format 1 if
        the project's folder has no `ansible.cfg`, because that format may have taken the file from another folder.
        """
        folder = working_folder_of(package, playbook)
        if self._home is None:
            return None
        there = (self._home / folder / CONFIG_FILE).is_file()
        return Source(self._home / folder, CURRENT) if there or package.manifest.format != 1 else None

    def _hosts_folder(self, files: tuple[str, ...], settings: AnsibleSettings) -> Path:
        """The folder whose `ansible.cfg` counts for the hosts of an environment."""
        if self._home is None:
            self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
            return next(_above(files), self._state)
        if settings.config is not None:
            return (self._home / settings.config).parent
        found = next((folder for folder in _above(files) if folder.is_relative_to(self._home)), None)
        below = sorted(path.parent for path in self._home.glob(f"*/{CONFIG_FILE}"))
        if found is None and not (self._home / CONFIG_FILE).is_file() and len(below) == 1:
            return below[0]
        return found or self._home

    def _elsewhere(self) -> Iterator[str]:
        """The files and folders of the machine that Ansible would read by hand."""
        user = Path(self.environ.get("HOME") or Path.home())
        for path in (user / f".{CONFIG_FILE}", Path("/etc/ansible") / CONFIG_FILE):
            if path.is_file():
                yield str(path)
        for path in (*(user / ".ansible" / name for name in OF_USER), *map(Path, MACHINE)):
            if path.is_dir() and any(path.iterdir()):
                yield str(path)

    @cached_property
    def _types(self) -> Types:
        return {
            (item["section"], item["key"]): str(about.get("type") or "")
            for about in ansible_settings().values()
            for item in about.get("ini") or ()
        }


def _sealed(package: Package, path: str, root: Path | None) -> Source:
    """The sealed `ansible.cfg` that counts for *path* of a package, whose content runs in the copy *root*."""
    folder = working_folder_of(package, path)
    kept = Path(os.path.normpath(str(package.root)))
    return Source(kept / folder, SEALED, Path(os.path.normpath(root or kept)) / folder)


def working_folder_of(package: Package, playbook: str) -> str:
    """The folder below the content of *package* that Ansible works in for *playbook*; empty for the content itself."""
    manifest = package.manifest
    if manifest.format == 1:
        return manifest.project.removeprefix(".")
    return working_folder(playbook, {file.path for file in manifest.files if file.area == "content"})


def _above(files: tuple[str, ...]) -> Iterator[Path]:
    """The folders above the inventory *files*, or that they are, which have an `ansible.cfg`: the nearest first."""
    for file in files[:1]:
        path = Path(file)
        yield from (folder for folder in (path, *path.parents) if (folder / CONFIG_FILE).is_file())
