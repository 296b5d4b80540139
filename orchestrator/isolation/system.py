"""What every isolated process may read of the machine: programs, libraries, certificates, names and addresses.

Of `/etc` it finds what every user of the machine may read. Files there that only their owner may read (password hashes,
keys of the SSH server) are hidden, which matters where the orchestrator runs as root.
"""

import os
import stat
import sys
from functools import cache

PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/snap")
DATA = (
    "/etc", "/sys", "/var/lib/ca-certificates", "/var/lib/dpkg", "/var/lib/rpm", "/var/lib/alternatives",
    "/run/systemd/resolve", "/run/nscd", "/run/systemd/userdb", "/var/lib/sss/pipes", "/var/lib/sss/mc",
)  # fmt: skip
"""Certificates, the database of packages, what `/etc/resolv.conf` leads to, and where the names of users come from;
`/sys` for the facts of localhost."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@cache
def readable() -> tuple[str, ...]:
    """The files and folders of the system, and those of the Python environment that the orchestrator runs in."""
    found = [path for path in (*PROGRAMS, *DATA) if os.path.lexists(path)]
    resolver = os.path.realpath("/etc/resolv.conf")
    if not any(within(resolver, path) for path in found) and os.path.exists(resolver):
        found.append(resolver)
    return tuple(dict.fromkeys([*found, *interpreter()]))


def interpreter() -> list[str]:
    """The installation of Python, its virtual environment, and the package of the orchestrator itself."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    prefixes = [sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable))]
    return [path for path in dict.fromkeys([*prefixes, package]) if path not in {"/", "/usr", "/usr/bin"}]


@cache
def private() -> tuple[str, ...]:
    """The files and folders of `/etc` that not every user may read, although this one may."""
    found = []
    for place, folders, names in os.walk("/etc"):
        closed = [name for name in folders if not _open_to_all(os.path.join(place, name), stat.S_IXOTH)]
        found += [os.path.join(place, name) for name in closed if not os.path.islink(os.path.join(place, name))]
        folders[:] = [name for name in folders if name not in closed]
        found += [path for name in names if not _open_to_all(path := os.path.join(place, name), stat.S_IROTH)]
    return tuple(sorted(path for path in found if not os.path.islink(path) and os.access(path, os.R_OK)))


def _open_to_all(path: str, bit: int) -> bool:
    try:
        return bool(os.stat(path).st_mode & bit)
    except OSError:
        return True


def within(path: str, folder: str) -> bool:
    """Whether *path* is *folder* or lies below it, by their names."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
