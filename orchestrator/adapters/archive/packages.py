"""The `Packages` port: build, read, keep and fetch sealed files."""

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from orchestrator.adapters.archive.checks import Declared, kept_by_all
from orchestrator.adapters.archive.galaxy import Installer
from orchestrator.adapters.archive.galaxy_process import GalaxyProcess
from orchestrator.adapters.archive.gather import Gathered, Item, gather
from orchestrator.adapters.archive.manifest_checks import OWN_COLLECTION, check_manifest
from orchestrator.adapters.archive.names import on_disk
from orchestrator.adapters.archive.replaced_file import ReplacedFile
from orchestrator.adapters.archive.sealed import CHUNK, Reader, write_package
from orchestrator.adapters.archive.unpacked import content_as, link_as, naming_remedy, unpack, verify_package
from orchestrator.adapters.views import Views
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import DIGEST, digest_of
from orchestrator.domain.packing import Packing
from orchestrator.domain.release import Manifest, Package, PackageFile, PackageRef, PackedCollection, Release, Revision
from orchestrator.trees import discard, temporary_folder

ENDING = ".release"
UNPACKING = ".unpacking-"
VERSIONS = {"MANIFEST.json": r'"version": *"([^"]+)"', "galaxy.yml": r"^version: *[\"']?([^\s\"']+)"}

Proof = Callable[[Package], Iterable[OrchestratorError]]
Admit = Callable[[Manifest, frozenset[str]], object]
"""Refuses a manifest by raising an error; given the paths of the tree that the release names as well."""
SHORTEST = 6  # characters of a digest that identify it


