"""Objects in memory, for tests and simulations: they keep the contract, and are gone with the process."""

from pathlib import Path
from typing import BinaryIO


class MemoryObjects:
    """Objects in *content*, by key."""

    def __init__(self) -> None:
        self.where = "memory"
        self.content: dict[str, bytes] = {}

    def write(self, key: str, source: Path) -> None:
        """Keep the object."""
        self.content[key] = source.read_bytes()

    def read(self, key: str, target: BinaryIO) -> bool:
        """Write the object to *target*."""
        if key not in self.content:
            return False
        target.write(self.content[key])
        return True

    def size(self, key: str) -> int | None:
        """The object's size."""
        return len(self.content[key]) if key in self.content else None

    def remove(self, key: str) -> None:
        """Remove the object."""
        self.content.pop(key, None)

    def keys(self, prefix: str) -> list[str]:
        """The keys that start with *prefix*."""
        return [key for key in self.content if key.startswith(prefix)]
