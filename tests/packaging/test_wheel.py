"""The wheel, installed where the repository is not."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.conftest import ROOT, Project

UV = str(Path(sys.executable).parent / "uv")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    return folder


@pytest.fixture
def installed(built: Path, tmp_path: Path) -> Iterator[Project]:
    """An empty project outside the repository, and the command from the wheel in an environment of its own."""
    venv = tmp_path / "venv"
    wheel = next(built.glob("*.whl"))
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    words = [UV, "pip", "install", "--quiet", "--python", str(venv / "bin/python"), str(wheel)]
    subprocess.run(words, check=True, env={**os.environ, "UV_SYSTEM_CERTS": "1"})
    project = Project(tmp_path / "project", (str(venv / "bin/orchestrator"),), {"PYTHONPATH": ""})
    project.root.mkdir()
    yield project
    project.clean()


@pytest.mark.long
def test_the_wheel_is_all_that_is_needed(installed: Project) -> None:
    """From the wheel alone, `init` writes a project that reaches production, and the engine's modules can be built from it."""
    installed.run("init", "--name", "hello")
    installed.run("validate")
    installed.run("promote", "releases/hello")
    assert set(installed.releases("production").values()) == {"1.0.0"}
    installed.run("schema", "release")
    code = "from orchestrator.adapters.pulumi.engine import _source_folder as f; print(f())"
    python = Path(installed.program[0]).parent / "python"
    done = subprocess.run([str(python), "-c", code], cwd=installed.root, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip(), "language-python/go.mod").is_file()
    assert str(ROOT) not in done.stdout


def test_licences_lie_apart(built: Path) -> None:
    """The wheel and the source distribution carry both licences, and the GPL one lies with the collection."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert "orchestrator/ansible/ansible_collections/orchestrator/release/LICENSE" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/orchestrator/ansible/LICENSE") for name in names)
    with tarfile.open(next(built.glob("*.tar.gz"))) as source:
        members = {name.split("/", 1)[1] for name in source.getnames() if "/" in name}
    assert {
        "Makefile",
        "LICENSE",
        "tools/bootstrap.py",
        "environments/staging/Pulumi.yaml",
        "playbooks/deploy.yml",
    } <= members
