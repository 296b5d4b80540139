"""Fetch the third-party files that browsers get, as `orchestrator/web/assets.lock` lists them.

Standard library only. Usage: python3 tools/assets.py [--check] [--from FOLDER]

Files come from the npm registry (`NPM_CONFIG_REGISTRY`, by default https://registry.npmjs.org), or from a FOLDER that
`tools/offline.py` has filled. Each is compared with the SHA-256 in the lock before it is kept. With `--check` nothing
is fetched.
"""

import io
import os
import runpy
import sys
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = "https://registry.npmjs.org"
LARGEST = 50 * 2**20
"""The size of a package or file in bytes, at most."""

locked = runpy.run_path(str(ROOT / "orchestrator" / "web" / "locked_assets.py"))
"""The module that the server has too, without the rest of the package: dependencies may not be installed yet."""


def main() -> int:
    """Fetch what is missing, or check what is kept. Returns the exit status."""
    words = sys.argv[1:]
    folder = Path(words[words.index("--from") + 1]) if "--from" in words[:-1] else None
    if "--check" not in words:
        fetch_assets(locked["FOLDER"], folder)
    faults = locked["asset_faults"]()
    for fault in faults:
        print(f"orchestrator/web/assets: {fault}", file=sys.stderr)
    return 1 if faults else 0


def fetch_assets(target: Path, source: Path | None = None, lock: Path = locked["LOCK"]) -> None:
    """Put every file that *lock* lists into *target*, and remove others.

    Raises `SystemExit` for a file with another digest.
    """
    listed = locked["listed_assets"](lock)
    target.mkdir(exist_ok=True)
    for path in target.iterdir():
        if path.name not in {asset.name for asset in listed}:
            path.unlink()
    packages: dict[str, bytes] = {}
    for asset in listed:
        kept = target / asset.name
        if kept.is_file() and asset.is_in(kept.read_bytes()):
            continue
        data = (source / asset.name).read_bytes() if source else _member(_package(asset, packages), asset)
        if not asset.is_in(data):
            raise SystemExit(f"{asset.name} of {asset.package} {asset.version} does not have the digest in {lock.name}")
        temporary = kept.with_name(f".{asset.name}.new")
        temporary.write_bytes(data)
        temporary.replace(kept)


def package_url(package: str, version: str) -> str:
    """Where the registry has the archive of a package."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY", REGISTRY).rstrip("/")
    return f"{registry}/{package}/-/{package.rsplit('/', 1)[-1]}-{version}.tgz"


def _package(asset: Any, packages: dict[str, bytes]) -> bytes:
    url = package_url(asset.package, asset.version)
    if url not in packages:
        packages[url] = registry_answer(url)
    return packages[url]


def registry_answer(url: str, attempts: int = 3) -> bytes:
    """What the registry answers; a failure that may pass is tried again."""
    for attempt in range(attempts):
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                return bytes(response.read(LARGEST + 1))
        except OSError as error:
            if attempt == attempts - 1:
                raise SystemExit(f"cannot get {url}: {error}") from error
            time.sleep(1 + attempt)
    raise AssertionError


def _member(archive: bytes, asset: Any) -> bytes:
    """The bytes of the one file; nothing else of the archive is read or unpacked."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        for member in opened:
            if member.isfile() and member.name == f"package/{asset.file}" and member.size <= LARGEST:
                found = opened.extractfile(member)
                assert found is not None
                return found.read()
    raise SystemExit(f"{asset.package} {asset.version} has no file {asset.file}")


if __name__ == "__main__":
    sys.exit(main())
