"""The third-party files of browsers are those of the lock, and no others."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from orchestrator.web.locked_assets import FOLDER, asset_faults, listed_assets
from tools import assets

GOOD = b"let good"


def lock(folder: Path, data: bytes = GOOD) -> Path:
    """A lock that lists one file with the digest of *data*."""
    file = folder / "assets.lock"
    digest = hashlib.sha256(data).hexdigest()
    file.write_text(f'[[asset]]\npackage = "@a/b"\nversion = "1.0.0"\nfile = "dist/b.js"\nsha256 = "{digest}"\n')
    return file


def archive(**files: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as opened:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}.js")
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return made.getvalue()


def test_the_kept_files_are_those_of_the_lock() -> None:
    """Set-up has fetched every file of the lock."""
    assert asset_faults() == []
    assert {path.name for path in FOLDER.iterdir()} == {asset.name for asset in listed_assets()}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({}, "b.js is missing"),
        ({"b.js": b"let evil"}, "b.js is another file"),
        ({"b.js": GOOD, "c.js": b""}, "c.js is not listed"),
    ],
)
def test_another_file_is_a_fault(tmp_path: Path, files: dict[str, bytes], fault: str) -> None:
    """A missing file, a changed file and a file that is not listed are each reported."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name, data in files.items():
        (kept / name).write_bytes(data)
    assert asset_faults(kept, lock(tmp_path)) == [fault]


def test_a_fetched_file_is_compared_before_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with another file under the listed name is refused, and nothing is written."""
    listed = lock(tmp_path)
    registry = tmp_path / "registry" / "@a" / "b" / "-"
    registry.mkdir(parents=True)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", (tmp_path / "registry").as_uri())
    (registry / "b-1.0.0.tgz").write_bytes(archive(a=GOOD, b=b"let evil"))
    with pytest.raises(SystemExit, match="does not have the digest"):
        assets.fetch_assets(tmp_path / "kept", lock=listed)
    assert list((tmp_path / "kept").iterdir()) == []
    (registry / "b-1.0.0.tgz").write_bytes(archive(b=GOOD))
    assets.fetch_assets(tmp_path / "kept", lock=listed)
    assert (tmp_path / "kept" / "b.js").read_bytes() == GOOD


def test_a_package_without_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listed file that its package does not have is an error that names both."""
    listed = lock(tmp_path)
    registry = tmp_path / "@a" / "b" / "-"
    registry.mkdir(parents=True)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", tmp_path.as_uri())
    (registry / "b-1.0.0.tgz").write_bytes(archive(a=GOOD))
    with pytest.raises(SystemExit, match=r"@a/b 1\.0\.0 has no file dist/b\.js"):
        assets.fetch_assets(tmp_path / "kept", lock=listed)
