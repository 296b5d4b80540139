"""Inventory and variables as playbooks and tests see them: what comes from a package or a cloud is never a template.

Ansible executes templates that it finds in variables and inventories. A value tagged `!unsafe` is left alone. So every
string of a release is tagged, nested ones too. Of the variables that come from outputs those are tagged that look like
templates, unless the environment has them evaluated. The operator's own variables are not tagged.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlaySpec
from orchestrator.domain.release import Package

PREFIX = "orchestrator_"
RELEASE, OUTPUTS, SECRETS = f"{PREFIX}release", f"{PREFIX}outputs", f"{PREFIX}secrets"
"""Our variables in playbooks and suites. Nothing else of ours is passed to them."""

OLD_NAMES = {RELEASE: "release", OUTPUTS: "pulumi_outputs", SECRETS: "pulumi_secrets"}
"""The names that packages of format 1 know, beside the current ones."""


TEMPLATE = re.compile(r"\{[{%#]")
IN_JSON = "__ansible_unsafe"


class Unsafe(str):
    """A text that Ansible must not take for a template."""

    __slots__ = ()


def unsafe(value: Any) -> Any:
    """*value* with every text in it marked. Raises D110 for a key that Ansible could take for a template."""
    if isinstance(value, str):
        return Unsafe(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or TEMPLATE.search(key):
                raise OrchestratorError("D110", f"the key {key!r} could be taken for a template")
        return {key: unsafe(item) for key, item in value.items()}
    return [unsafe(item) for item in value] if isinstance(value, (list, tuple)) else value


def text_only(value: Any) -> Any:
    """*value* with every text in it marked that Ansible could take for a template. Raises D110 for such a key."""
    if isinstance(value, str):
        return Unsafe(value) if TEMPLATE.search(value) else value
    if isinstance(value, Mapping):
        for key in value:
            if isinstance(key, str) and TEMPLATE.search(key):
                raise OrchestratorError("D110", f"the key {key!r} could be taken for a template")
        return {key: text_only(item) for key, item in value.items()}
    return [text_only(item) for item in value] if isinstance(value, (list, tuple)) else value


def json_document(value: Any) -> Any:
    """*value* as Ansible reads it from JSON: there a marked text is an object with one key.

    Only a text that Ansible could take for a template is written in that way; other programs read such files, too.
    """
    if isinstance(value, Unsafe):
        return {IN_JSON: str(value)} if TEMPLATE.search(value) else str(value)
    if isinstance(value, Mapping):
        return {key: json_document(item) for key, item in value.items()}
    return [json_document(item) for item in value] if isinstance(value, (list, tuple)) else value


def plain_text(value: dict[str, Any]) -> Any:
    """The text that an object of Ansible's JSON represents; any other object as it is."""
    return value[IN_JSON] if set(value) == {IN_JSON} else value


def marked_unsafe(names: Mapping[str, Any]) -> dict[str, Any]:
    """*names* (variables of a release) marked unsafe. Raises D111 for names that change how Ansible works."""
    for name in names:
        if name.startswith(("ansible_", PREFIX)):
            raise OrchestratorError("D111", f"a release may not set the variable {name!r}")
    return {name: unsafe(value) for name, value in names.items()}


def release_variables(package: Package, context: Context) -> dict[str, Any]:
    """The variable `orchestrator_release`, as playbooks and tests see it."""
    artifacts = {}
    for artifact in package.manifest.release.artifacts:
        file, path = package.manifest.artifact(artifact), package.artifact_path(artifact)
        artifacts[artifact.file_name] = {"path": path, "sha256": file.sha256, "size": file.size}
        if artifact.unpack is not None:
            artifacts[artifact.file_name]["unpack"] = artifact.unpack
    release, sides = package.manifest.release, context.sides
    return {
        "name": release.name,
        "version": release.version,
        "digest": package.digest,
        "package_dir": package.root,
        "environment": context.environment,
        "run_id": context.run,
        "fence": context.fence,
        "previous_version": context.previous.version if context.previous else None,
        "artifacts": artifacts,
        "vars": dict(release.vars),
        **({"sides": asdict(sides)} if sides is not None else {}),
    }


def base_vars(package: Package | None, play: PlaySpec | None, context: Context) -> dict[str, Any]:
    """The variables of lowest precedence: the inventory's `all` group, which everything else overrides."""
    found: dict[str, Any] = {}
    if package is not None:
        found |= marked_unsafe(package.manifest.release.vars)
        found |= marked_unsafe(play.vars if play else {})
        found[RELEASE] = unsafe(release_variables(package, context))
    found = {**found, **context.vars, OUTPUTS: unsafe(dict(context.outputs.plain))}
    return with_old_names(found, package)


def with_old_names(variables: Mapping[str, Any], package: Package | None) -> dict[str, Any]:
    """Our *variables* with their old names beside them, where *package* has a format that knows these."""
    if package is None or package.manifest.format > 1:
        return dict(variables)
    old = {old: variables[name] for name, old in OLD_NAMES.items() if name in variables}
    if RELEASE in variables:
        old["release_version"] = Unsafe(package.ref.version)
    return {**old, **variables}


def inventory_document(inventory: Inventory, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The inventory in the shape of a YAML inventory file, with *variables* in the group `all`.

    What the user's own files define is left out: Ansible reads it from them, and takes their folder as that of a host.
    """
    inventory = inventory.overlay
    text: Callable[[Any], Any] = (lambda value: value) if inventory.templates else text_only
    groups: dict[str, Any] = {}
    for name, group in inventory.groups.items():
        if name not in {"all", "ungrouped"}:
            groups[name] = {
                "hosts": dict.fromkeys(group.hosts),
                "children": dict.fromkeys(group.children),
                "vars": text(dict(group.vars)),
            }
    special = text(dict(inventory.groups["all"].vars)) if "all" in inventory.groups else {}
    everything = {
        "hosts": {host: text(dict(values)) for host, values in inventory.hosts.items()},
        "children": groups,
        "vars": {**variables, **special},
    }
    return {"all": everything}
