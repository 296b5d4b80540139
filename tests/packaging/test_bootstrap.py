"""The set-up uses nothing that is not compared with a digest of ours, and works without a network."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.constants import EDITABLES_REQUIREMENT
from packaging.requirements import Requirement

from tests.journeys.conftest import ROOT
from tools import bootstrap, offline

UV = str(Path(sys.executable).parent / "uv")


def wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    """A wheel in *folder*; its digest."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"sha256:{hashlib.sha256((folder / name).read_bytes()).hexdigest()}"


def named() -> str:
    """The name of the wheel of uv for this machine."""
    urls: list[str] = [item["url"].rsplit("/", 1)[-1] for item in bootstrap.packages()["uv"]["wheels"]]
    return next(name for name in urls if bootstrap.fits(name))


def about(name: str, digest: str) -> dict[str, Any]:
    return {"name": "uv", "version": "1", "wheels": [{"url": f"https://example.invalid/{name}", "hash": digest}]}


def test_uv_is_compared_with_the_lock(tmp_path: Path) -> None:
    """A uv with the digest of the lock is put in place; another one is refused, and nothing is left."""
    name = named()
    digest = wheel(tmp_path / "wheels", name, {"uv-1.data/scripts/uv": "#!/bin/sh\necho uv\n"})
    bootstrap.get_uv(about(name, digest), tmp_path / "uv", tmp_path / "wheels")
    assert subprocess.run([tmp_path / "uv"], capture_output=True, text=True, check=True).stdout == "uv\n"
    (tmp_path / "uv").unlink()
    wheel(tmp_path / "wheels", name, {"uv-1.data/scripts/uv": "#!/bin/sh\necho evil\n"})
    with pytest.raises(SystemExit, match="digest"):
        bootstrap.get_uv(about(name, digest), tmp_path / "uv", tmp_path / "wheels")
    assert not [path for path in tmp_path.iterdir() if path.name != "wheels"]


def test_the_lock_has_a_digest_for_every_wheel() -> None:
    """Of uv, of every dependency, and of what the project is built with."""
    known = bootstrap.packages()
    for name, package in known.items():
        if name != "orchestrator":
            assert package.get("wheels"), name
            assert all(item["hash"].startswith("sha256:") for item in package["wheels"])
    assert known["uv"]["version"] in named()


def test_build_tools_are_pinned_with_all_that_they_need() -> None:
    """They are hatchling by the lock, and editables by a version that hatchling takes."""
    tools = {name: (version, digests) for name, version, digests in bootstrap.build_tools(bootstrap.packages())}
    assert {"hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers", "editables"} <= set(tools)
    assert all(digests for _, digests in tools.values())
    wanted = Requirement(EDITABLES_REQUIREMENT)
    assert wanted.name == "editables"
    assert wanted.specifier.contains(tools["editables"][0])
    text = bootstrap.requirements(bootstrap.build_tools(bootstrap.packages()))
    assert f"editables==0.5 --hash={tools['editables'][1][0]}\n" in text
    assert len(text.splitlines()) == len(tools)


@pytest.mark.parametrize("changed", [False, True])
def test_a_wheel_with_another_digest_is_not_installed(tmp_path: Path, changed: bool) -> None:
    """The program uv compares each wheel of the folder, without a network."""
    name = "tiny-1.0-py3-none-any.whl"
    record = f"tiny.py,sha256={base64.urlsafe_b64encode(hashlib.sha256(b'').digest()).decode().rstrip('=')},0\n"
    files = {
        "tiny.py": "",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny-1.0.dist-info/RECORD": f"{record}tiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/RECORD,,\n",
    }
    digest = wheel(tmp_path / "wheels", name, files)
    if changed:
        wheel(tmp_path / "wheels", name, {**files, "tiny.py": "evil = 1\n"})
    (tmp_path / "tools.txt").write_text(bootstrap.requirements([("tiny", "1.0", (digest,))]))
    env = {
        **os.environ,
        "UV_OFFLINE": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(tmp_path / "wheels"),
        "UV_NO_CACHE": "1",
    }
    words = [
        UV,
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--target",
        str(tmp_path / "out"),
        "-r",
        str(tmp_path / "tools.txt"),
    ]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode == 0, (tmp_path / "out/tiny.py").exists()) == (not changed, not changed), done.stderr


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_set_up_works_without_a_network(tmp_path: Path) -> None:
    """From a folder that `tools/offline.py` has filled, in a network namespace that has nothing: the command starts."""
    offline_folder, copy = tmp_path / "wheels", tmp_path / "copy"
    offline.collect_wheels(offline_folder, dev=False)
    ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")
    shutil.copytree(ROOT, copy, ignore=ignored, symlinks=True)
    words = [sys.executable, "tools/bootstrap.py", "--wheels", str(offline_folder)]
    alone = ["unshare", "--map-root-user", "--net"] if shutil.which("unshare") else []
    env = {**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([*alone, *words], cwd=copy, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    version = subprocess.run([copy / ".venv/bin/orchestrator", "--version"], capture_output=True, text=True, check=True)
    assert "orchestrator" in version.stdout
