"""The provider of the tests is installed from a folder of archives, without a network."""

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tools import sign_in_provider


def archive(text: str) -> bytes:
    """An npm archive with one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        data = text.encode()
        about = tarfile.TarInfo("package/index.js")
        about.size = len(data)
        made.addfile(about, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the archive of the only package of the lock; the registry cannot be reached."""
    data = archive("exports.x = 1")
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    about = {"version": "1.2.3", "integrity": f"sha512-{digest}"}
    lock = tmp_path / "package-lock.json"
    lock.write_text(json.dumps({"packages": {"": {}, "node_modules/@scope/it": about}}))
    monkeypatch.setattr(sign_in_provider, "LOCK", lock)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    monkeypatch.setenv(sign_in_provider.COLLECTED, str(tmp_path / "npm"))
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm" / "@scope__it-1.2.3.tgz").write_bytes(data)
    return tmp_path / "npm"


def test_collected_archives_are_installed_without_a_registry(folder: Path) -> None:
    """The packages are unpacked from the folder, and collecting them again from there gives the same archives."""
    installed = sign_in_provider.installed_packages()
    assert (installed / "@scope" / "it" / "index.js").read_text() == "exports.x = 1"
    again = folder.parent / "again"
    sign_in_provider.collect_archives(again)
    assert [(file.name, file.read_bytes()) for file in again.iterdir()] == [
        (file.name, file.read_bytes()) for file in folder.iterdir()
    ]


def test_a_changed_or_missing_archive_is_refused(folder: Path) -> None:
    """An archive with another digest than the lock, and one that is not in the folder, end the set-up with the reason."""
    file = folder / "@scope__it-1.2.3.tgz"
    file.write_bytes(archive("exports.x = 2"))
    with pytest.raises(SystemExit, match="does not have the digest"):
        sign_in_provider.installed_packages()
    file.unlink()
    with pytest.raises(SystemExit, match=r"tools/offline\.py"):
        sign_in_provider.installed_packages()
