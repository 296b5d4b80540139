"""Put the OpenID Connect provider of the tests into the user's cache.

It is the npm packages of `tests/provider/package-lock.json`. Standard library only, and no npm: each archive comes from
the registry (`NPM_CONFIG_REGISTRY`), or from a folder that `tools/offline.py` has filled (`ORCHESTRATOR_NPM_ARCHIVES`).
It is compared with the SHA-512 in the lock, and unpacked. Nothing of it is run here.
Usage: python3 tools/sign_in_provider.py
"""

import base64
import hashlib
import io
import json
import os
import runpy
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "tests" / "provider" / "package-lock.json"
COLLECTED = "ORCHESTRATOR_NPM_ARCHIVES"
"""The variable with the folder of archives that `tools/offline.py` has collected."""
LARGEST_FILE = 20 * 2**20
AT_ONCE = 4
assets = runpy.run_path(str(ROOT / "tools" / "assets.py"))


def main() -> int:
    """Install the packages once. Returns the exit status."""
    print(f"· sign-in provider for tests: {installed_packages()}", flush=True)
    return 0


def installed_packages() -> Path:
    """The folder `node_modules` with exactly what the lock lists. Raises `SystemExit` with the reason if it cannot."""
    text = LOCK.read_bytes()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME", "/")) / ".cache")
    target = base / "orchestrator" / "sign-in-provider" / hashlib.sha256(text).hexdigest()[:16]
    if target.is_dir():
        return target / "node_modules"
    target.parent.mkdir(parents=True, exist_ok=True)
    listed = {name: about for name, about in json.loads(text)["packages"].items() if name}
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        whole = Path(folder) / "whole"
        with ThreadPoolExecutor(AT_ONCE) as pool:
            archives = list(pool.map(_archive, listed.items()))
        for name, archive in zip(listed, archives, strict=True):
            _unpack(archive, whole / name)
        try:
            whole.rename(target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
    return target / "node_modules"


def collect_archives(folder: Path) -> None:
    """Put the archives of all packages of the lock into *folder*. Raises `SystemExit` if one is not the locked one."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = {name: about for name, about in json.loads(LOCK.read_bytes())["packages"].items() if name}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for item, archive in zip(listed.items(), pool.map(_archive, listed.items()), strict=True):
            (folder / _file_name(*_named(item))).write_bytes(archive)


def _named(item: tuple[str, dict[str, Any]]) -> tuple[str, str]:
    """The name and the version of a package of the lock."""
    place, about = item
    return place.rpartition("node_modules/")[2], about["version"]


def _file_name(name: str, version: str) -> str:
    """What the archive of a package is called in the folder of `tools/offline.py`."""
    return f"{name.replace('/', '__')}-{version}.tgz"


def _archive(item: tuple[str, dict[str, Any]]) -> bytes:
    """The archive of one package, from the folder `ORCHESTRATOR_NPM_ARCHIVES` or the registry.

    Raises `SystemExit` if it is not the locked one, or is not in that folder.
    """
    about, (name, version) = item[1], _named(item)
    if collected := os.environ.get(COLLECTED):
        file = Path(collected) / _file_name(name, version)
        if not file.is_file():
            raise SystemExit(f"{file} does not exist: fill the folder again with tools/offline.py")
        data = file.read_bytes()
    else:
        data = assets["registry_answer"](assets["package_url"](name, version))
    kind, _, expected = about["integrity"].partition("-")
    if kind != "sha512" or base64.b64encode(hashlib.sha512(data).digest()).decode() != expected:
        raise SystemExit(f"{name} {about['version']} does not have the digest in {LOCK.name}")
    return data


def _unpack(archive: bytes, target: Path) -> None:
    """Write the regular files of *archive* below *target*, without its first folder. Links are left out."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        for member in opened:
            parts = PurePosixPath(member.name).parts[1:]
            if not member.isfile() or not parts or ".." in parts or member.size > LARGEST_FILE:
                continue
            found, path = opened.extractfile(member), target.joinpath(*parts)
            assert found is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(found.read())


if __name__ == "__main__":
    sys.exit(main())
