"""A project made by `init`, from the empty folder to production."""

import pytest

from tests.journeys.conftest import Project


def test_what_init_writes_can_be_promoted_at_once(project: Project) -> None:
    """The project that `init` writes into an empty folder is valid and reaches production unchanged."""
    said = project.run("init", "--json").json
    assert "releases/my-project/release.yaml" in said["written"]
    assert project.run("init", "--json").json["written"] == []
    project.run("validate")
    first = (project.root / "releases/my-project/release.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../../.orchestrator/schemas/release.json"
    assert (project.root / ".orchestrator/schemas/release.json").is_file()

    project.run("promote", "releases/my-project")
    assert set(project.releases("production").values()) == {"1.0.0"}
    matrix = project.run("matrix", "--json").json
    assert matrix["releases"][0]["in"]["production"]["state"] == "current"


@pytest.mark.core
def test_init_touches_nothing_that_is_there(project: Project) -> None:
    """In a folder with Pulumi.yaml, playbooks and tests, `init` adds only what is missing."""
    own = {
        "Pulumi.yaml": "name: mine\nruntime: python\n",
        "Pulumi.production.yaml": "config: {}\n",
        "Pulumi.dev.yaml": "config: {}\n",
        "playbooks/site.yml": "- hosts: all\n  tasks: []\n",
        "tests/test_all.py": "def test_it(host):\n    assert host.exists('sh')\n",
        ".gitignore": "mine\n",
    }
    for path, text in own.items():
        project.write(path, text)
    written = project.run("init", "--name", "mine", "--json").json["written"]
    assert [path for path in written if not path.startswith(".orchestrator/")] == [
        "orchestrator.yaml",
        "environments/dev/environment.yaml",
        "environments/production/environment.yaml",
        "releases/mine/release.yaml",
    ]
    assert {path: (project.root / path).read_text() for path in own} == own
    release = (project.root / "releases/mine/release.yaml").read_text()
    assert "playbook: playbooks/site.yml" in release
    assert "tests: tests" in release
    production = (project.root / "environments/production/environment.yaml").read_text()
    assert "program: ." in production
    assert "after: dev" in production
    project.run("validate")
