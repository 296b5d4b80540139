"""Versions of controller files for other machines: encrypted, in the place that the machines share."""

import json
import re
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.domain.errors import OrchestratorError
from orchestrator.ports import Artifacts, Keys

FOLDER = "controller-files"
VERSION = re.compile(r"[0-9]{6}-[0-9a-f]{12}")
"""The name of a version; anything else in the place is not ours."""


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
        """Share one version; nothing else than encrypted data is written anywhere."""
        content = {path: b64encode(file.read_bytes()).decode("ascii") for path, file in sorted(files.items())}
        plain = json.dumps({"about": dict(about), "files": content}).encode()
        with tempfile.NamedTemporaryFile(prefix="orchestrator-shared-") as file:
            file.write(self.keys.encrypt(plain, f"{place}/{name}"))
            file.flush()
            self.artifacts.name(f"{FOLDER}/{place}/{name}", self.artifacts.put(Path(file.name)))

    def forget(self, place: str, name: str) -> None:
        """Remove one version; its encrypted content stays, as the content of every name does."""
        self.artifacts.forget(f"{FOLDER}/{place}/{name}")

    def get(self, place: str, name: str) -> tuple[dict[str, str], dict[str, bytes]] | None:
        """What one version says of itself, and its files; None if it is not there. Raises D170 and D171."""
        digest = self.artifacts.named(f"{FOLDER}/{place}/{name}")
        if digest is None:
            return None
        with tempfile.TemporaryDirectory(prefix="orchestrator-shared-") as folder:
            file = Path(folder) / "version"
            self.artifacts.get(digest, file)
            found = json.loads(self.keys.decrypt(file.read_bytes(), f"{place}/{name}"))
        paths = [PurePosixPath(path) for path in found["files"]]
        if any(path.is_absolute() or ".." in path.parts for path in paths):
            raise OrchestratorError("D171", f"the shared controller files {place}/{name} lie outside their folder")
        return dict(found["about"]), {path: b64decode(text) for path, text in found["files"].items()}
