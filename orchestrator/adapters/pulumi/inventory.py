"""From a stack's outputs to hosts: an output with an Ansible inventory, a mapping, or the user's own files."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError, Undefined, UndefinedError
from jinja2.nativetypes import NativeEnvironment
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orchestrator.adapters import safe_yaml
from orchestrator.domain.bounded import bounded
from orchestrator.domain.context import Outputs
from orchestrator.domain.environment import Environment, InventoryGroup
from orchestrator.domain.error_codes import NO_HOSTS
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.model import canonical_json
from orchestrator.domain.names import GROUP, HOST

OUTPUTS = ("ansible_inventory", "inventory")
SPECIAL = {"all", "ungrouped"}
PARTS = ("hosts", "children", "vars")


class _Templates(ImmutableSandboxedEnvironment, NativeEnvironment):
    """Templates that give values and not only text. They are the operator's own."""


def read_inventory(environment: Environment, outputs: Outputs, project: Path) -> Inventory:
    """The hosts of *environment*. Raises E120 to E124, with a message of its own before the first update."""
    try:
        return _inventory(environment, outputs, project)
    except OrchestratorError as error:
        provisioned = outputs.plain or outputs.secret or environment.program is None
        if provisioned or error.code != NO_HOSTS:
            raise
        message = f"{environment.name} has no hosts yet: its stack has no outputs"
        hint = f"`orchestrator environment up {environment.name}`, or a promotion, creates its infrastructure"
        raise OrchestratorError(NO_HOSTS, message, hint=hint) from error


def _inventory(environment: Environment, outputs: Outputs, project: Path) -> Inventory:
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
    return found.model_copy(update={"templates": source.templates}).with_files(files, source.files)


def _existing(project: Path, relative: str) -> Path:
    path = project / relative
    if not path.exists():
        raise OrchestratorError("E121", f"the inventory file {relative!r} does not exist")
    return path


def from_output(value: Any, name: str) -> Inventory:
    """An inventory in Ansible's JSON or YAML shape, as data or as text, with or without `_meta.hostvars`.

    Raises E122 and E123.
    """
    try:
        return _read(safe_yaml.load_yaml(value) if isinstance(value, str) else bounded(value), name)
    except yaml.YAMLError as error:
        raise OrchestratorError("E122", f"the output {name!r} is neither JSON nor YAML") from error
    except (ValueError, RecursionError) as error:  # an invalid date, keys that are not names, endless nesting
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise OrchestratorError("E122", f"the output {name!r} cannot be read: {line}") from error


def _read(value: Any, name: str) -> Inventory:
    if not isinstance(value, Mapping):
        raise OrchestratorError("E122", f"the output {name!r} is not an inventory but {type(value).__name__}")
    reader = _Reader(name)
    meta = reader.mapping(value.get("_meta"), "_meta")
    for host, variables in reader.mapping(meta.get("hostvars"), "_meta.hostvars").items():
        reader.host(str(host), variables)
    for group, body in value.items():
        if group != "_meta":
            reader.group(str(group), body)
    found = Inventory(hosts=reader.hosts, groups=reader.groups)
    canonical_json(found.to_json())  # a number that JSON does not have, such as .nan, has no digest
    return found


