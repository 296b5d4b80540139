"""What playbooks and tasks name by a relative path: files that Ansible reads on this machine. Roles are named as well.

A path with a template in it is known only when the playbook runs, and is not followed: see `templated`.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from orchestrator.adapters import safe_yaml
from orchestrator.domain.errors import Where

PREFIX = re.compile(r"^ansible\.(builtin|legacy)\.")
READ = {
    "import_playbook": "",
    "include_tasks": "tasks",
    "import_tasks": "tasks",
    "include": "tasks",
    "include_vars": "vars",
}
SENT = {"template": "templates", "copy": "files", "script": "files", "unarchive": "files", "assemble": "files"}
ROLE = "role"
ROLE_ACTIONS = {"include_role", "import_role"}
IN_COLLECTION = re.compile(r"^\w+\.\w+\.\w+(?<!\.yml)(?<!\.yaml)$")  # a playbook of a collection
SOURCE = re.compile(r"(?:^|\s)(?:src|file)=(\"[^\"]*\"|'[^']*'|\S+)")
TEMPLATE = re.compile(r"\{[{%#]")
LARGEST = 1024 * 1024  # bytes: a playbook stays far below


@dataclass(frozen=True)
class Reference:
    """A path as it is written, the folder that Ansible searches as well (`files` for a `copy`), and its place.

    For the name of a role the folder is `role`. *literal* is whether the path is known before anything runs.
    """

    path: str
    folder: str
    where: Where
    literal: bool = True


def references(file: Path, shown: str) -> Iterator[Reference]:
    """Every relative path in the YAML *file*, which is called *shown*. A file that is not YAML has none."""
    try:
        text = file.read_text("utf-8") if file.stat().st_size <= LARGEST else ""
        root = safe_yaml.composed(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return  # Ansible itself will report what is wrong with it
    lines = text.splitlines()
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]
            for path, folder, at in _named(node):
                if _relative(path):
                    line = at.start_mark.line
                    where = Where(shown, line + 1, at.start_mark.column + 1, lines[line] if line < len(lines) else "")
                    yield Reference(path, folder, where, literal=TEMPLATE.search(path) is None)


def _named(node: yaml.MappingNode) -> Iterator[tuple[str, str, yaml.Node]]:
    pairs = {PREFIX.sub("", key.value): value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    for key, value in pairs.items():
        if key in READ or key in SENT:
            for path, at in _paths(key, value, pairs.get("args")):
                yield path, READ.get(key) or SENT.get(key, ""), at
        elif key == "vars_files":
            for item in _scalars(value):
                yield item.value, "vars", item
        elif key in {"roles", "dependencies"}:
            for item in _roles(value):
                yield item.value, ROLE, item
        elif key in ROLE_ACTIONS and "name" in (options := _options(value)):
            yield options["name"].value, ROLE, options["name"]


def _paths(key: str, value: yaml.Node, args: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    options = _options(value) | _options(args)
    if "remote_src" in options and options["remote_src"].value.lower() not in {"no", "false"}:
        return
    for name in ("src", "file", "dir", "cmd") if key == "script" else ("src", "file", "dir"):
        if name in options:
            yield options[name].value, options[name]
    if isinstance(value, yaml.ScalarNode):
        if found := SOURCE.search(value.value):
            if not re.search(r"remote_src=(yes|true|on)", value.value, re.IGNORECASE):
                yield found[1].strip("\"'"), value
        elif key in READ or key == "script":
            words = value.value.split()
            yield (words[0] if words else ""), value


def _options(node: yaml.Node | None) -> dict[str, yaml.ScalarNode]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {
        key.value: value
        for key, value in pairs
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
    }


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item)


def _roles(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    for item in node.value if isinstance(node, yaml.SequenceNode) else []:
        options = _options(item)
        named = options.get("role") or options.get("name")
        if isinstance(item, yaml.ScalarNode):
            yield item
        elif named is not None:
            yield named


def _relative(path: str) -> bool:
    """Whether *path* is the relative path of a file."""
    unknown = not path or "\0" in path or IN_COLLECTION.match(path)
    return not unknown and not path.startswith(("/", "~"))


def candidates(reference: Reference, file: Path, playbooks: list[Path]) -> Iterator[Path]:
    """Where Ansible searches for *reference*, named in *file*: beside it, in its role, beside the *playbooks*."""
    folders = [file.parent]
    if file.parent.name in {"tasks", "handlers", "vars"}:
        folders.append(file.parent.parent)
    role = next((parent for parent in file.parents if parent.name in {"tasks", "handlers"}), None)
    folders += [role, role.parent] if role else []
    folders += [playbook.parent for playbook in playbooks]
    for folder in dict.fromkeys(folders):
        for place in (folder / reference.folder, folder) if reference.folder else (folder,):
            yield Path(os.path.normpath(place / reference.path))
