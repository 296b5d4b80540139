"""Our own inventory, known to testinfra without running `ansible-inventory` for it, and by its hosts' names.

Both in the process of pytest only. testinfra asks Ansible for the inventory before the first test, which takes longer
than many a suite; we have written that inventory and know the answer.
"""

import configparser
import json
from pathlib import Path
from typing import Any

from testinfra.backend.ansible import AnsibleBackend
from testinfra.backend.ssh import SshBackend
from testinfra.utils import ansible_runner

_known: dict[str, Any] = {}


def answer(listed: Path, inventory: str) -> None:
    """Answer for *inventory* with the content of *listed*; other inventories are asked for in the ordinary way."""
    _known.update(json.loads(listed.read_text(encoding="utf-8")))
    ordinary = ansible_runner.get_ansible_inventory

    def known(config: configparser.ConfigParser, inventory_file: str | None) -> Any:
        return _known if inventory_file == inventory else ordinary(config, inventory_file)

    ansible_runner.get_ansible_inventory = known


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
