"""The `Packages` port: build, read, keep and fetch sealed files."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from orchestrator.adapters.archive.galaxy import install
from orchestrator.adapters.archive.gather import gather
from orchestrator.adapters.archive.sealed import CHUNK, Member, Reader, check_manifest, write
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import DIGEST, digest_of
from orchestrator.domain.release import Manifest, Package, PackageFile, PackageRef, PackedCollection, Release

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
ENDING = ".release"
UNPACKING = ".unpacking-"
COLLECTION = "ansible_collections/orchestrator/release/"
VERSIONS = {"MANIFEST.json": r'"version": *"([^"]+)"', "galaxy.yml": r"^version: *[\"']?([^\s\"']+)"}

Proof = Callable[[Path, Release], Iterable[OrchestratorError]]
SHORTEST = 6  # characters of a digest that may stand for it


class SealedPackages:
    """Packages kept in *folder*: `<digest>.release`, and unpacked beside it in `<digest>/content/`.

    Args:
        folder: where packages are kept.
        cache: where roles and collections that a `requirements.yml` names are installed; by default `galaxy/` in
            *folder*.
        collections: the folder that holds our own collection, for packages whose playbooks use it.
        proof: tells what is wrong with an unpacked package, before it gets its name.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path | None = None,
        collections: Path | None = None,
        proof: Proof = lambda _content, _release: (),
    ) -> None:
        self._folder = folder
        self._cache = cache or folder / "galaxy"
        self._collections = collections
        self._proof = proof

    def build(
        self,
        project: Path,
        source: Path,
        release: Release,
        target: Path,
        *,
        replace: bool = False,
        warn: Callable[[OrchestratorError], object] = lambda _warning: None,
    ) -> Package:
        """Seal what *release* needs into *target*, as a whole or not at all.

        Raises P101 to P113; P106 when *target* is another package and *replace* is not said. The same package is
        left as it is, with what was attached to it. *warn* is given what may be missing (P111, P115).
        """
        manifest, files, warnings = self._describe(project, source, release)
        for warning in warnings:
            warn(warning)
        if not replace and target.exists() and self._differs(target, manifest.digest):
            raise OrchestratorError("P106", f"{target.name} exists and is not what would be built now")
        if replace or not target.exists():
            with _Replacing(target) as out:
                write(out, manifest, lambda name: files[name].open("rb"))
                _check(out, manifest.digest)
                for warning in self._proved(out, manifest):
                    warn(warning)
        return self.read(target)

    def _proved(self, written: BinaryIO, manifest: Manifest) -> list[OrchestratorError]:
        """What the proof says of the package that was just *written*, unpacked where nothing else is."""
        written.seek(0)
        with tempfile.TemporaryDirectory(prefix="orchestrator-build-") as folder:
            content = Path(folder).resolve() / "content"
            unpack(written, content)
            return list(self._proof(content, manifest.release))

    def read(self, path: Path) -> Package:
        """Read and verify a sealed file; nothing is written."""
        with opened(path) as source:
            reader = Reader(source)
            reader.verify()
        attachments = tuple(reader.attachments)
        return Package(manifest=reader.manifest, digest=reader.digest, path=str(path), attachments=attachments)

    def keep(self, path: Path) -> Package:
        """Verify a sealed file, and put it into the store with its files beside it. Doing it again is harmless.

        A kept file that was damaged is replaced by a good one. An unpacked file that was changed is not put right
        (P303): somebody should know.
        """
        package = self.read(path)
        kept = self._folder / f"{_hex(package.digest)}{ENDING}"
        with self._alone():
            if self._differs(kept, package.digest):
                with opened(path) as source, _Replacing(kept) as out:
                    shutil.copyfileobj(source, out, CHUNK)
                    _check(out, package.digest)
            self._unpack(kept)
        return self.fetch(package.digest)

    def fetch(self, digest: str) -> Package:
        """The kept package, with every unpacked file verified again."""
        kept, root = self._folder / f"{_hex(digest)}{ENDING}", self._folder / _hex(digest) / "content"
        if not kept.is_file():
            raise OrchestratorError("P301", f"the package {digest} is not kept here")
        reader = _heading(kept)
        if reader.digest != digest:
            raise OrchestratorError("P302", f"the kept package {kept.name} is another one: {reader.digest}")
        if not os.path.lexists(root):
            with self._alone():
                self._unpack(kept)
        verify_tree(root, reader.manifest)
        return Package(manifest=reader.manifest, digest=digest, path=str(kept), root=str(root))

    def find(self, wanted: str) -> Path:
        """The sealed file that *wanted* means: a file, or a kept package by `name-version` or the start of its digest.

        Raises P301 when there is none, and R107 when there is more than one.
        """
        if "/" in wanted or Path(wanted).is_file():
            return Path(wanted)
        start = _hex(wanted)
        fitting = {
            ref.digest: ref
            for ref, _ in self.known()
            if f"{ref.name}-{ref.version}" == wanted or (len(start) >= SHORTEST and _hex(ref.digest).startswith(start))
        }
        if len(fitting) > 1:
            raise OrchestratorError("R107", f"{wanted!r} could be any of {', '.join(sorted(fitting))}")
        if not fitting:
            raise OrchestratorError("P301", f"{wanted!r} is neither a file nor a kept package")
        return self._folder / f"{_hex(next(iter(fitting)))}{ENDING}"

    def known(self) -> list[tuple[PackageRef, Manifest]]:
        """Every kept package whose manifest can be read and is the one that the file's name says."""
        found = (_named(path) for path in sorted(self._folder.glob(f"*{ENDING}")))
        return [package for package in found if package is not None]

    def refs(self) -> list[PackageRef]:
        """Every package that is kept."""
        return [ref for ref, _ in self.known()]

    def ref(self, digest: str) -> PackageRef | None:
        """What the kept package with this digest is called."""
        if not DIGEST.match(digest):  # hosts tell it, and a file's name is made of it
            return None
        found = _named(self._folder / f"{_hex(digest)}{ENDING}")
        return found[0] if found is not None else None

    def _describe(
        self, project: Path, source: Path, release: Release
    ) -> tuple[Manifest, dict[str, Path], list[OrchestratorError]]:
        gathered = gather(project, source, release, lambda bases: install(bases, self._cache), self._collections)
        names = sorted(gathered.files)
        files = tuple(_describe_file(name, gathered.files[name]) for name in names)
        manifest = Manifest(
            apiVersion="orchestrator/v1",
            kind="Package",
            release=gathered.release,
            collection=_collection(gathered.files, files),
            files=files,
        )
        check_manifest(manifest)
        return manifest, gathered.files, gathered.warnings

    def _differs(self, path: Path, digest: str) -> bool:
        """Whether *path* is anything else than the whole package *digest*."""
        try:
            return self.read(path).digest != digest
        except OrchestratorError:
            return True

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time writes into the store. What one that died has left half unpacked is removed."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self._folder.glob(f"{UNPACKING}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield

    def _unpack(self, kept: Path) -> None:
        """Make the folder of unpacked files: complete and verified, or not there."""
        final = self._folder / kept.stem
        if os.path.lexists(final / "content"):
            return
        temporary = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=self._folder))
        try:
            with opened(kept) as source:
                unpack(source, temporary / "content")
            temporary.chmod(0o755)
            temporary.rename(final)
        except OSError as error:
            raise OrchestratorError("P112", f"cannot unpack {kept.name}: {error.strerror}") from error
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
    *folders, name = member.name.encode().split(b"/")
    folder = os.dup(root)
    try:
        for part in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            deeper = os.open(part, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = deeper
            os.fchmod(folder, 0o755)
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        with os.fdopen(handle, "wb") as file:
            for chunk in data:
                file.write(chunk)
            os.fchmod(file.fileno(), 0o755 if member.executable else 0o644)
    finally:
        os.close(folder)


def verify_tree(root: Path, manifest: Manifest) -> None:
    """Every file of the manifest is there as it was sealed, and nothing else is, no empty folder. Raises P303."""
    files = {file.path: file for file in manifest.files}
    folders = {name[: cut.start()] for name in files for cut in re.finditer("/", name)} | {""}
    if root.parent.is_symlink():
        raise OrchestratorError("P303", f"the folder {root.parent.name!r} of the kept package is a link")
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name in _children(root, folder):
            if name in folders:
                waiting.append(name)
                continue
            expected = files.pop(name, None)
            if expected is None or _sealed_as(root, name) != expected:
                raise OrchestratorError("P303", f"{name!r} of the kept package is not as it was sealed")
    if files:
        raise OrchestratorError("P303", f"{min(files)!r} of the kept package is missing")


def _children(root: Path, folder: str) -> list[str]:
    """The names in *folder*, which must be a real folder."""
    try:
        handle = os.open(os.fsencode(root / os.fsdecode(folder.encode())), FOLDER)
    except OSError as error:
        name = folder or root.name
        raise OrchestratorError("P303", f"{name!r} of the kept package is not a folder as it was sealed") from error
    try:
        names = [os.fsencode(name).decode("utf-8", "replace") for name in os.listdir(handle)]  # noqa: PTH208 - of an open folder
    finally:
        os.close(handle)
    return [f"{folder}/{name}" if folder else name for name in names]


def _sealed_as(root: Path, name: str) -> PackageFile | None:
    """The file as it is on disk now; None when it is no regular file or cannot be read."""
    try:
        handle = os.open(os.fsencode(root / os.fsdecode(name.encode())), FILE)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        return _content(name, file)


def _collection(sources: Mapping[str, Path], files: tuple[PackageFile, ...]) -> PackedCollection | None:
    """Which `orchestrator.release` is among *files*; None when the package has none."""
    content = {file.path.partition(COLLECTION)[2]: file for file in files if COLLECTION in file.path}
    for name, pattern in VERSIONS.items():
        if name in content:
            found = re.search(pattern, sources[content[name].path].read_text("utf-8"), re.MULTILINE)
            version = found[1] if found else "unknown"
            digest = digest_of([[name, file.sha256, file.executable] for name, file in sorted(content.items())])
            return PackedCollection(name="orchestrator.release", version=version, digest=digest)
    return None


def _named(path: Path) -> tuple[PackageRef, Manifest] | None:
    """What is kept in *path*; None when it cannot be read, or is not what the file's name says."""
    with contextlib.suppress(OrchestratorError):
        reader = _heading(path)
        release = reader.manifest.release
        if _hex(reader.digest) == path.stem:
            return PackageRef(name=release.name, version=release.version, digest=reader.digest), reader.manifest
    return None


def _describe_file(name: str, path: Path) -> PackageFile:
    try:
        with path.open("rb") as file:
            return _content(name, file)
    except OSError as error:
        raise OrchestratorError("P109", f"cannot read {path}: {error.strerror}") from error


def _content(name: str, file: BinaryIO) -> PackageFile:
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    executable = bool(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)
    return PackageFile(path=name, size=file.tell(), sha256=digest, executable=executable)


def _check(written: BinaryIO, digest: str) -> None:
    """Whether what was just *written* is the package *digest*, before it gets its name."""
    written.seek(0)
    reader = Reader(written)
    reader.verify()
    if reader.digest != digest:
        raise OrchestratorError("P206", "the package changed while it was written")


def _heading(path: Path) -> Reader:
    """A reader that has read the manifest of *path* and no more."""
    with opened(path) as source:
        return Reader(source)


class _Replacing:
    """A file that appears under its name when it is complete, and not at all when something goes wrong.

    Raises P112 when it cannot be written.
    """

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> BinaryIO:
        with self._told():
            self._target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{self._target.name[:100]}.", dir=self._target.parent)
        self._temporary, self._file = Path(name), os.fdopen(handle, "w+b")
        return self._file

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if kind is None:
                with self._told():
                    self._finish()
            elif isinstance(error, OSError):
                with self._told():
                    raise error
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        self._file.flush()
        os.fchmod(self._file.fileno(), 0o644)
        os.fsync(self._file.fileno())
        self._temporary.rename(self._target)
        folder = os.open(self._target.parent, FOLDER & ~os.O_NOFOLLOW)
        os.fsync(folder)
        os.close(folder)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OrchestratorError("P112", f"cannot write {self._target}: {error.strerror}") from error


def opened(path: Path, code: str = "P200", what: str = "package") -> BinaryIO:
    """*path* to be read, when it is a regular file; opening a pipe would wait for ever. Raises the *code* otherwise."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
    except OSError as error:
        raise OrchestratorError(code, f"cannot read the {what} {path}: {error.strerror}") from error
    raise OrchestratorError(code, f"the {what} {path} is not a file")


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
