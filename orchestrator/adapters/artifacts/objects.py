"""What a place for artifacts must be able to do: whole objects under keys, nothing else."""

from pathlib import Path
from typing import BinaryIO, Protocol


class Objects(Protocol):
    """Objects under keys, which are words with slashes. Every method raises S142, S143 or S144.

    *where* is how the place is called in messages; it never holds a secret.
    """

    where: str

    def write(self, key: str, source: Path) -> None:
        """Store the file *source* under *key*, whole or not at all. An existing object is replaced."""

    def read(self, key: str, target: BinaryIO) -> bool:
        """Write the object to *target*; False when there is none."""

    def size(self, key: str) -> int | None:
        """The object's size in bytes; None when there is none."""

    def remove(self, key: str) -> None:
        """Remove the object; nothing happens if there is none."""

    def keys(self, prefix: str) -> list[str]:
        """Every key that starts with *prefix*, in any order."""
