"""A project that an earlier version made is upgraded: it promotes a new release, and rolls back to an old one.

`data/format-1.tar.gz` was made by commit 0935119: a project with the release hello 1.0.0, promoted into `staging` and
verified there, its packages (format 1) and journal, and the only host, which is this machine.
"""

import json
import sys
import tarfile
from pathlib import Path

import pytest

from orchestrator.wiring import open_app
from tests.journeys.conftest import Project

MADE = Path(__file__).parent / "data/format-1.tar.gz"
OLD = "hello from 1.0.0, 1.0.0, 6\n"


@pytest.fixture
def hello(tmp_path: Path) -> Project:
    """The project at another place, with its host there."""
    with tarfile.open(MADE) as archive:
        archive.extractall(tmp_path / "hello", filter="data")
    project = Project(tmp_path / "hello")
    about = {
        "ansible_connection": "local",
        "host_root": f"{project.root}/host",
        "ansible_python_interpreter": sys.executable,
    }
    (project.root / "inventory.yml").write_text(json.dumps({"all": {"hosts": {"web1": about}}}))
    return project


def test_an_upgraded_project_goes_forward_and_back(hello: Project) -> None:
    """A verified release of format 1 is the rollback target of one of format 2, with its own layout and variables."""
    motd = hello.root / "host/motd"
    assert (hello.releases("staging"), motd.read_text()) == ({"web1": "1.0.0"}, OLD)
    (hello.root / "app/hello.txt").write_text("2.0.0\n")
    file = hello.root / "releases/hello/release.yaml"
    file.write_text(file.read_text().replace("1.0.0", "2.0.0"))
    (hello.root / "playbooks/vars/own.yml").write_text("greeting: upgraded\n")
    tasks = hello.root / "roles/motd/tasks/main.yml"
    tasks.write_text("- copy: {content: '{{ greeting }} to 2.0.0', dest: '{{ host_root }}/motd', mode: '0644'}\n")

    hello.run("promote", "releases/hello", "--to", "staging")
    assert (hello.releases("staging"), motd.read_text()) == ({"web1": "2.0.0"}, "upgraded to 2.0.0")
    app = open_app(hello.root, hello.environ())
    formats = {manifest.release.version: manifest.format for _, manifest in app.packages.known()}
    assert formats == {"1.0.0": 1, "2.0.0": 2}

    hello.run("rollback", "staging", "--to", "1.0.0", "--yes")
    assert (hello.releases("staging"), motd.read_text()) == ({"web1": "1.0.0"}, OLD)
    assert hello.story("staging")["run"]["state"] == "rolled back"