class SealedPackages:
    """Packages kept in *folder*: `<digest>.release`, and unpacked beside it in `<digest>/content/`.

    Args:
        folder: where packages are kept.
        cache: where roles and collections that a `requirements.yml` names are installed; by default `galaxy/` in
            *folder*.
        collections: the folder that holds our own collection, for packages whose playbooks use it.
        proof: returns what is wrong with an unpacked package, before it gets its name.
        packing: what belongs into the packages of the project.
        declared: what the environments of a release declare, by their names.
        environ: the environment variables of the controller; `ansible-galaxy` is given those on a list.
        views: what `ansible-galaxy` finds of this machine; by default nothing but what it is given.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path | None = None,
        collections: Path | None = None,
        proof: Proof = lambda _package: (),
        packing: Packing | None = None,
        declared: Callable[[tuple[str, ...]], tuple[Declared, ...]] = lambda _names: (),
        environ: Mapping[str, str] = os.environ,
        views: Views | None = None,
    ) -> None:
        self._folder, self._views = folder, views
        self._cache = cache or folder / "galaxy"
        self._collections = collections
        self._proof = proof
        self._packing = packing or Packing()
        self._declared = declared
        self._environ = environ

    def build(
        self,
        project: Path,
        source: Path,
        release: Release,
        target: Path,
        *,
        replace: bool = False,
        admit: Admit | None = None,
        warn: Callable[[OrchestratorError], object] = lambda _warning: None,
    ) -> Package:
        """Seal what *release* needs into *target*, as a whole or not at all.

        Raises P101 to P121; P106 when *target* is another package, unless *replace* is set. *admit* may refuse what
        would be built, before anything is written, and decides instead of that. The same package is left as it is, with
        what was attached to it. *warn* is given what may be missing (P111, P115, P120, P121, P124).
        """
        gathered = self._gather(project, source, release)
        manifest = _describe(gathered)
        for warning in gathered.warnings:
            warn(warning)
        if admit is not None:
            admit(manifest, frozenset(gathered.named))
        differs = not target.exists() or self._differs(target, manifest.digest)
        if differs and target.exists() and not replace and admit is None:
            raise OrchestratorError("P106", f"{target.name} exists with another content")
        if differs:
            with ReplacedFile(target) as out:
                write_package(
                    out, manifest, lambda file: gathered.items[file.name].source.open("rb"), gathered.revision
                )
                _check(out, manifest.digest)
                for warning in self._proved(out, manifest):
                    warn(warning)
        return self.read(target)

    def _proved(self, written: BinaryIO, manifest: Manifest) -> list[OrchestratorError]:
        """What the build checks report of the package that was just *written*, unpacked into an empty folder."""
        written.seek(0)
        with temporary_folder("orchestrator-build-") as folder:
            home = Path(folder).resolve()
            unpack(written, home / "content")
            content = str(home / "content")
            package = Package(manifest=manifest, digest=manifest.digest, path="", root=content, home=str(home))
            return list(self._proof(package))

    def read(self, path: Path) -> Package:
        """Read and verify a sealed file; nothing is written."""
        with open_package(path) as source:
            reader = Reader(source)
            reader.verify()
        return Package(
            manifest=reader.manifest,
            digest=reader.digest,
            path=str(path),
            attachments=tuple(reader.attachments),
            revision=reader.revision,
        )

    def keep(self, path: Path) -> Package:
        """Verify a sealed file, and put it into the store with its files beside it. Doing it again is harmless.

        A kept file that was damaged is replaced by a good one. An unpacked file that was changed is not replaced
        (P303), so that a user notices it.
        """
        package = self.read(path)
        kept = self._folder / f"{_hex(package.digest)}{ENDING}"
        with self._alone():
            if self._differs(kept, package.digest):
                with open_package(path) as source, ReplacedFile(kept) as out:
                    shutil.copyfileobj(source, out, CHUNK)
                    _check(out, package.digest)
            self._unpack(kept)
        return self.fetch(package.digest)

    def hold(self, path: Path) -> Package:
        """As :meth:`keep`: a package is kept on this machine alone."""
        return self.keep(path)

    def share(self, package: Package) -> None:
        """Nothing: other machines do not get packages of this project."""

    def remove(self, ref: PackageRef) -> None:
        """Remove a kept package with its unpacked files. Raises P112."""
        kept = self._folder / f"{_hex(ref.digest)}{ENDING}"
        with self._alone():
            try:
                kept.unlink(missing_ok=True)
                if (home := self._folder / kept.stem).exists():
                    doomed = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=self._folder))
                    home.rename(doomed / "removed")
                    discard(doomed)
            except OSError as error:
                raise OrchestratorError("P112", f"cannot remove {kept.name}: {error.strerror}") from error

    def fetch(self, digest: str) -> Package:
        """The kept package, with every unpacked file verified again."""
        kept, home = self._folder / f"{_hex(digest)}{ENDING}", self._folder / _hex(digest)
        reader = self._kept_reader(digest)
        if not _is_unpacked(home):
            with self._alone():
                self._unpack(kept)
        with contextlib.suppress(OSError):
            os.utime(home)  # the time of the last use, by which `prune` removes what is not used
        with naming_remedy(home):
            verify_package(home, reader.manifest)
        root = str(home / "content")
        return Package(
            manifest=reader.manifest,
            digest=digest,
            path=str(kept),
            root=root,
            home=str(home),
            attachments=tuple(reader.attachments),
            revision=reader.revision,
        )

    def revision(self, digest: str) -> Revision | None:
        """The Git commit from which the kept package was built; its files are not read. Raises P301 and P302."""
        return self._kept_reader(digest).revision

    def _kept_reader(self, digest: str) -> Reader:
        """A reader of the kept package that has read its manifest and its attachments."""
        kept = self._folder / f"{_hex(digest)}{ENDING}"
        if not kept.is_file():
            raise OrchestratorError("P301", f"the package {digest} is not kept here")
        with open_package(kept) as source:
            reader = Reader(source)
            if reader.digest != digest:
                raise OrchestratorError("P302", f"the kept package {kept.name} has another digest: {reader.digest}")
            reader.skip_files()
        return reader

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
        """Every kept package whose manifest can be read and has the digest in the file's name."""
        found = (_named(path) for path in sorted(self._folder.glob(f"*{ENDING}")))
        return [package for package in found if package is not None]

    def refs(self) -> list[PackageRef]:
        """Every package that is kept."""
        return [ref for ref, _ in self.known()]

    def strange_names(self) -> list[str]:
        """An empty list: files of the folder that are not packages are not listed."""
        return []

    def ref(self, digest: str) -> PackageRef | None:
        """The reference of the kept package with this digest; None if it is not kept."""
        if not DIGEST.fullmatch(digest):  # hosts report it, and a file's name is made of it
            return None
        found = _named(self._folder / f"{_hex(digest)}{ENDING}")
        return found[0] if found is not None else None

    def _gather(self, project: Path, source: Path, release: Release) -> Gathered:
        def kept(path: str) -> bool:
            return kept_by_all(declared, path)

        declared = self._declared(release.environments)
        process = GalaxyProcess(self._environ, self._packing.galaxy.environment, project, self._views)
        install = Installer(project, self._cache, process)
        gathered = gather(project, source, release, install, self._collections, self._packing, kept)
        gathered.warnings += install.warnings
        return gathered

    def _differs(self, path: Path, digest: str) -> bool:
        """Whether *path* is not the whole package *digest*."""
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
                discard(left)
            yield

    def _unpack(self, kept: Path) -> None:
        """Make the folder of unpacked files: complete and verified, or not at all."""
        final = self._folder / kept.stem
        if _is_unpacked(final):
            return
        temporary = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=self._folder))
        try:
            with open_package(kept) as source:
                unpack(source, temporary / "content")
            temporary.chmod(0o755)
            temporary.rename(final)
        except OSError as error:
            raise OrchestratorError("P112", f"cannot unpack {kept.name}: {error.strerror}") from error
        finally:
            discard(temporary)


