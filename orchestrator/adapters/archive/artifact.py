"""Whether an artifact is unpacked on hosts, and whether it can be: what no host could unpack ends the build."""

import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from orchestrator.adapters.archive import links
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Artifact

AS_IT_IS = (".jar", ".pyz", ".war", ".whl")
COMPRESSIONS: tuple[tuple[bytes, Literal["r:gz", "r:bz2", "r:xz"]], ...] = (
    (b"\x1f\x8b", "r:gz"),
    (b"BZh", "r:bz2"),
    (b"\xfd7zXZ\0", "r:xz"),
    (b"\x5d\0\0", "r:xz"),
)
"""The first bytes of what `tarfile` can read, with its mode."""

Member = tuple[str, str, str]  # its name, its kind (`file`, `folder` or `link`), and where a link leads


def is_unpacked(artifact: Artifact, path: Path) -> bool:
    """Whether *artifact*, the file at *path*, is unpacked on hosts. Raises P122 if it cannot be."""
    is_archive = _is_tar(path) or zipfile.is_zipfile(path)
    if artifact.unpack is None:
        wanted = is_archive and not artifact.file_name.lower().endswith(AS_IT_IS)
    else:
        wanted = artifact.unpack
    if wanted and not is_archive:
        raise _refused(artifact, "it is neither a tar nor a zip archive")
    if wanted:
        _check(artifact, path)
    return wanted


def _is_tar(path: Path) -> bool:
    """Whether *path* is a tar archive, compressed or not."""
    try:
        with tarfile.open(path, _mode(path)):
            return True
    except (tarfile.TarError, zlib.error, EOFError, OSError):
        return False


def _mode(path: Path) -> Literal["r:", "r:gz", "r:bz2", "r:xz"]:
    """The mode in which `tarfile` opens *path*. Its own mode tries each compression, which takes minutes for zeros."""
    with path.open("rb") as file:
        head = file.read(6)
    return next((mode for magic, mode in COMPRESSIONS if head.startswith(magic)), "r:")


def _refused(artifact: Artifact, why: str) -> OrchestratorError:
    hint = "build the archive without it, or set unpack: false for the artifact"
    return OrchestratorError("P122", f"the artifact {artifact.path!r} cannot be unpacked: {why}", hint=hint)


def _check(artifact: Artifact, path: Path) -> None:
    kinds: dict[str, str] = {}
    leading: dict[str, str] = {}
    try:
        for full, kind, target in _members(artifact, path):
            name = posixpath.normpath(full) if full else ""
            if name == "." and kind == "folder":
                continue
            if kind == "hard link" and kinds.get(posixpath.normpath(target)) != "file":
                raise _refused(artifact, f"the link {name!r} leads to no earlier file of it: {target!r}")
            _take(artifact, kinds, full, kind)
            if kind == "link":
                leading[name] = target
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise _refused(artifact, f"the archive is damaged ({type(error).__name__})") from error
    for name, target in leading.items():
        if not target or target.startswith("/") or links.target(name, leading) is None:
            raise _refused(artifact, f"the link {name!r} leads out of the archive or in a circle: {target!r}")


def _take(artifact: Artifact, kinds: dict[str, str], name: str, kind: str) -> None:
    """Note the member *name*. Raises P122 if no host could put it in place."""
    parts = name.split("/")
    if (
        name.startswith("/")
        or ".." in parts
        or "" in parts
        or "\\" in name
        or "\0" in name
        or posixpath.normpath(name) == "."
    ):
        raise _refused(artifact, f"the name {name!r} leads out of the archive")
    name = posixpath.normpath(name)
    parts, kind = name.split("/"), "file" if kind == "hard link" else kind
    for folder in ("/".join(parts[:count]) for count in range(1, len(parts))):
        if kinds.setdefault(folder, "folder") != "folder":
            raise _refused(artifact, f"{folder!r} is a {kinds[folder]}, and the folder of {name!r}")
    if name in kinds and not kinds[name] == kind == "folder":
        raise _refused(artifact, f"it has the name {name!r} twice")
    kinds[name] = kind


def _members(artifact: Artifact, path: Path) -> Iterator[Member]:
    if _is_tar(path):
        with tarfile.open(path, _mode(path)) as archive:
            for member in archive:
                yield member.name, _kind(artifact, member), member.linkname
        return
    with zipfile.ZipFile(path) as zipped:
        for info in zipped.infolist():
            if info.flag_bits & 1:
                raise _refused(artifact, f"{info.filename!r} is encrypted")
            if stat.S_ISLNK(info.external_attr >> 16):
                yield info.filename, "link", zipped.read(info).decode("utf-8", "replace")
            else:
                yield info.filename.rstrip("/"), "folder" if info.is_dir() else "file", ""


def _kind(artifact: Artifact, member: tarfile.TarInfo) -> str:
    if not (member.isdir() or member.isreg() or member.issym() or member.islnk()):
        raise _refused(artifact, f"{member.name!r} is neither a file, a folder nor a link")
    found = {"folder": member.isdir(), "link": member.issym(), "hard link": member.islnk()}
    return next((kind for kind, applies in found.items() if applies), "file")
