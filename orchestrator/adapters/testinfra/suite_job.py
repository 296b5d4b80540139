"""One run of a suite as a job: its copy of the content, its inventory, its command line and its environment."""

import contextlib
import json
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from orchestrator.adapters.ansible.configuration import Configurations
from orchestrator.adapters.ansible.control import ControlSockets
from orchestrator.adapters.ansible.play import TEMPORARY
from orchestrator.adapters.ansible.resolution import Connection
from orchestrator.adapters.archive.working_copy import copy_content
from orchestrator.adapters.explanations import explained
from orchestrator.adapters.testinfra.sealed_settings import suite_root
from orchestrator.adapters.views import CONTROL
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.context import Context
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.plan import SuiteSpec
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.domain.variables import base_vars, inventory_document, json_document
from orchestrator.domain.view import View
from orchestrator.ports import SECRETS_FOLDER, Job
from orchestrator.trees import discard

NEVER = ("PYTEST_", "PYTHON")  # they decide which code and which tests run
PLUGIN = "orchestrator.adapters.testinfra.plugin"
CONTENT, CACHE, EMPTY = "content", "cache", "pytest.ini"


class Hosts(NamedTuple):
    """The hosts of a suite, and how Ansible reaches them."""

    inventory: Inventory
    connections: Mapping[str, Connection]


class SuiteJob:
    """The job of one run of *suite* in *folder*.

    Args:
        folder: the folder of the job.
        key: its key.
        hosts: the hosts that it is about.
        configurations: the configuration of Ansible's processes.
        persistent: keep one connection open to each host.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        suite: SuiteSpec,
        package: Package,
        hosts: Hosts,
        context: Context,
        configurations: Configurations,
        *,
        persistent: bool,
    ) -> None:
        self._folder, self._key, self._suite, self._package = folder, key, suite, package
        self._inventory, self._ways, self._context, self._persistent = *hosts, context, persistent
        files, self._views = self._inventory.files, configurations.views
        self.effective = configurations.of_suite(package, suite.tests, files, context.settings, folder / CONTENT)
        self._found = self.effective.copy or folder / CONTENT
        self._control = ControlSockets(folder, "", configurations.environ)
        self._secrets = self._secret_files()

    def prepare(self, more: Mapping[str, str]) -> Job:
        """Lay down the copy in which the suite runs, unless the job was started before. *more*: further variables."""
        content = self._folder / CONTENT
        if not (self._folder / "job.json").exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            copy_content(self._package, content)
            (self._folder / TEMPORARY[1]).mkdir(mode=0o700, exist_ok=True)
        _link_files(self._folder, self._inventory)
        return Job(
            key=self._key,
            argv=self._command(content),
            env={**self._env(), **more},
            cwd=self._found,
            files={CONFIG_FILE: self.effective.config, EMPTY: b""},
            secrets=self._secrets,
            timeout=self._suite.timeout,
            writes=(CONTENT, CACHE, *TEMPORARY),
            view=self._view(),
        )

    def _view(self) -> View:
        """The view of the suite: besides its copy, the files that it needs to reach the hosts of its environment."""
        return self.effective.view(self._context.settings, self._views.inventory(self._inventory))

    def explained(self, result: StepResult) -> StepResult:
        """The *result* of the suite, with the line to add if isolation refused what it needed."""
        settings, where = self._context.settings, f"the environment.yaml of {self._context.environment}"
        if not self._views.isolates:
            return result
        return explained(result, self._folder, lambda text: self._views.refused(text, self._view(), settings, where))

    def discard(self) -> None:
        """Remove the copy, the cache, temporary files and connections of a job that has ended."""
        self._control.close()
        for name in (CONTENT, CACHE, *TEMPORARY):
            discard(self._folder / name)

    @property
    def _source(self) -> Path:
        """The inventory as the suite finds it."""
        folder = self._folder / "inventory"
        return folder if self._inventory.files else folder / "hosts.json"

    @property
    def _secret(self) -> Path:
        """The folder of the files that end with the job."""
        return self._folder / SECRETS_FOLDER

    def _secret_files(self) -> dict[str, bytes]:
        """The files of the job that hold variables and ways to hosts."""
        variables = base_vars(self._package, None, self._context)
        return {
            "hosts.json": json.dumps(json_document(inventory_document(self._inventory, variables))).encode(),
            "inventory.list": json.dumps(inventory_listing(self._inventory, variables)).encode(),
            "connections.json": json.dumps(self._connections()).encode(),
            "outputs.json": json.dumps(dict(self._context.outputs.plain)).encode(),
        }

    def _connections(self) -> dict[str, dict[str, object]]:
        """How hosts are reached, as variables for testinfra, where it would not find that out as Ansible does."""
        ways = {host: way for host, way in self._ways.items() if way.is_ssh and way.options}
        return {host: connection_variables(way.options) for host, way in ways.items()}

    def _command(self, content: Path) -> tuple[str, ...]:
        """Pytest's command line."""
        root = suite_root(content, self._suite.tests)
        words = root.words(content, self._folder / EMPTY, self._folder / CACHE, self._suite.args)
        settings = tuple(word.replace(str(content), str(self._found)) for word in words)
        source = f"--ansible-inventory={self._source}"
        pytest = (sys.executable, "-P", "-m", "pytest", "-p", PLUGIN, "-q", *settings)
        return (*pytest, self._suite.tests, "--connection=ansible", source, *self._suite.args)

    def _env(self) -> dict[str, str]:
        """The environment of pytest's process: what is on the list, what the environment declares, and ours."""
        package, context = self._package, self._context
        control = Path(CONTROL) if self._views.isolates else self._control.folder()
        env = self.effective.environment(self._folder, control, len(self._inventory.hosts))
        env = {name: value for name, value in env.items() if not name.startswith(NEVER)}
        env |= {
            "PYTHONDONTWRITEBYTECODE": "1",  # the copy has no compiled files, and gets none
            "PYTHONUNBUFFERED": "1",
            "ANSIBLE_INVENTORY": str(self._source),
            "MOLECULE_INVENTORY_FILE": str(self._source),
            "ORCHESTRATOR_CONTENT": str(self._found),
            "ORCHESTRATOR_RELEASE": package.ref.name,
            "ORCHESTRATOR_VERSION": package.ref.version,
            "ORCHESTRATOR_DIGEST": package.digest,
            "ORCHESTRATOR_ENVIRONMENT": context.environment,
            "ORCHESTRATOR_RUN_ID": context.run,
            "ORCHESTRATOR_OUTPUTS_FILE": str(self._secret / "outputs.json"),
            "ORCHESTRATOR_AGENT": "1" if self._persistent else "0",
            "ORCHESTRATOR_INVENTORY": str(self._source),
            "ORCHESTRATOR_INVENTORY_LIST": str(self._secret / "inventory.list"),
            "ORCHESTRATOR_CONNECTIONS": str(self._secret / "connections.json"),
        }
        temporary = {} if self._views.isolates else _own_temporary(self._folder)
        return env | own_packages() | temporary


