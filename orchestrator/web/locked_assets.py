"""The third-party files of `assets.lock`: where they are, and whether each is the listed one. Standard library only."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK, FOLDER = HERE / "assets.lock", HERE / "assets"


@dataclass(frozen=True)
class Asset:
    """One *file* of a version of an npm *package*, with its digest."""

    package: str
    version: str
    file: str
    sha256: str

    @property
    def name(self) -> str:
        """The name under which it is kept and served."""
        return self.file.rsplit("/", 1)[-1]

    def is_in(self, data: bytes) -> bool:
        """Whether *data* is this file."""
        return hashlib.sha256(data).hexdigest() == self.sha256


def listed_assets(lock: Path = LOCK) -> tuple[Asset, ...]:
    """Every file of the lock. Raises `ValueError` if two have one name."""
    found = tuple(Asset(**entry) for entry in tomllib.loads(lock.read_text("utf-8"))["asset"])
    if len({asset.name for asset in found}) != len(found):
        raise ValueError(f"{lock.name} has two files with one name")
    return found


def asset_faults(folder: Path = FOLDER, lock: Path = LOCK) -> list[str]:
    """Which files of the lock are missing in *folder* or differ, and which files there are not listed."""
    listed = {asset.name: asset for asset in listed_assets(lock)}
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    faults = [f"{name} is missing" for name in listed if name not in found]
    faults += [f"{name} is not listed" for name in sorted(found - listed.keys())]
    kept = [name for name in listed if name in found]
    return faults + [f"{name} is another file" for name in kept if not listed[name].is_in((folder / name).read_bytes())]
