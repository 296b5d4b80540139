"""Which addresses a gate or probe may connect to. A name is resolved once, and the address that was checked is used.

A URL may come from a release, from a redirect or from the variables of a host. None of them leads to what serves
credentials to every process of a machine: link-local addresses, and the other addresses at which clouds serve metadata.
Loopback and private addresses are allowed, because services have them. Standard library only: the probe has to start at
once.
"""

import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable

METADATA = {
    "fd00:ec2::254",  # AWS, over IPv6
    "100.100.100.200",  # Alibaba Cloud
    "168.63.129.16",  # Azure, for its agents
    "192.0.0.192",  # Oracle Cloud
}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefusedError(OSError):
    """A host has an address that no gate and no probe connects to."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(f"{host} leads to {address}, to which no gate or probe connects")


def is_refused(address: str) -> bool:
    """Whether *address* is one that no gate and no probe connects to."""
    found: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None) or _nat64(found)
        if inner is not None and is_refused(str(inner)):
            return True
    return found.is_link_local or found.is_multicast or found.is_unspecified or str(found) in METADATA


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address in one of the well-known prefix 64:ff9b::/96."""
    prefix = ipaddress.IPv6Network("64:ff9b::/96")
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in prefix else None


def check_literal(host: str) -> None:
    """Raise `AddressRefusedError` if *host* is such an address itself, in any of its forms."""
    with contextlib.suppress(ValueError):
        if is_refused(host.strip("[]")):
            raise AddressRefusedError(host, host)


def is_public(address: str) -> bool:
    """Whether *address* can be reached from everywhere, in each of its forms."""
    found: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None) or _nat64(found)
        if inner is not None and not is_public(str(inner)):
            return False
    return found.is_global and not is_refused(address)


def connected(host: str, port: int, timeout: float, allows: Callable[[str], bool] | None = None) -> socket.socket:
    """A connection to *host*, which is resolved once. Raises `OSError`.

    If one of its addresses is refused, or is not one that *allows* accepts, none is used: a name that leads to both is
    not a name of a service.
    """
    found = [item[4] for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in found:
        if is_refused(str(address[0])) or not (allows is None or allows(str(address[0]))):
            raise AddressRefusedError(host, str(address[0]))
    end, last = time.monotonic() + timeout, OSError(f"{host} has no address")
    for address in found:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        link = socket.socket(socket.AF_INET6 if len(address) == 4 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            link.settimeout(left)
            link.connect(address)
            return link
        except OSError as error:
            link.close()
            last = error
    raise last
