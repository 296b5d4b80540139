"""Which hosts of a suite can be reached, before pytest is started."""

import contextlib
import socket
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestrator.domain.inventory import Inventory


def reachable(inventory: Inventory, hosts: list[str], environ: Mapping[str, str]) -> dict[str, bool]:
    """Whether each host answers, all asked side by side. A host that we cannot judge counts as there."""
    if not hosts:
        return {}
    with ThreadPoolExecutor(max_workers=min(32, len(hosts))) as pool:
        return dict(
            zip(hosts, pool.map(lambda host: _answers(inventory.hosts.get(host, {}), environ), hosts), strict=True)
        )


def _answers(variables: dict[str, Any], environ: Mapping[str, str]) -> bool:
    connection = str(variables.get("ansible_connection", "ssh"))
    address, port = variables.get("ansible_host"), variables.get("ansible_port", 22)
    indirect = "Proxy" in f"{variables.get('ansible_ssh_common_args', '')}{variables.get('ansible_ssh_extra_args', '')}"
    if not connection.endswith("ssh") or address is None or "{{" in f"{address}{port}" or indirect:
        return True  # reached in a way that only Ansible knows
    try:
        with socket.create_connection((str(address), int(port)), timeout=10) as link:
            link.settimeout(10)
            return link.recv(4) == b"SSH-"
    except (OSError, ValueError):
        return _by_name(str(address), environ)


def _by_name(address: str, environ: Mapping[str, str]) -> bool:
    """A name that only the user's ssh configuration knows is asked through ssh itself."""
    with contextlib.suppress(OSError):
        socket.getaddrinfo(address, None)
        return False
    words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", address, "true"]
    done = subprocess.run(words, capture_output=True, check=False, env=dict(environ), stdin=subprocess.DEVNULL)
    return done.returncode == 0
