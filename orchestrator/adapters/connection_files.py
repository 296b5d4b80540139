"""The files that settings and variables about connections name: keys, known hosts, configurations of ssh."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from orchestrator.domain.inventory import Inventory

_INVENTORY_DIR = re.compile(r"\{\{\s*inventory_dir\s*\}\}")
_FILE_WORDS = ("-F", "-i", "-E", "-S", "-I")  # options of ssh with the path of a file


def named_paths(value: str) -> Iterator[str]:
    """Whatever in the *value* of a setting may be the path of a file: all of it, its parts, and arguments of ssh."""
    yield value.strip()
    yield from (part.strip() for part in re.split("[,:]", value))
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    for word in words:
        stated = word.rpartition("=")[2].strip("\"'")
        yield from (word, stated, *stated.split(), word[2:] if word[:2] in _FILE_WORDS else "")


def inventory_files(inventory: Inventory, root: Path | None) -> list[str]:
    """The files that variables of *inventory* about connections name; a relative path counts from the project."""
    listed = (inventory.listing or {}).get("_meta", {}).get("hostvars", {}).values()
    groups = [group.vars for group in inventory.groups.values()]
    folder = Path(inventory.files[0]).parent if inventory.files else None
    return connection_files([*inventory.hosts.values(), *groups, *listed], folder, root)


def connection_files(every: Iterable[Mapping[str, object]], folder: Path | None, root: Path | None) -> list[str]:
    """The files that variables about connections name: keys, lists of known hosts, configurations of ssh.

    A relative path counts from the folder of the project, *root*; *folder* is that of the inventory.
    """
    root = root or Path("/")
    values = {_INVENTORY_DIR.sub(lambda _: str(folder or root), value) for value in _connection_values(every)}
    found = set()
    for path in {path for value in values for path in named_paths(value)}:
        if path and (not path.startswith("~") or path.startswith("~/")):
            found.add(root / Path(path).expanduser())
    return sorted(os.path.normpath(path) for path in found if path.is_file())


def _connection_values(every: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """The values of variables about connections that may have a path in them."""
    for variables in every:
        for name, value in variables.items():
            if name.startswith("ansible_") and isinstance(value, str) and ("/" in value or name.endswith("_file")):
                yield value
