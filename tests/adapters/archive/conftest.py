"""A small project, as a team would have it, and its package."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.domain.release import Package, Release

FILES = {
    "playbooks/deploy.yml": "- hosts: all\n  roles: [web]\n",
    "playbooks/vars/common.yml": "a: 1\n",
    "roles/web/tasks/main.yml": "- debug: {msg: hi}\n",
    "roles/web/files/run.sh": "#!/bin/sh\n",
    "ansible.cfg": "[defaults]\n",
    "tests/conftest.py": "",
    "tests/smoke/test_web.py": "def test_it(host): pass\n",
    "releases/shop/release.yaml": "",
    "releases/shop/dist/shop.tar.gz": "data" * 1000,
    "roles/web/tasks/__pycache__/x.pyc": "junk",
    "README.md": "not needed",
}


class Shop:
    """A project in a folder. `files` writes more into it, `build` seals it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.source = self.project / "releases/shop/release.yaml"
        self.packages = SealedPackages(folder / "kept", folder / "cache")
        self.files(FILES)
        (self.project / "roles/web/files/run.sh").chmod(0o755)

    def files(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(text)

    def build(self, name: str = "a.release", *, replace: bool = False, **changes: object) -> Package:
        return self.packages.build(self.project, self.source, release(**changes), self.folder / name, replace=replace)

    def names(self, **changes: Any) -> list[str]:
        files = self.build(replace=True, **changes).manifest.files
        return [file.path if file.area == "content" else file.name for file in files]

    def release(self, **changes: object) -> Release:
        return release(**changes)

    def kept(self) -> Package:
        """The package, built and put into the store."""
        return self.packages.keep(Path(self.build().path))


def release(**changes: object) -> Release:
    data = {
        "apiVersion": "orchestrator/v1",
        "kind": "Release",
        "name": "shop",
        "version": "1.0.0",
        "environments": ["staging"],
        "artifacts": [{"path": "dist/shop.tar.gz"}],
        "steps": [{"name": "deploy", "playbook": "playbooks/deploy.yml"}],
        "verify": [{"name": "smoke", "tests": "tests/smoke"}],
        **changes,
    }
    return Release.from_json(data)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture(scope="session")
def new_shop() -> Callable[[Path], Shop]:
    """For tests that make many: Hypothesis, and fixtures of a module."""
    return Shop


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of one good package."""
    return Path(Shop(tmp_path_factory.mktemp("sealed")).build().path).read_bytes()
