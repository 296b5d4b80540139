"""One mount of a view. Small: the supervisor of every job imports it."""

from typing import NamedTuple

READ, WRITE, MEMORY, LINK, NOTHING = "read", "write", "memory", "link", "nothing"
"""Read-only from *source*, writable from it, an empty folder in memory, a symbolic link to it, a closed file."""

BOUND = (READ, WRITE)
"""The kinds whose source is a file or folder of the machine."""


class Mount(NamedTuple):
    """One mount: its *kind*, where it is made, and where its content comes from."""

    kind: str
    target: str
    source: str = ""
