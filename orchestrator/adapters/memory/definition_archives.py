"""The `DefinitionArchives` port in memory."""


class MemoryDefinitionArchives:
    """Archives in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def keep(self, digest: str, data: bytes) -> None:
        """Keep an archive."""
        self._kept.setdefault(digest, data)

    def fetch(self, digest: str) -> bytes | None:
        """One archive."""
        return self._kept.get(digest)

    def digests(self) -> frozenset[str]:
        """What is kept."""
        return frozenset(self._kept)

    def remove(self, digest: str) -> None:
        """Remove an archive."""
        self._kept.pop(digest, None)

    def close(self) -> None:
        """Nothing is open."""