class _Reader:
    """Reads Ansible's shape, and checks every name on the way."""

    def __init__(self, output: str) -> None:
        self._output = output
        self.hosts: dict[str, dict[str, object]] = {}
        self.groups: dict[str, Group] = {}

    def mapping(self, value: Any, what: str) -> Mapping[Any, Any]:
        """*value*, which must be a mapping or nothing. Raises E122."""
        if value is not None and not isinstance(value, Mapping):
            raise OrchestratorError("E122", f"{what} in {self._output!r} is not a mapping but {type(value).__name__}")
        return value or {}

    def host(self, name: str, variables: Any) -> None:
        if not HOST.match(name):
            raise OrchestratorError("E123", f"{name!r} in the output {self._output!r} cannot be a host's name")
        self.hosts.setdefault(name, {}).update(self.mapping(variables, f"what is given for {name}"))

    def group(self, name: str, body: Any) -> None:
        if name not in SPECIAL and not GROUP.match(name):
            raise OrchestratorError("E123", f"{name!r} in the output {self._output!r} cannot be a group's name")
        body = {"hosts": body} if isinstance(body, list) else self.mapping(body, f"the group {name}")
        if other := [str(key) for key in body if key not in PARTS]:
            raise OrchestratorError(
                "E122", f"the group {name} in {self._output!r} has {other[0]!r}, which is not part of a group"
            )
        members = self._named(body.get("hosts"), f"{name}.hosts")
        for host, variables in members.items():
            self.host(host, variables)
        children = self._named(body.get("children"), f"{name}.children")
        for child, inside in children.items():
            if inside is not None or child not in self.groups:
                self.group(child, inside)
        self._add(name, list(members), list(children), self.mapping(body.get("vars"), f"{name}.vars"))

    def _named(self, value: Any, what: str) -> dict[str, object]:
        """Hosts or children by their names: a list of names, or a mapping. Raises E122."""
        if not isinstance(value, list):
            return {str(name): inside for name, inside in self.mapping(value, what).items()}
        if wrong := [item for item in value if isinstance(item, bool) or not isinstance(item, str | int)]:
            kind = type(wrong[0]).__name__
            raise OrchestratorError("E122", f"{what} in {self._output!r} has {kind} where a name should be")
        return {str(name): None for name in value}

    def _add(self, name: str, hosts: list[str], children: list[str], variables: Mapping[Any, Any]) -> None:
        old = self.groups.get(name, Group())
        self.groups[name] = Group(
            hosts=tuple(dict.fromkeys([*old.hosts, *hosts])),
            children=tuple(dict.fromkeys([*old.children, *children])),
            vars={**old.vars, **variables},
        )


def _mapped(groups: Mapping[str, InventoryGroup], outputs: Mapping[str, object]) -> Inventory:
    """Hosts from `inventory.groups`: a list of addresses, of mappings with `name`, or a mapping name → variables."""
    reader = _Reader("inventory.groups")
    templates = _Templates(undefined=StrictUndefined)

    def render(value: Any) -> Any:
        if isinstance(value, str):
            return _data(templates.from_string(value).render(outputs=outputs), value)
        if isinstance(value, Mapping):
            return {key: render(item) for key, item in value.items()}
        return [render(item) for item in value] if isinstance(value, (list, tuple)) else value

    for name, group in groups.items():
        try:
            hosts, variables = render(group.hosts), render(group.vars)
        except Exception as error:
            reason = error.message if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
            raise OrchestratorError("E124", f"inventory.groups.{name}: {reason}") from error
        reader.group(name, {"hosts": _members(name, hosts), "vars": variables})
    return Inventory(hosts=reader.hosts, groups=reader.groups)


def _data(value: Any, template: str) -> Any:
    """The result of a native *template* as plain data: it may still contain undefined values and iterators."""
    if isinstance(value, Undefined):
        raise UndefinedError(f"{template} needs an output that does not exist")
    if isinstance(value, Mapping):
        return {str(key): _data(item, template) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    if not isinstance(value, Iterable):
        raise TypeError(f"{template} gives {type(value).__name__}, which is not data")
    return [_data(item, template) for item in value]


def _members(group: str, hosts: Any) -> dict[str, object]:
    if isinstance(hosts, str):
        hosts = [hosts]
    if isinstance(hosts, Mapping):
        return dict(hosts)
    if not isinstance(hosts, list):
        raise OrchestratorError(
            "E122", f"inventory.groups.{group}.hosts gives {json.dumps(hosts, default=str)}, which are not hosts"
        )
    members: dict[str, object] = {}
    for item in hosts:
        if isinstance(item, Mapping) and "name" in item:
            members[str(item["name"])] = {key: value for key, value in item.items() if key != "name"}
        else:
            members[str(item)] = None
    return members


def _merged(one: Inventory, other: Inventory) -> Inventory:
    return Inventory(hosts={**one.hosts, **other.hosts}, groups={**one.groups, **other.groups})
