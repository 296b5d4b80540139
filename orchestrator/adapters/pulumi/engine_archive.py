"""The vendor's own build of the engine: an archive that is used only if it has the SHA-256 that the operator gives.

No script of the vendor is run. The archive is read as a whole, compared, and only then unpacked: the programs in its
one folder, and nothing else.
"""

import hashlib
import platform
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, cast

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.vendor_archive import VendorArchive

BASE = "https://get.pulumi.com/releases/sdk"
FOLDER = "pulumi"  # in the archive
LARGEST = 1024 * 1024 * 1024  # bytes, of the archive and of each program
CHUNK = 1024 * 1024
TIMEOUT = 60.0  # seconds without an answer

Echo = Callable[[str], None]


def unpack_engine(archive: VendorArchive, version: str, target: Path, echo: Echo, base: str = BASE) -> None:
    """Put the programs of *archive* into the folder *target*. Raises E103, without unpacking anything."""
    url = f"{base}/pulumi-{version}-{machine()}.tar.gz"
    try:
        with tempfile.TemporaryFile(dir=target) as kept:
            echo(f"installing the vendor's engine from {archive.file or url}")
            with _opened(archive, url) as source:
                digest = _copied(source, kept)
            if digest != archive.sha256.lower():
                raise OrchestratorError("E103", f"the archive has the SHA-256 {digest}, and not the given one")
            kept.seek(0)
            _unpacked(kept, target)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise OrchestratorError("E103", f"the vendor's archive cannot be used: {error}") from error


def _opened(archive: VendorArchive, url: str) -> IO[bytes]:
    if archive.file is not None:
        return archive.file.open("rb")
    return cast("IO[bytes]", urllib.request.urlopen(url, timeout=TIMEOUT))  # noqa: S310 - our own address, or a test's


def machine() -> str:
    """What the vendor calls this machine."""
    kind = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine().lower())
    if kind is None or sys.platform not in {"linux", "darwin"}:
        raise OrchestratorError("E103", f"the vendor has no engine for {platform.system()} on {platform.machine()}")
    return f"{sys.platform}-{kind}"


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy *source*; its SHA-256. Raises E103 if it is too large."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(CHUNK):
        size += len(piece)
        if size > LARGEST:
            raise OrchestratorError("E103", f"the vendor's archive has more than {LARGEST >> 20} MiB")
        digest.update(piece)
        target.write(piece)
    return digest.hexdigest()


def _unpacked(source: IO[bytes], target: Path) -> None:
    """Write each program of the archive into *target*, under its own name."""
    with tarfile.open(fileobj=source, mode="r:gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if not member.isreg() or path.parts[:-1] != (FOLDER,) or path.name == ".." or member.size > LARGEST:
                continue
            data = archive.extractfile(member)
            if data is not None:
                with data, (target / path.name).open("xb") as out:
                    shutil.copyfileobj(data, out)
                (target / path.name).chmod(0o755)
    if not (target / "pulumi").is_file():
        raise OrchestratorError("E103", "the vendor's archive has no engine")
