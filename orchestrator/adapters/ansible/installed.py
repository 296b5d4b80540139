"""Ansible as it is installed: its versions, its programs, and the list of its settings."""

import sys
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

import yaml


@cache
def ansible_versions() -> dict[str, str]:
    """The installed versions of Ansible: its core, and its collections where the whole distribution is installed."""
    found = {}
    for name in ("ansible-core", "ansible"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def program(name: str) -> str:
    """The path of Ansible's program *name* beside our interpreter if it exists there, otherwise the name."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else name


@cache
def ansible_settings() -> dict[str, dict[str, Any]]:
    """Ansible's settings by name, from the file that `ansible-config list` prints: to start Ansible takes a second.

    The file is read as data; nothing of Ansible is imported.
    """
    found = util.find_spec("ansible")
    if found is None or found.origin is None:
        raise RuntimeError("ansible-core is not installed")
    text = (Path(found.origin).parent / "config" / "base.yml").read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506
