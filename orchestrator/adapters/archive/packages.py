"""The `Packages` port: build, read, keep and fetch sealed files."""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.adapters.archive.gather import gather
from orchestrator.adapters.archive.names import check_together
from orchestrator.adapters.archive.sealed import CHUNK, MAX_FILE, MAX_FILES, Member, Reader, write
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Manifest, Package, PackageFile, PackageRef, Release

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
ENDING = ".release"


class SealedPackages:
    """Packages kept in *folder*: `<digest>.release`, and unpacked beside it in `<digest>/content/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, project: Path, source: Path, release: Release, target: Path) -> Package:
        """Seal what *release* needs into *target*, as a whole or not at all."""
        gathered = gather(project, source, release)
        names = sorted(gathered.files)
        check_together(names)
        if len(names) > MAX_FILES:
            raise OrchestratorError("P207", f"the package would have more than {MAX_FILES} files")
        files = tuple(_describe(name, gathered.files[name]) for name in names)
        manifest = Manifest(apiVersion="orchestrator/v1", kind="Package", release=gathered.release, files=files)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _Replacing(target) as out:
            write(out, manifest, lambda name: gathered.files[name].open("rb"))
        return self.read(target)

    def read(self, path: Path) -> Package:
        """Read and verify a sealed file; nothing is written."""
        with _opened(path) as source:
            reader = Reader(source)
            for _, data in reader.files():
                for _ in data:
                    pass
        return Package(manifest=reader.manifest, digest=reader.digest, path=str(path))

    def keep(self, path: Path) -> Package:
        """Verify a sealed file, and put it into the store with its files beside it. Doing it again is harmless."""
        package = self.read(path)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = self._folder / f"{_hex(package.digest)}{ENDING}"
        if not kept.exists():
            with _Replacing(kept) as out, _opened(path) as source:
                shutil.copyfileobj(source, out, CHUNK)
        self._unpack(kept)
        return self.fetch(package.digest)

    def fetch(self, digest: str) -> Package:
        """The kept package, with every unpacked file verified again."""
        kept, root = self._folder / f"{_hex(digest)}{ENDING}", self._folder / _hex(digest) / "content"
        if not kept.is_file():
            raise OrchestratorError("P301", f"the package {digest} is not kept here")
        with _opened(kept) as source:
            reader = Reader(source)
        if reader.digest != digest:
            raise OrchestratorError("P302", f"the kept package {kept.name} is another one: {reader.digest}")
        if not root.is_dir():
            self._unpack(kept)
        _verify_tree(root, reader.manifest)
        return Package(manifest=reader.manifest, digest=digest, path=str(kept), root=str(root))

    def known(self) -> list[tuple[PackageRef, Manifest]]:
        """Every kept package whose manifest can be read."""
        found = []
        for path in sorted(self._folder.glob(f"*{ENDING}")):
            with _opened(path) as source:
                reader = Reader(source)
            release = reader.manifest.release
            ref = PackageRef(name=release.name, version=release.version, digest=reader.digest)
            found.append((ref, reader.manifest))
        return found

    def _unpack(self, kept: Path) -> None:
        """Make the folder of unpacked files: complete and verified, or not there."""
        final = self._folder / kept.stem
        if (final / "content").is_dir():
            return
        temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=self._folder))
        try:
            with _opened(kept) as source:
                unpack(source, temporary / "content")
            temporary.chmod(0o755)
            try:
                temporary.rename(final)
            except OSError:
                if not (final / "content").is_dir():  # another process was faster: its folder is as good
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def unpack(source: BinaryIO, target: Path) -> Manifest:
    """Write the files of a sealed file below *target*, which must not exist. Never follows a link.

    Raises P-codes; what has been written by then must be thrown away by the caller.
    """
    reader = Reader(source)
    target.mkdir(mode=0o755)
    root = os.open(target, FOLDER)
    try:
        for member, data in reader.files():
            _write_member(root, member, data)
    finally:
        os.close(root)
    return reader.manifest


def _write_member(root: int, member: Member, data: Iterator[bytes]) -> None:
    *folders, name = member.name.split("/")
    folder = os.dup(root)
    try:
        for part in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=folder)
            deeper = os.open(part, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = deeper
        mode = 0o755 if member.executable else 0o644
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        with os.fdopen(handle, "wb") as file:
            for chunk in data:
                file.write(chunk)
            os.fchmod(file.fileno(), mode)
    finally:
        os.close(folder)


def _verify_tree(root: Path, manifest: Manifest) -> None:
    """Every file of the manifest is there as it was sealed, and nothing else is. Raises P303."""
    expected = {file.path: file for file in manifest.files}
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            kind = path.lstat().st_mode
            if stat.S_ISDIR(kind):
                continue
            file = expected.pop(relative, None)
            if file is None or not stat.S_ISREG(kind) or _describe(relative, path) != file:
                raise OrchestratorError("P303", f"{relative} of the kept package is not as it was sealed")
    if expected:
        raise OrchestratorError("P303", f"{min(expected)} of the kept package is missing")


def _describe(name: str, path: Path) -> PackageFile:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        executable = bool(os.fstat(file.fileno()).st_mode & 0o100)
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    if size > MAX_FILE:
        raise OrchestratorError("P207", f"{name} is larger than 8 GiB")
    return PackageFile(path=name, size=size, sha256=digest.hexdigest(), executable=executable)


class _Replacing:
    """A file that appears under its name when it is complete, and not at all when something goes wrong."""

    def __init__(self, target: Path) -> None:
        self._target = target
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        self._temporary, self._file = Path(name), os.fdopen(handle, "wb")

    def __enter__(self) -> BinaryIO:
        return self._file

    def __exit__(self, kind: object, *_rest: object) -> None:
        if kind is None:
            self._file.flush()
            os.fchmod(self._file.fileno(), 0o644)
            os.fsync(self._file.fileno())
        self._file.close()
        if kind is None:
            self._temporary.rename(self._target)
        else:
            self._temporary.unlink(missing_ok=True)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise OrchestratorError("P200", f"cannot read the package {path}: {error.strerror}") from error


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
