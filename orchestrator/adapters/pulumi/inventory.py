"""From a stack's outputs to hosts: an output with an Ansible inventory, a mapping, or the user's own files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError, Undefined, UndefinedError
from jinja2.nativetypes import NativeEnvironment
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orchestrator.domain.context import Outputs
from orchestrator.domain.environment import Environment, InventoryGroup
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import GROUP, HOST, Group, Inventory

OUTPUTS = ("ansible_inventory", "inventory")
SPECIAL = {"all", "ungrouped"}


class _Templates(ImmutableSandboxedEnvironment, NativeEnvironment):
    """Templates that give values and not only text. They are the operator's own."""


def inventory(environment: Environment, outputs: Outputs, project: Path) -> Inventory:
    """The hosts of *environment*. Raises E120 to E124."""
    source = environment.inventory
    everything = {**outputs.plain, **outputs.secret}
    found = Inventory()
    name = source.output or next((name for name in OUTPUTS if name in everything), None)
    if name is not None and (source.output or not source.groups):
        if name not in everything:
            raise OrchestratorError("E120", f"the stack of {environment.name} has no output {name!r}")
        found = from_output(everything[name], name)
    if source.groups:
        found = _merged(found, _mapped(source.groups, everything))
    files = tuple(str(_existing(project, path)) for path in source.files)
    if not found.hosts and not files:
        known = ", ".join(sorted(everything)) or "none"
        raise OrchestratorError(
            "E120",
            f"{environment.name} has no inventory: no output {' or '.join(OUTPUTS)} (its outputs: {known})",
        )
    return found.model_copy(update={"files": files})


def _existing(project: Path, relative: str) -> Path:
    path = project / relative
    if not path.exists():
        raise OrchestratorError("E121", f"the inventory file {relative!r} is not there")
    return path


def from_output(value: Any, name: str) -> Inventory:
    """An inventory in Ansible's JSON or YAML shape, as data or as text, with or without `_meta.hostvars`."""
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise OrchestratorError("E122", f"the output {name!r} is neither JSON nor YAML") from error
    if not isinstance(value, Mapping):
        raise OrchestratorError("E122", f"the output {name!r} is not an inventory but {type(value).__name__}")
    reader = _Reader(name)
    meta = value.get("_meta", {})
    for host, variables in (meta.get("hostvars", {}) if isinstance(meta, Mapping) else {}).items():
        reader.host(str(host), variables)
    for group, body in value.items():
        if group != "_meta":
            reader.group(str(group), body)
    return Inventory(hosts=reader.hosts, groups=reader.groups)


class _Reader:
    """Reads Ansible's shape, and checks every name on the way."""

    def __init__(self, output: str) -> None:
        self._output = output
        self.hosts: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, Group] = {}

    def host(self, name: str, variables: Any) -> None:
        if not HOST.match(name):
            raise OrchestratorError("E123", f"{name!r} in the output {self._output!r} cannot be a host's name")
        if variables is not None and not isinstance(variables, Mapping):
            raise OrchestratorError("E122", f"the variables of {name} in {self._output!r} are not a mapping")
        self.hosts.setdefault(name, {}).update(variables or {})

    def group(self, name: str, body: Any) -> None:
        if name not in SPECIAL and not GROUP.match(name):
            raise OrchestratorError("E123", f"{name!r} in the output {self._output!r} cannot be a group's name")
        body = {"hosts": body} if isinstance(body, list) else body or {}
        if not isinstance(body, Mapping):
            raise OrchestratorError("E122", f"the group {name} in {self._output!r} is not a mapping")
        members = body.get("hosts") or {}
        members = dict.fromkeys(members) if isinstance(members, list) else members
        for host, variables in members.items():
            self.host(str(host), variables)
        children = body.get("children") or {}
        for child, inside in children.items() if isinstance(children, Mapping) else dict.fromkeys(children).items():
            if inside is not None or child not in self.groups:
                self.group(str(child), inside)
        self._add(name, [str(host) for host in members], [str(child) for child in children], body.get("vars") or {})

    def _add(self, name: str, hosts: list[str], children: list[str], variables: Any) -> None:
        old = self.groups.get(name, Group())
        self.groups[name] = Group(
            hosts=tuple(dict.fromkeys([*old.hosts, *hosts])),
            children=tuple(dict.fromkeys([*old.children, *children])),
            vars={**old.vars, **variables},
        )


def _mapped(groups: Mapping[str, InventoryGroup], outputs: Mapping[str, Any]) -> Inventory:
    """Hosts from `inventory.groups`: a list of addresses, of mappings with `name`, or a mapping name → variables."""
    reader = _Reader("inventory.groups")
    templates = _Templates(undefined=StrictUndefined)

    def render(value: Any) -> Any:
        if isinstance(value, str):
            given = templates.from_string(value).render(outputs=outputs)
            if isinstance(given, Undefined):  # a native template hands it on, instead of failing at once
                raise UndefinedError(f"{value} needs an output that is not there")
            return given
        if isinstance(value, Mapping):
            return {key: render(item) for key, item in value.items()}
        return [render(item) for item in value] if isinstance(value, (list, tuple)) else value

    for name, group in groups.items():
        try:
            hosts, variables = render(group.hosts), render(group.vars)
        except TemplateError as error:
            raise OrchestratorError("E124", f"inventory.groups.{name}: {error.message}") from error
        reader.group(name, {"hosts": _members(name, hosts), "vars": variables})
    return Inventory(hosts=reader.hosts, groups=reader.groups)


def _members(group: str, hosts: Any) -> dict[str, Any]:
    if isinstance(hosts, str):
        hosts = [hosts]
    if isinstance(hosts, Mapping):
        return dict(hosts)
    if not isinstance(hosts, list):
        raise OrchestratorError(
            "E122", f"inventory.groups.{group}.hosts gives {json.dumps(hosts, default=str)}, no hosts"
        )
    members: dict[str, Any] = {}
    for item in hosts:
        if isinstance(item, Mapping) and "name" in item:
            members[str(item["name"])] = {key: value for key, value in item.items() if key != "name"}
        else:
            members[str(item)] = None
    return members


def _merged(one: Inventory, other: Inventory) -> Inventory:
    return Inventory(hosts={**one.hosts, **other.hosts}, groups={**one.groups, **other.groups})
