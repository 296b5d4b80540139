"""Packages for tests that begin where a package is unpacked."""

import hashlib
import os
from pathlib import Path
from typing import Literal

from orchestrator.domain.release import Manifest, Package, PackageFile, Release


def sealed(content: Path, release: Release, version: Literal[1, 2] = 1) -> Package:
    """A package of *release* in the format *version* whose unpacked content is *content* as it is now."""
    files = tuple(
        PackageFile(
            path=str(path.relative_to(content)),
            size=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            executable=os.access(path, os.X_OK),
        )
        for path in sorted(content.rglob("*"))
        if path.is_file()
    )
    manifest = Manifest(apiVersion="orchestrator/v1", kind="Package", format=version, release=release, files=files)
    return Package(manifest=manifest, digest=manifest.digest, path="", root=str(content))
