"""The inventory as a suite may see it: Ansible is not asked where we know the answer, and others are left out.

Both in the process of pytest only. testinfra asks Ansible for the inventory before the first test, which takes longer
than many a suite; where all of it is ours, we know the answer. Where files of the user belong to it, Ansible is asked
once, and hosts that this look at the suite is not about are left out.
"""

import configparser
import json
from pathlib import Path
from typing import Any

from testinfra.backend.ansible import AnsibleBackend
from testinfra.backend.ssh import SshBackend
from testinfra.utils import ansible_runner

_known: dict[str, Any] = {}


def answer(inventory: str, listed: Path | None, hosts: set[str]) -> None:
    """Answer for *inventory* with its *hosts* only; other inventories are asked for in the ordinary way.

    *listed* holds what Ansible would say of it; None: Ansible is asked, when it is first needed.
    """
    if listed is not None:
        _known.update(json.loads(listed.read_text(encoding="utf-8")))
    ordinary = ansible_runner.get_ansible_inventory

    def known(config: configparser.ConfigParser, inventory_file: str | None) -> Any:
        if inventory_file != inventory:
            return ordinary(config, inventory_file)
        if not _known:
            _known.update(_only(hosts, ordinary(config, inventory_file)))
        return _known

    ansible_runner.get_ansible_inventory = known


def _only(hosts: set[str], listed: dict[str, Any]) -> dict[str, Any]:
    """What Ansible *listed*, without other hosts than *hosts*."""
    variables = listed.get("_meta", {}).get("hostvars", {})
    groups = {
        name: {**group, "hosts": [host for host in group["hosts"] if host in hosts]} if "hosts" in group else group
        for name, group in listed.items()
        if name != "_meta"
    }
    return {"_meta": {"hostvars": {host: found for host, found in variables.items() if host in hosts}}, **groups}


def way(host: Any) -> SshBackend | None:
    """The SSH backend that testinfra will use for *host*; None when it will not be SSH, or cannot be told."""
    backend = getattr(host, "backend", None)
    if isinstance(backend, SshBackend):
        return backend
    return alias(str(backend.host)) if isinstance(backend, AnsibleBackend) and not backend.force_ansible else None


def alias(name: str) -> SshBackend | None:
    """The way to the host that our inventory calls *name*; None when it has none of that name, or not by SSH."""
    if name not in _known.get("_meta", {}).get("hostvars", {}):
        return None
    host = ansible_runner.get_ansible_host(ansible_runner.get_ansible_config(), _known, name)
    backend = host.backend if host is not None else None
    return backend if isinstance(backend, SshBackend) else None