def _own_temporary(folder: Path) -> dict[str, str]:
    """The variable with pytest's folder for temporary files: names in the shared one are known to all other users."""
    return {"PYTEST_DEBUG_TEMPROOT": str(folder / TEMPORARY[1])}


def own_packages() -> dict[str, str]:
    """The variables by which the process finds our own packages, and no other place of the user's."""
    packages = Path(__file__).resolve().parents[3]
    env = {"PYTHONPATH": str(packages)} if (packages / "pyproject.toml").is_file() else {}
    own = Path(site.getusersitepackages()) if site.ENABLE_USER_SITE else None
    return env if own is not None and own in packages.parents else env | {"PYTHONNOUSERSITE": "1"}


def narrowed(inventory: Inventory, hosts: list[str]) -> Inventory:
    """*inventory* with no other hosts than *hosts*; groups and variables stay."""
    kept = set(hosts)
    groups = {
        name: group.model_copy(update={"hosts": tuple(host for host in group.hosts if host in kept)})
        for name, group in inventory.groups.items()
    }
    return inventory.model_copy(update={"hosts": {host: inventory.hosts[host] for host in hosts}, "groups": groups})


def inventory_listing(inventory: Inventory, variables: Mapping[str, object]) -> dict[str, object]:
    """The output of `ansible-inventory --list` for *inventory*; *variables* have the lowest precedence."""
    hosts = inventory.hosts
    if inventory.listing is None:
        special = inventory.groups.get("all", Group()).vars
        hostvars = {host: {**variables, **special, **own} for host, own in hosts.items()}
        return {"_meta": {"hostvars": hostvars}, **_groups(inventory)}
    known = inventory.listing["_meta"]["hostvars"]
    groups = {
        name: {**group, "hosts": [host for host in group["hosts"] if host in hosts]} if "hosts" in group else group
        for name, group in inventory.listing.items()
        if name != "_meta"
    }
    return {"_meta": {"hostvars": {host: {**variables, **known.get(host, {})} for host in hosts}}, **groups}


def _groups(inventory: Inventory) -> dict[str, object]:
    """The groups of an inventory in which no group has variables, in the shape of a listing."""
    shaped: dict[str, object] = {
        name: {"hosts": list(group.hosts), "children": list(group.children)} for name, group in inventory.groups.items()
    }
    grouped = [name for name in inventory.groups if name != "all"]
    shaped["all"] = {"children": ["ungrouped", *grouped]}
    shaped["ungrouped"] = {"hosts": inventory.members("ungrouped")}
    return shaped


def connection_variables(options: Mapping[str, object]) -> dict[str, object]:
    """The variables by which testinfra reaches a host as Ansible does with these *options* of its connection."""
    extra = str(options["ssh_extra_args"])
    if not options["host_key_checking"]:
        extra = f"{extra} -o StrictHostKeyChecking=no".strip()
    found = {
        "ansible_connection": "ssh",
        "ansible_host": options["host"],
        "ansible_port": options["port"],
        "ansible_user": options["remote_user"],
        "ansible_ssh_private_key_file": options["private_key_file"],
        "ansible_ssh_common_args": options["ssh_common_args"],
        "ansible_ssh_extra_args": extra,
    }
    return {name: value for name, value in found.items() if value is not None}


def _link_files(folder: Path, inventory: Inventory) -> None:
    """Let the inventory folder lead to our file, to the user's inventory files, and to the variables beside them."""
    target = folder / "inventory"
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        (target / "hosts.json").symlink_to(folder / SECRETS_FOLDER / "hosts.json")
    for number, file in enumerate(inventory.files):
        path = Path(file)
        sources = [path] if path.is_file() else sorted(path.iterdir())
        beside = [path.parent / name for name in ("group_vars", "host_vars")] if path.is_file() else []
        for source in [*sources, *(item for item in beside if item.is_dir())]:
            name = source.name if source.is_dir() else f"{20 + number}-{source.name}"
            with contextlib.suppress(FileExistsError):
                (target / name).symlink_to(source)
