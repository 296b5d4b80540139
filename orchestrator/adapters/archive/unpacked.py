"""The unpacked files of a package: written without following a link, and compared with the manifest before each use."""

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from orchestrator.adapters.archive.sealed import Reader
from orchestrator.domain.error_codes import KEPT_FILE_CHANGED
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Area, Manifest, PackageFile

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
CHUNK = 1 << 20  # bytes that are read at a time
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


@contextlib.contextmanager
def naming_remedy(home: str | Path) -> Iterator[None]:
    """Give each P303 about the unpacked package in *home* the hint how the files become those of the sealed one."""
    try:
        yield
    except OrchestratorError as error:
        if error.code == KEPT_FILE_CHANGED:
            error.hint = f"find out which process wrote there, then remove {home}: it is unpacked again when needed"
        raise


def unpack(source: BinaryIO, target: Path) -> Manifest:
    """Write the files of a sealed file: the area `content` to *target*, which must not exist, the others beside it.

    Never follows a link. Raises P-codes. After an error the caller must remove the files that were written before it.
    """
    reader = Reader(source)
    roots: dict[str, int] = {}
    try:
        for area in reader.manifest.areas():
            folder = target if area == "content" else target.with_name(area)
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
            roots[area] = os.open(folder, FOLDER)
        for file, data in reader.files():
            write_file(roots[file.area], file, data)
    finally:
        for root in roots.values():
            os.close(root)
    return reader.manifest


def write_file(root: int, file: PackageFile, data: Iterator[bytes]) -> None:
    """Write *file*, which does not exist, below the open folder *root*. No link is followed."""
    *folders, name = file.path.encode().split(b"/")
    folder = os.dup(root)
    try:
        for part in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            deeper = os.open(part, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = deeper
            os.fchmod(folder, 0o755)
        if file.link is not None:
            os.symlink(file.link.encode(), name, dir_fd=folder)
            return
        with os.fdopen(os.open(name, NEW, 0o600, dir_fd=folder), "wb") as out:
            for chunk in data:
                out.write(chunk)
            os.fchmod(out.fileno(), 0o755 if file.executable else 0o644)
    finally:
        os.close(folder)


def verify_package(home: Path, manifest: Manifest) -> None:
    """Each area of the package is below *home* as it was sealed, and nothing else is. Raises P303."""
    if home.is_symlink():
        raise OrchestratorError("P303", f"the folder {home.name!r} of the kept package is a link")
    areas = manifest.areas()
    strange = sorted(set(_children(home, "")) ^ set(areas))
    if strange:
        raise OrchestratorError("P303", f"the folder {strange[0]!r} of the kept package is not as it was sealed")
    verify_areas({area: str(home / area) for area in areas}, manifest, content=True)


def verify_areas(folders: Mapping[Area, str | None], manifest: Manifest, *, content: bool = False) -> None:
    """Each area in its folder is as it was sealed; the area `content` only with *content*. Raises P303."""
    for area, folder in folders.items():
        if folder is not None and (content or area != "content"):
            _verify(Path(folder), [file for file in manifest.files if file.area == area])


def copy_verified(root: Path, target: Path, manifest: Manifest) -> None:
    """Copy the area `content` from *root* to *target*, which must not exist. Raises P303 and `OSError`.

    What is verified are the bytes on their way to the copy: each file is read once. Anything in *root* that was not
    sealed is refused.
    """
    files = {file.path: file for file in manifest.files if file.area == "content"}
    folders = {name[: cut.start()] for name in files for cut in re.finditer("/", name)}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        names = _children(root, folder)
        place = target / folder if folder else target
        place.mkdir(mode=0o755)
        for name in names:
            if name in folders:
                waiting.append(name)
                continue
            about = files.pop(name, None)
            if about is None or not _copied(f"{root}/{name}", f"{target}/{name}", about):
                raise OrchestratorError("P303", f"{name!r} of the kept package is not as it was sealed")
    if files:
        raise OrchestratorError("P303", f"{min(files)!r} of the kept package is missing")


def _copied(source: str, target: str, about: PackageFile) -> bool:
    """Copy one file or link. Returns whether the copy matches *about*."""
    if about.link is not None:
        found = sealed_as(Path(source), about)
        os.symlink(about.link, target)  # noqa: PTH211 - a string is faster
        return found == about
    try:
        handle = os.open(source, FILE)
    except OSError:
        return False
    digest, size = hashlib.sha256(), 0
    with os.fdopen(handle, "rb", buffering=0) as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or bool(status.st_mode & stat.S_IXUSR) != about.executable:
            return False
        copy = os.open(target, NEW, 0o755 if about.executable else 0o644)
        try:
            while data := file.read(CHUNK):
                digest.update(data)
                size += len(data)
                while data:
                    data = data[os.write(copy, data) :]
            os.fchmod(copy, 0o755 if about.executable else 0o644)
        finally:
            os.close(copy)
    return size == about.size and digest.hexdigest() == about.sha256


def _verify(root: Path, expected: list[PackageFile]) -> None:
    files = {file.path: file for file in expected}
    folders = {name[: cut.start()] for name in files for cut in re.finditer("/", name)}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name in _children(root, folder):
            if name in folders:
                waiting.append(name)
                continue
            about = files.pop(name, None)
            if about is None or sealed_as(root / os.fsdecode(name.encode()), about) != about:
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


def sealed_as(path: Path, about: PackageFile) -> PackageFile | None:
    """The file or link at *path* as a package has it, under the name of *about*; None if it is something else."""
    at = os.fsencode(path)
    try:
        if stat.S_ISLNK(os.lstat(at).st_mode):
            return link_as(os.readlink(at).decode("utf-8", "surrogateescape"), about)  # noqa: PTH115 - its bytes
        handle = os.open(at, FILE)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        return content_as(file, about)


def content_as(file: BinaryIO, about: PackageFile) -> PackageFile:
    """An open *file* under the name of *about*."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    executable = bool(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)
    return PackageFile(path=about.path, area=about.area, size=file.tell(), sha256=digest, executable=executable)


def link_as(link: str, about: PackageFile) -> PackageFile:
    """A symbolic link with the target *link* under the name of *about*."""
    sha256 = hashlib.sha256(link.encode("utf-8", "surrogateescape")).hexdigest()
    return PackageFile(path=about.path, area=about.area, size=0, sha256=sha256, link=link)
