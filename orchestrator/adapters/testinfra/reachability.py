"""Which hosts of a suite can be reached, before pytest is started."""

import contextlib
import socket
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from orchestrator.adapters.ansible.resolution import Connection


def reachable(hosts: list[str], connections: Mapping[str, Connection], environ: Mapping[str, str]) -> dict[str, bool]:
    """Whether each host responds at the address that Ansible resolves. All are checked in parallel.

    A host whose connection only Ansible can make counts as reachable.
    """
    if not hosts:
        return {}
    with ThreadPoolExecutor(max_workers=min(32, len(hosts))) as pool:
        return dict(zip(hosts, pool.map(lambda host: _answers(connections.get(host), environ), hosts), strict=True))


def _answers(connection: Connection | None, environ: Mapping[str, str]) -> bool:
    if connection is None or not connection.is_ssh or connection.proxied:
        return True
    try:
        with socket.create_connection((connection.host, connection.port or 22), timeout=10) as link:
            link.settimeout(10)
            return link.recv(4) == b"SSH-"
    except (OSError, ValueError):
        return _by_name(connection.host, environ)


def _by_name(address: str, environ: Mapping[str, str]) -> bool:
    """Whether ssh reaches *address*, a name that only the user's ssh configuration knows; False for other names."""
    with contextlib.suppress(OSError):
        socket.getaddrinfo(address, None)
        return False
    words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", address, "true"]
    done = subprocess.run(words, capture_output=True, check=False, env=dict(environ), stdin=subprocess.DEVNULL)
    return done.returncode == 0
