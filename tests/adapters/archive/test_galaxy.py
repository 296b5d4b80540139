"""Roles and collections that are only required are in the package: nothing is installed when a release is promoted."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.archive.galaxy import Installer, SearchPaths
from orchestrator.domain.errors import OrchestratorError

GALAXY = "namespace: demo\nname: tools\nversion: 1.0.0\nreadme: README.md\nauthors: [a]\n"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the collection `demo.tools` and the role `motd`, as their authors would publish them."""
    folder = tmp_path_factory.mktemp("archives")
    for name, text in {"galaxy.yml": GALAXY, "README.md": "x", "roles/hello/tasks/main.yml": "[]\n"}.items():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / name).write_text(text)
    argv = [sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--output-path", str(folder)]
    subprocess.run(argv, cwd=folder / "source", check=True, capture_output=True, timeout=60)
    with tarfile.open(folder / "motd.tar.gz", "w:gz") as archive:
        for name, data in {"meta/main.yml": b"galaxy_info: {}\n", "tasks/main.yml": b"[]\n"}.items():
            info = tarfile.TarInfo("motd/" + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return folder


def requirements(archives: Path) -> str:
    collection = f"collections: [{{name: {archives}/demo-tools-1.0.0.tar.gz, type: file}}]\n"
    return collection + f"roles: [{{name: motd, src: 'file://{archives}/motd.tar.gz'}}]\n"


@pytest.mark.engines
def test_what_is_required_is_installed_into_the_package(shop: Any, archives: Path) -> None:
    """Collections and roles of `requirements.yml` are packed; the project gets a lock and nothing else."""
    shop.files({"requirements.yml": requirements(archives)})
    before = sorted(shop.project.rglob("*"))
    first = shop.build()
    names = {file.path for file in first.manifest.files}
    assert "collections/ansible_collections/demo/tools/roles/hello/tasks/main.yml" in names
    assert {"roles/motd/tasks/main.yml", "roles/web/tasks/main.yml"} < names
    assert not [name for name in names if "install_info" in name or ".info/" in name]
    assert sorted(shop.project.rglob("*")) == sorted([*before, shop.project / "requirements.lock"])
    assert len([path for path in (shop.folder / "cache").iterdir() if path.is_dir()]) == 1


@pytest.mark.engines
def test_a_build_on_another_machine_is_equal(shop: Any, archives: Path) -> None:
    """With an empty cache the same requirements give the same package, byte for byte."""
    shop.files({"requirements.yml": requirements(archives)})
    first = Path(shop.build().path).read_bytes()
    (shop.folder / "cache").rename(shop.folder / "old")
    assert Path(shop.build("b.release").path).read_bytes() == first


@pytest.mark.engines
def test_a_failure_says_what_ansible_galaxy_said(shop: Any) -> None:
    """What cannot be had is refused before anything is written."""
    shop.files({"collections/requirements.yml": "collections: [{name: ./none.tar.gz, type: file}]\n"})
    with pytest.raises(OrchestratorError, match=r"none\.tar\.gz") as caught:
        shop.build()
    assert caught.value.code == "P107"
    assert not list((shop.folder / "cache").iterdir())
    assert not (shop.folder / "a.release").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("requirements.yml", "collections: [demo.tools]\nroles: [web]\n"),
        ("requirements.yml", "- web\n- {src: 'https://example.org/x/web.git'}\n- {src: x, name: web}\n"),
        ("requirements.yml", ""),
        ("requirements.yml", "collections: []\n"),
        ("collections/requirements.yml", "collections: [{name: demo.tools, version: 1.0.0}, 'demo.tools:1.0.0']\n"),
        ("roles/requirements.yaml", "roles: ['web,1.0']\n"),
    ],
)
def test_what_is_there_is_not_installed_again(shop: Any, file: str, text: str) -> None:
    """A project that brings its collections and roles is packed without a network."""
    shop.files({file: text, "collections/ansible_collections/demo/tools/galaxy.yml": GALAXY})
    assert Installer(shop.project, shop.folder / "cache")(SearchPaths([shop.project])) is None


@pytest.mark.parametrize("text", ["collections: {", "collections: demo.tools\n", "just text\n", "roles: {a: b}\n"])
def test_an_unreadable_file_is_named(shop: Any, text: str) -> None:
    """A requirements file that is none is refused by name."""
    shop.files({"requirements.yml": text})
    with pytest.raises(OrchestratorError, match=r"requirements\.yml") as caught:
        Installer(shop.project, shop.folder / "cache")(SearchPaths([shop.project]))
    assert caught.value.code == "P110"
