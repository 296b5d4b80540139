"""A project that an earlier version made is upgraded: it promotes a new release, and rolls back to an old one.

`data/format-1.tar.gz` was made by commit 0935119: a project with the release hello 1.0.0, promoted into `staging` and
verified there, its packages (format 1) and journal, and the only host, which is this machine. `upgrade_data.py` makes
such a project with the program of any later commit; `BASES` has the last commit before each issue.
"""

import tarfile
from pathlib import Path

import pytest

from orchestrator.wiring import open_app
from tests.archives import extract
from tests.journeys.conftest import Project
from tests.journeys.upgrade_data import inventory

DATA = Path(__file__).parent / "data"
OLD = "hello from 1.0.0, 1.0.0, 6\n"
BASES = {"before-issue-13": "ed047c9", "before-issue-14": "32a87dd"}
"""The data of each issue, and the commit that made it: the last one before the issue."""


def laid(name: str, folder: Path) -> Project:
    """The project of the data *name* in *folder*, with its host there."""
    with tarfile.open(DATA / f"{name}.tar.gz") as archive:
        extract(archive, folder / "hello")
    project = Project(folder / "hello")
    (project.root / "inventory.yml").write_text(inventory(project.root))
    environment = project.root / "environments/staging/environment.yaml"  # its host is a folder of the project
    environment.write_text(f"{environment.read_text().rstrip()}\nisolation: {{write: [host]}}\n")
    return project


@pytest.fixture
def hello(tmp_path: Path) -> Project:
    """The project of format 1."""
    return laid("format-1", tmp_path)


@pytest.mark.parametrize("base", [pytest.param("before-issue-13", marks=pytest.mark.rare), "before-issue-14"])
def test_a_project_of_an_earlier_issue_goes_forward_and_back(base: str, tmp_path: Path) -> None:
    """A release that the earlier version verified is the rollback target of a new one; its controller files are kept."""
    project = laid(base, tmp_path)
    motd, token = project.root / "host/motd", project.root / "host/token"
    assert project.releases("staging") == {"web1": "1.0.0"}
    old = (motd.read_text(), token.read_text())
    project.replace("app/hello.txt", "1.0.0", "2.0.0")
    project.replace("releases/hello/release.yaml", "1.0.0", "2.0.0")
    project.replace("environments/staging/environment.yaml", "[credentials/]", "[{path: credentials/, secret: true}]")

    project.run("promote", "releases/hello", "--to", "staging")
    assert (project.releases("staging"), motd.read_text()) == ({"web1": "2.0.0"}, "hello from 2.0.0, 6\n")
    assert token.read_text() == old[1]

    project.run("rollback", "staging", "--yes")
    assert project.releases("staging") == {"web1": "1.0.0"}
    assert (motd.read_text(), token.read_text()) == old
    assert project.story("staging")["run"]["state"] == "rolled back"


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