def _is_unpacked(home: Path) -> bool:
    """Whether something is where the unpacked files of a package go; an empty folder is nothing."""
    return home.is_symlink() or (home.exists() and (not home.is_dir() or any(home.iterdir())))


def _describe(gathered: Gathered) -> Manifest:
    """The manifest of what was gathered."""
    files = tuple(_describe_item(gathered.items[name]) for name in sorted(gathered.items))
    manifest = Manifest(
        apiVersion="orchestrator/v1",
        kind="Package",
        format=2,
        release=gathered.release,
        collection=_collection(gathered, files),
        files=files,
    )
    check_manifest(manifest)
    return manifest


def _collection(gathered: Gathered, files: tuple[PackageFile, ...]) -> PackedCollection | None:
    """Which `orchestrator.release` is among *files*; None when the package has none."""
    content = {file.path.partition(OWN_COLLECTION)[2]: file for file in files if OWN_COLLECTION in file.path}
    for name, pattern in VERSIONS.items():
        if name in content:
            source = gathered.items[content[name].name].source
            found = re.search(pattern, source.read_text("utf-8"), re.MULTILINE)
            version = found[1] if found else "unknown"
            digest = digest_of([[name, file.sha256, file.executable] for name, file in sorted(content.items())])
            return PackedCollection(name="orchestrator.release", version=version, digest=digest)
    return None


def _named(path: Path) -> tuple[PackageRef, Manifest] | None:
    """The package in *path*; None if it cannot be read, or has another digest than the file's name."""
    with contextlib.suppress(OrchestratorError):
        reader = _heading(path)
        release = reader.manifest.release
        if _hex(reader.digest) == path.stem:
            return PackageRef(name=release.name, version=release.version, digest=reader.digest), reader.manifest
    return None


def _describe_item(item: Item) -> PackageFile:
    about = PackageFile(path=item.path, area=item.area, size=0, sha256="0" * 64)
    try:
        if item.source.is_symlink():
            return link_as(on_disk(str(item.source.readlink())), about)
        with item.source.open("rb") as file:
            return content_as(file, about)
    except OSError as error:
        raise OrchestratorError("P109", f"cannot read {item.source}: {error.strerror}") from error


def _check(written: BinaryIO, digest: str) -> None:
    """Whether what was just *written* is the package *digest*, before it gets its name."""
    written.seek(0)
    reader = Reader(written)
    reader.verify()
    if reader.digest != digest:
        raise OrchestratorError("P206", "the package changed while it was written")


def _heading(path: Path) -> Reader:
    """A reader that has read the manifest of *path* and no more."""
    with open_package(path) as source:
        return Reader(source)


def open_package(path: Path, code: str = "P200", what: str = "package") -> BinaryIO:
    """*path*, open for reading. Raises the *code* if it is not a regular file: a pipe would block indefinitely."""
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
