"""The inventory as a suite sees it: testinfra gets what Ansible has resolved already.

In the process of pytest only. testinfra requests the inventory from Ansible before the first test, which takes longer
than many suites. It resolves itself how hosts are reached, for a part of Ansible's settings. Here both are known.
"""

import configparser
import json
from pathlib import Path
from typing import Any

from testinfra.backend.ansible import AnsibleBackend
from testinfra.backend.ssh import SshBackend
from testinfra.utils import ansible_runner

_known: dict[str, Any] = {}


def answer(inventory: str, listed: Path, connections: Path) -> None:
    """Return for *inventory* what the file *listed* holds. Other inventories are resolved in the ordinary way.

    The file *connections* has variables by host that define how it is reached, if testinfra would not find them.
    """
    _known.update(json.loads(listed.read_text(encoding="utf-8")))
    connections_by_host = json.loads(connections.read_text(encoding="utf-8"))
    ordinary, ordinary_host = ansible_runner.get_ansible_inventory, ansible_runner.get_ansible_host

    def known(config: configparser.ConfigParser, inventory_file: str | None) -> Any:
        return _known if inventory_file == inventory else ordinary(config, inventory_file)

    def host_with_connection(
        config: configparser.ConfigParser, inventory: dict[str, Any], host: str, **more: Any
    ) -> Any:
        if inventory is _known and host in connections_by_host:
            variables = inventory["_meta"]["hostvars"]
            hostvars = {**variables, host: {**variables.get(host, {}), **connections_by_host[host]}}
            inventory = {**inventory, "_meta": {"hostvars": hostvars}}
        return ordinary_host(config, inventory, host, **more)

    ansible_runner.get_ansible_inventory, ansible_runner.get_ansible_host = known, host_with_connection


def ssh_backend(host: Any) -> SshBackend | None:
    """The SSH backend that testinfra will use for *host*; None if it will not be SSH, or is not known."""
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
