"""Ansible's own answers about an inventory: its hosts and groups, the variables of each host, how each is reached.

If several sources may differ, Ansible resolves them. With one source only, the outputs of the stack are used unchanged.
"""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.configuration import Configurations, Effective
from orchestrator.adapters.ansible.document import dump
from orchestrator.adapters.ansible.installed import program
from orchestrator.adapters.views import Views
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.context import Context
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory, variables_of
from orchestrator.domain.job_event import has_shape
from orchestrator.domain.model import digest_of
from orchestrator.domain.text import clean_text
from orchestrator.domain.variables import inventory_document, plain_text
from orchestrator.domain.view import View
from orchestrator.file_system import files_of, read_bounded
from orchestrator.processes import STARTS, run_query
from orchestrator.trees import discard

LARGEST = 1 << 20  # bytes of what Ansible states of one host
OPTIONS = (
    "host", "port", "remote_user", "private_key_file", "ssh_common_args", "ssh_extra_args", "host_key_checking",
)  # fmt: skip
UNPARSED = re.compile(r"\[WARNING\]: Failed to parse inventory with '([\w.]+)' plugin: (.*)")
SSH = ("ssh", "smart", "ansible.builtin.ssh")
PLAIN = (
    "ansible_host", "ansible_port", "ansible_user", "ansible_connection", "ansible_private_key_file",
    "ansible_ssh_private_key_file", "ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_python_interpreter",
    "ansible_remote_tmp",
)  # fmt: skip
"""The variables of a host that mean one thing whatever else is set, as long as they have no templates."""


@dataclass(frozen=True)
class Connection:
    """How Ansible reaches a host: the kind of connection, and for SSH where it leads.

    Attributes:
        options: the options of the connection as Ansible resolves them; empty if the variables alone define them.
    """

    kind: str
    host: str
    port: int | None
    proxied: bool
    options: Mapping[str, Any]

    @property
    def is_ssh(self) -> bool:
        """Whether the host is reached through SSH."""
        return self.kind in SSH


