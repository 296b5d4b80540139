"""The `Artifacts` port over any place for objects: every digest is verified here, in one place.

blobs/sha256/<2 digits>/<62 digits>   content
names/<name>                          the digest that a name leads to
"""

import hashlib
import io
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestrator.adapters.artifacts.objects import Objects
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import DIGEST
from orchestrator.trees import temporary_folder

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
LONGEST = 100  # bytes of the content of a name that are read
PROBE = b"orchestrator\n"


class VerifiedArtifacts:
    """Content by digest, and names, in *objects*.

    Writing is not conditional, since not every server knows how: two who write one content write the same, and two who
    write one name write what is equally right.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.where = objects.where

    def put(self, source: Path) -> str:
        """Keep the content of *source*, and return its digest. An object of another size is broken, and is replaced."""
        digest, size = _digest(source)
        key = _key(digest)
        if self._objects.size(key) != size:
            self._objects.write(key, source)
        return digest

    def get(self, digest: str, target: Path) -> None:
        """Write the content to *target*, whose folder exists, after it was verified to have this digest."""
        temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}")
        try:
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
                if not self._objects.read(_key(digest), file):
                    raise OrchestratorError("S146", f"{_key(digest)} is not in {self.where}")
            if _digest(temporary)[0] != digest:
                raise OrchestratorError("S145", f"{_key(digest)} in {self.where} does not match its digest")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def name(self, name: str, digest: str) -> None:
        """Let *name* lead to *digest*, unless it leads somewhere."""
        assert NAME.fullmatch(name), name
        key = f"names/{name}"
        if self._objects.size(key) == len(digest):
            return
        with tempfile.NamedTemporaryFile(prefix="orchestrator-name-") as file:
            file.write(digest.encode("ascii"))
            file.flush()
            self._objects.write(key, Path(file.name))

    def named(self, name: str) -> str | None:
        """The digest that *name* leads to."""
        found = _Short()
        if not NAME.fullmatch(name) or not self._objects.read(f"names/{name}", found):
            return None
        digest = found.getvalue().decode("ascii", "replace").rstrip("\n")
        if not DIGEST.fullmatch(digest):
            raise OrchestratorError("S145", f"names/{name} in {self.where} leads to no digest")
        return digest

    def forget(self, name: str) -> None:
        """Remove *name*; its content stays."""
        if NAME.fullmatch(name):
            self._objects.remove(f"names/{name}")

    def remove(self, digest: str) -> None:
        """Remove the content with this digest."""
        if DIGEST.fullmatch(digest):
            self._objects.remove(_key(digest))

    def names(self, prefix: str) -> list[str]:
        """Every name that starts with *prefix*."""
        found = (key.removeprefix("names/") for key in self._objects.keys(f"names/{prefix}"))
        return sorted(name for name in found if NAME.fullmatch(name))

    def check(self) -> None:
        """Write a small content, and read and list it."""
        with temporary_folder("orchestrator-probe-") as folder:
            probe = Path(folder) / "probe"
            probe.write_bytes(PROBE)
            self._objects.write(_key(_digest(probe)[0]), probe)
            self.get(_digest(probe)[0], probe)
            self._objects.keys(_key(_digest(probe)[0]))


class _Short(io.BytesIO):
    """The content of a name: what is longer than a digest is cut."""

    def write(self, data: Any, /) -> int:
        """Keep the first bytes."""
        super().write(bytes(data)[: max(0, LONGEST - self.tell())])
        return len(data)

    def writelines(self, lines: Iterable[Any], /) -> None:
        """Keep the first bytes."""
        for data in lines:
            self.write(data)


def _key(digest: str) -> str:
    plain = digest.removeprefix("sha256:")
    return f"blobs/sha256/{plain[:2]}/{plain[2:]}"


def _digest(path: Path) -> tuple[str, int]:
    """The digest of a file, and its size."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256")
        return f"sha256:{found.hexdigest()}", file.tell()
