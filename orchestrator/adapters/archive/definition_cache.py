"""Project definitions that are unpacked on this machine: each in a folder of its own, compared before each use.

    <digest>/manifest.json   the manifest, whose SHA-256 is in the name of the folder
    <digest>/project/…       its files, and a link to each credential in the folder of this machine

An unpacked definition appears whole under its name. What was changed in it since is written again from the archive.
"""

import contextlib
import fcntl
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from orchestrator.adapters.archive.project_definition import DefinitionReader, not_a_definition, unpack_project
from orchestrator.adapters.archive.tree import is_cache
from orchestrator.adapters.archive.unpacked import sealed_as, write_file
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.project_definition import DefinitionManifest
from orchestrator.domain.release import PackageFile
from orchestrator.trees import FOLDER, discard, entries

MANIFEST, TREE, UNPACKING = "manifest.json", "project", ".unpacking-"
Fetch = Callable[[str], bytes | None]


class DefinitionCache:
    """The unpacked definitions in *folder*, of the project whose own folder on this machine is *home*.

    *fetch* gives the archive of a definition.
    """

    def __init__(self, folder: Path, home: Path, fetch: Fetch) -> None:
        self._folder, self._home, self._fetch = folder, home, fetch

    def place(self, digest: str) -> Path:
        """The folder with exactly the files of the definition *digest*. Raises N180, N185 and S-codes."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = self._folder / _plain(digest)
        with self._alone():
            manifest = _manifest(kept, digest)
            if manifest is None:
                manifest = self._unpack(digest, kept)
            elif changed := _changes(kept / TREE, manifest):
                self._repair(digest, kept / TREE, manifest, changed)
            self._link(kept / TREE, manifest)
            os.utime(kept)
        return kept / TREE

    def prune(self, kept: frozenset[str]) -> int:
        """Remove the definitions that are not *kept*. Returns how many there were."""
        if not self._folder.is_dir():
            return 0
        names = {_plain(digest) for digest in kept}
        with self._alone():
            old = [path for path in self._folder.iterdir() if path.is_dir() and path.name not in names]
            for path in old:
                discard(path)
        return len(old)

    def _archive(self, digest: str) -> io.BytesIO:
        data = self._fetch(digest)
        if data is None:
            raise OrchestratorError("N185", f"the project definition {digest[:19]} is not kept any more")
        return io.BytesIO(data)

    def _unpack(self, digest: str, kept: Path) -> DefinitionManifest:
        """Unpack the definition *digest*. A process that is killed leaves a folder that the next one removes."""
        for left in self._folder.glob(f"{UNPACKING}*"):
            discard(left)
        discard(kept)
        temporary = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=self._folder))
        try:
            manifest = unpack_project(self._archive(digest), temporary / TREE)
            if manifest.digest != digest:
                raise not_a_definition(f"it has the digest {manifest.digest[:19]}, and not {digest[:19]}")
            (temporary / MANIFEST).write_bytes(manifest.text)
            temporary.rename(kept)
        finally:
            discard(temporary)
        return manifest

    def _repair(self, digest: str, tree: Path, manifest: DefinitionManifest, changed: frozenset[str]) -> None:
        """Write the files *changed* again, and remove those that the definition does not have."""
        for name in changed:
            discard(tree / name)
        reader = DefinitionReader(self._archive(digest))
        if reader.digest != manifest.digest:
            raise not_a_definition(f"it has the digest {reader.digest[:19]}, and not {digest[:19]}")
        root = os.open(tree, FOLDER)
        try:
            for file, data in reader.content():
                if file.path in changed:
                    write_file(root, file, data)
                else:
                    for _ in data:
                        pass
        finally:
            os.close(root)

    def _link(self, tree: Path, manifest: DefinitionManifest) -> None:
        """A link to each credential at its place: this machine has it in its own folder, or not at all."""
        for name in manifest.credentials:
            place, own = tree / name, self._home / name
            if place.is_symlink() and place.readlink() == own:
                continue
            discard(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(own)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time unpacks or compares."""
        with (self._folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _plain(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _manifest(kept: Path, digest: str) -> DefinitionManifest | None:
    """The manifest of the definition in the folder *kept*; None if it is not there, or was changed."""
    try:
        manifest = DefinitionManifest.model_validate_json((kept / MANIFEST).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None
    return manifest if manifest.digest == digest and (kept / TREE).is_dir() else None


def _changes(tree: Path, manifest: DefinitionManifest) -> frozenset[str]:
    """The names of the files in *tree* that the definition does not have, or has with another content."""
    missing = {file.path: file for file in manifest.files}
    strange: set[str] = set()
    for found in entries(tree):
        name = found.name
        file = missing.get(name)
        if file is None:
            if name not in manifest.credentials and not is_cache(name):
                strange.add(name)
        elif sealed_as(tree / name, _about(file)) == file:
            del missing[name]
    return frozenset({*missing, *strange})


def _about(file: PackageFile) -> PackageFile:
    return PackageFile(path=file.path, size=0, sha256="0" * 64)