class InventoryResolver:
    """Resolves inventories with Ansible, at most once in this process if the result cannot change.

    Args:
        configurations: the configuration of Ansible's processes.
    """

    def __init__(self, configurations: Configurations) -> None:
        self.configurations = configurations
        self._listings: dict[str, dict[str, Any]] = {}
        self._read: dict[tuple[str, ...], str] = {}
        self._connections: dict[str, dict[str, Connection]] = {}

    def hosts(self, inventory: Inventory, settings: AnsibleSettings) -> Inventory:
        """The inventory with the user's *files* read into it, and with Ansible's listing where variables may clash.

        Raises D104 and E120.
        """
        if inventory.listing is not None or not (inventory.files or _has_group_variables(inventory)):
            return inventory
        if inventory.files:
            self._read[inventory.files] = _content(inventory.files)
            return _listed(self._list(inventory, settings), inventory)
        key = digest_of([inventory.to_json(), settings.to_json()])
        if key not in self._listings:
            self._listings[key] = self._list(inventory, settings)
        return inventory.listed(self._listings[key])

    def is_outdated(self, inventory: Inventory) -> bool:
        """Whether the user's *files*, or the variables beside them, are other than when they were read."""
        return bool(inventory.files) and _content(inventory.files) != self._read.get(inventory.files)

    def connections(self, inventory: Inventory, context: Context) -> dict[str, Connection]:
        """How each host is reached. A host for which Ansible cannot resolve it is missing."""
        settings, lowest = context.settings, context.vars
        effective = self.configurations.of_hosts(inventory.files, settings)
        if effective.leaves_reaching_to_variables:
            found = {host: _plain(host, {**lowest, **variables_of(inventory, host)}) for host in inventory.hosts}
            if all(found.values()):
                return {host: connection for host, connection in found.items() if connection is not None}
        key = digest_of([inventory.digest, inventory.files, effective.settings.text, settings.to_json(), dict(lowest)])
        if key not in self._connections:
            reader = _Reader(self.configurations.views, inventory, effective, settings)
            self._connections[key] = _connections(reader, lowest)
        return self._connections[key]

    def _list(self, inventory: Inventory, settings: AnsibleSettings) -> dict[str, Any]:
        """What `ansible-inventory --list` prints."""
        effective = self.configurations.of_hosts(inventory.files, settings)
        reader = _Reader(self.configurations.views, inventory, effective, settings)
        with _laid(inventory, effective, {}) as (folder, sources, env):
            env["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "True"  # otherwise it warns, and leaves those hosts out
            if any(map(asks_us, inventory.files)):
                env |= {name: value for name, value in self.configurations.environ.items() if _is_ours(name)}
            done = reader.run(["ansible-inventory", "--list", *sources], folder, env)
            document = _document(done.stdout) if done.returncode == 0 else None
            if document is not None:
                reader.check_scripts(document, folder, env)
                return document
        last = clean_text(_cause(done.stderr), 500) if done.returncode else "what it printed is not an inventory"
        last = f"it was ended by signal {-done.returncode}, {STARTS} times" if done.returncode < 0 else last
        where = ", ".join(inventory.files) or "the stack's outputs"
        message = f"ansible-inventory cannot read {where}: {last}"
        raise OrchestratorError("D104", message, hint=reader.refused(done.stderr) or None)


def _document(printed: str) -> dict[str, Any] | None:
    """The listing that `ansible-inventory` has *printed*; None for other text, such as that of a plugin."""
    try:
        document = json.loads(printed, object_hook=plain_text)
    except (ValueError, RecursionError):
        return None
    groups = document if has_shape(document, {"_meta?": dict, "ungrouped?": dict}) else {"": None}
    return document if all(isinstance(group, dict) for group in groups.values()) else None


def _first_words(source: Path) -> set[str]:
    """The first words of the lines of the script *source*: hosts in plain text. Empty if it is not a script."""
    if not source.is_file() or not os.access(source, os.X_OK):
        return set()
    text = source.read_text(encoding="utf-8", errors="replace")
    return {line.split()[0] for line in text.splitlines() if line.strip()} if text.startswith("#!") else set()


def _content(sources: tuple[str, ...]) -> str:
    """The digest of what inventory sources contain, with the variables of groups and hosts beside them."""
    found: dict[str, str] = {}
    for source in map(Path, sources):
        folder = source if source.is_dir() else source.parent
        for place in (source, folder / "group_vars", folder / "host_vars"):
            for file in files_of(place):
                if file.is_file():
                    found[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
    return digest_of(found)


def _cause(printed: str) -> str:
    """Why `ansible-inventory` failed, in one line: its error, and why one plugin could not parse the source.

    Every plugin that tried the source prints a reason, from the strictest to the one for plain text. The reason of the
    last one is used, unless a script failed, or the source is YAML by its name.
    """
    lines = printed.strip().splitlines()
    errors = [line.removeprefix("[ERROR]:").strip() for line in lines if line.startswith("[ERROR]:")]
    last = errors[-1] if errors else (lines or ["no message"])[-1]
    found = [match.groups() for match in map(UNPARSED.match, lines) if match]
    strict = [why for plugin, why in found if plugin.endswith("script") or last.endswith((".yml", ".yaml", ".json"))]
    reasons = strict[:1] or [why for _, why in found[-1:]]
    return "; ".join([last, *reasons])


def asks_us(source: str) -> bool:
    """Whether an inventory source has files of our plugin, which runs this command for another environment.

    An isolated play cannot do that: it gets what was resolved, by :func:`static_document`.
    """
    path = Path(source)
    files = path.iterdir() if path.is_dir() else [path]
    return any(file.name.endswith((".pulumi.yml", ".pulumi.yaml")) for file in files)


def static_document(inventory: Inventory) -> dict[str, Any]:
    """What Ansible has resolved of *inventory*, as an inventory of its own."""
    listing = inventory.listing or {}
    groups = {name: body for name, body in listing.items() if name not in {"_meta", "all"}}
    children: dict[str, Any] = {
        name: {key: {item: {} for item in body.get(key, ())} for key in ("hosts", "children")}
        for name, body in groups.items()
    }
    return {"all": {"hosts": dict(listing.get("_meta", {}).get("hostvars", {})), "children": children}}


def _is_ours(name: str) -> bool:
    """Whether a variable sets where this project keeps its state and its stacks: that command needs the same one."""
    return name.startswith(("ORCHESTRATOR_", "PULUMI_")) and "PROJECT_KEY" not in name


@contextmanager
def _laid(
    inventory: Inventory, effective: Effective, variables: Mapping[str, Any]
) -> Iterator[tuple[Path, list[str], dict[str, str]]]:
    """The inventory and the configuration in a folder: with the words that name the sources, and the environment."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-"))
    try:
        overlay = folder / "overlay.yml"
        overlay.touch(mode=0o600)
        overlay.write_bytes(dump(inventory_document(inventory, variables)))
        (folder / CONFIG_FILE).write_bytes(effective.config)
        sources = [word for file in (str(overlay), *inventory.files) for word in ("-i", file)]
        yield folder, sources, effective.environment(folder, folder, len(inventory.hosts))
    finally:
        discard(folder)


@dataclass(frozen=True)
class _Reader:
    """Runs Ansible's programs that read *inventory*; scripts and plugins of it run in the view of its environment."""

    views: Views
    inventory: Inventory
    effective: Effective
    settings: AnsibleSettings

    def run(self, words: list[str], folder: Path, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """Run the program *words* with what was laid in *folder*. Raises I101."""
        argv, cwd = [program(words[0]), *words[1:]], self.effective.folder
        asking = [name for name in self.inventory.files if asks_us(name)]
        if asking and self.views.isolator().required:
            raise OrchestratorError("I101", f"{asking[0]} starts this command, which cannot be isolated")
        if asking:  # it starts us for another environment, which needs the project
            return run_query(argv, cwd=cwd, env=dict(env), errors="replace")
        done = self.views.answer(argv, self.view(str(folder)), cwd=cwd, env=env)
        out, errors = (data.decode("utf-8", "replace") for data in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, out, errors)

    def view(self, *folders: str) -> View:
        """What the program finds, with *folders* of its own."""
        return self.effective.view(self.settings, self.views.inventory(self.inventory), folders)

    def check_scripts(self, document: Mapping[str, Any], folder: Path, env: Mapping[str, str]) -> None:
        """Raise D104 if isolation made a script fail, and Ansible took the text of the script for an inventory.

        Ansible tries one plugin after the other, and does not report the first failure if a later one succeeds.
        """
        hosts = set(document.get("_meta", {}).get("hostvars", {})) | set(document.get("ungrouped", {}).get("hosts", ()))
        for source in self.inventory.files if self.views.isolates else ():
            if hosts & _first_words(Path(source)):
                only = {**env, "ANSIBLE_INVENTORY_ENABLED": "ansible.builtin.script"}
                done = self.run(["ansible-inventory", "--list", "-i", source], folder, only)
                hint = self.refused(done.stderr) if done.returncode else ""
                if hint:
                    message = f"ansible-inventory cannot read {source}: {clean_text(_cause(done.stderr), 500)}"
                    raise OrchestratorError("D104", message, hint=hint)

    def refused(self, text: str) -> str:
        """What to do if isolation refused what *text* names."""
        return self.views.refused(text, self.view(), self.settings)


def _connections(reader: _Reader, variables: Mapping[str, Any]) -> dict[str, Connection]:
    """How each host is reached, as Ansible resolves it. No host is contacted."""
    inventory = reader.inventory
    options = ", ".join(f"'{name}': {_lookup(name)}" for name in OPTIONS)
    kind = "ansible_connection | default(lookup('ansible.builtin.config', 'DEFAULT_TRANSPORT'))"
    message = json.dumps({"msg": "{{ {'kind': %s} | combine({%s}) }}" % (kind, options)})  # noqa: UP031
    found = {}
    with _laid(inventory, reader.effective, variables) as (folder, sources, env):
        tree = folder / "tree"
        words = ["ansible", "all", *sources, "-m", "ansible.builtin.debug", "-a", message, "--tree", str(tree)]
        reader.run(words, folder, env)
        for host in inventory.hosts:
            try:
                resolved = json.loads(read_bounded(tree / host, LARGEST))["msg"]
                found[host] = _connection(resolved)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
    return found


def _lookup(option: str) -> str:
    return f"lookup('ansible.builtin.config', '{option}', plugin_type='connection', plugin_name='ssh')"


def _connection(resolved: Mapping[str, Any]) -> Connection:
    port = int(resolved["port"]) if resolved["port"] is not None else None
    words = f"{resolved['ssh_common_args']}{resolved['ssh_extra_args']}"
    return Connection(str(resolved["kind"]), str(resolved["host"]), port, "Proxy" in words, dict(resolved))


def _plain(host: str, variables: Mapping[str, Any]) -> Connection | None:
    """How a host is reached if its plain variables define it; None if only Ansible can resolve it."""
    own = {name: value for name, value in variables.items() if name.startswith("ansible_")}
    if not set(own) <= set(PLAIN) or any("{" in str(value) for value in own.values()):
        return None
    words = f"{own.get('ansible_ssh_common_args', '')}{own.get('ansible_ssh_extra_args', '')}"
    port = own.get("ansible_port")
    if port is not None and not str(port).isdigit():
        return None
    kind, address = str(own.get("ansible_connection", "ssh")), str(own.get("ansible_host", host))
    return Connection(kind, address, int(port) if port is not None else None, "Proxy" in words, {})


def _has_group_variables(inventory: Inventory) -> bool:
    return any(group.vars for name, group in inventory.groups.items() if name != "all")


def _listed(document: dict[str, Any], known: Inventory) -> Inventory:
    """Hosts and groups from what `ansible-inventory --list` prints.

    The variables of the user's own files are not copied: Ansible reads them from the files again, with their own
    precedence, templates and vaults. Only what was *known* before (the stack's outputs) is kept as a value. Of all the
    others a digest is kept, in which values of a vault are still encrypted. The listing itself is never written down.
    """
    groups = {
        name: Group(hosts=tuple(body.get("hosts", ())), children=tuple(body.get("children", ())))
        for name, body in document.items()
        if name not in {"_meta", "all"}
    }
    order: dict[str, None] = {}
    for group in groups.values():
        order.update(dict.fromkeys(group.hosts))
    order.update(dict.fromkeys(document.get("_meta", {}).get("hostvars", {})))
    hosts = {host: known.hosts.get(host, {}) for host in order}
    kept = {name: group.model_copy(update={"vars": known.groups[name].vars}) if name in known.groups else group
            for name, group in groups.items()}  # fmt: skip
    if not hosts:
        raise OrchestratorError("E120", f"there is no host in {', '.join(known.files)}")
    found = Inventory(hosts=hosts, groups=kept, source_digest=digest_of(document), templates=known.templates)
    return found.with_files_of(known).listed(document, known)
