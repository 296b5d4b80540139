"""Versions of controller files for other machines: encrypted, in the place that the machines share."""

import json
import re
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.adapters.secret_files import FOLDER
from orchestrator.domain.error_codes import ARTIFACT_MISSING
from orchestrator.domain.errors import OrchestratorError
from orchestrator.ports import Artifacts, Keys
from orchestrator.trees import temporary_folder

VERSION = re.compile(r"[0-9]{6}-[0-9a-f]{12}")
"""The name of a version; anything else in the place is not ours."""
REMOVED = f"{FOLDER}-removed"  # names of versions whose removal has started: a process that is killed leaves no content
UNUSABLE = {"D170", "D171", "S145", "S146"}  # of content that is not encrypted for this place, damaged, or missing


@dataclass(frozen=True)
class SharedFiles:
    """The versions of all environments in *artifacts*, encrypted with the project's *keys*."""

    artifacts: Artifacts
    keys: Keys

    def ready(self) -> None:
        """Return if this machine can encrypt. Raises S150 and S151."""
        self.keys.encrypt(b"", FOLDER)

    def names(self, place: str) -> set[str]:
        """The versions of *place*, which is a project and an environment."""
        above = f"{FOLDER}/{place}/"
        names = (name.removeprefix(above) for name in self.artifacts.names(above))
        return {name for name in names if VERSION.fullmatch(name)}

    def put(self, place: str, name: str, about: Mapping[str, str], files: Mapping[str, Path]) -> None:
        """Share one version; only encrypted data is written anywhere."""
        content = {path: b64encode(file.read_bytes()).decode("ascii") for path, file in sorted(files.items())}
        plain = json.dumps({"about": dict(about), "files": content}).encode()
        with tempfile.NamedTemporaryFile(prefix="orchestrator-shared-") as file:
            file.write(self.keys.encrypt(plain, f"{place}/{name}"))
            file.flush()
            digest = self.artifacts.put(Path(file.name))
        self.artifacts.name(f"{FOLDER}/{place}/{name}", digest)
        if self.artifacts.named(f"{FOLDER}/{place}/{name}") != digest:  # another machine was first
            self.artifacts.remove(digest)

    def forget(self, place: str, name: str) -> None:
        """Remove one version with its encrypted content."""
        digest = self.artifacts.named(f"{FOLDER}/{place}/{name}")
        if digest is not None:
            self.artifacts.name(f"{REMOVED}/{place}/{name}", digest)
            self._remove(place, name)

    def clean(self, place: str) -> None:
        """Complete the removals that another process has started and not completed."""
        above = f"{REMOVED}/{place}/"
        for name in (name.removeprefix(above) for name in self.artifacts.names(above)):
            if VERSION.fullmatch(name):
                self._remove(place, name)

    def _remove(self, place: str, name: str) -> None:
        """Remove what the name of a removal leads to: the name first, so that no machine fetches half of a version."""
        self.artifacts.forget(f"{FOLDER}/{place}/{name}")
        digest = self._content_of(place, name)
        if digest is not None:
            self.artifacts.remove(digest)
        self.artifacts.forget(f"{REMOVED}/{place}/{name}")

    def _content_of(self, place: str, name: str) -> str | None:
        """The content of a removed version; None if the name leads to nothing, or to what is not this version."""
        try:
            digest = self.artifacts.named(f"{REMOVED}/{place}/{name}")
            if digest is not None:
                self._plain(place, name, digest)
        except OrchestratorError as error:
            if error.code in UNUSABLE:
                return None
            raise
        return digest

    def get(self, place: str, name: str) -> tuple[dict[str, str], dict[str, bytes]] | None:
        """The description of one version, and its files; None if it does not exist. Raises D170 and D171."""
        digest = self.artifacts.named(f"{FOLDER}/{place}/{name}")
        if digest is None:
            return None
        try:
            found = json.loads(self._plain(place, name, digest))
        except OrchestratorError as error:
            if error.code == ARTIFACT_MISSING and self.artifacts.named(f"{FOLDER}/{place}/{name}") is None:
                return None  # another machine removed it at the same time
            raise
        paths = [PurePosixPath(path) for path in found["files"]]
        if any(path.is_absolute() or ".." in path.parts for path in paths):
            raise OrchestratorError("D171", f"the shared controller files {place}/{name} lie outside their folder")
        return dict(found["about"]), {path: b64decode(text) for path, text in found["files"].items()}

    def _plain(self, place: str, name: str, digest: str) -> bytes:
        """The decrypted content with this digest. Raises D170, D171 and S-codes."""
        with temporary_folder("orchestrator-shared-") as folder:
            file = Path(folder) / "version"
            self.artifacts.get(digest, file)
            return self.keys.decrypt(file.read_bytes(), f"{place}/{name}")
