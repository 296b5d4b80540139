"""A project whose journal is in Postgres: a promotion outlives its process, and its database's server."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.conftest import Project, lay_small_shop
from tests.journeys.test_interrupted import until
from tests.passphrase import passphrase
from tests.postgres import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test alone: it will crash."""
    with serving() as started:
        yield started


@pytest.mark.timeout(900)
def test_the_server_crashes_and_the_promotion_is_killed(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a promotion deploys, every connection is cut; later its process is killed; `resume` ends it with nothing doubled, and a backup puts the state back."""
    url = server.fresh()
    path = f"{server.programs}{os.pathsep}{os.environ['PATH']}"
    project = Project(tmp_path / "project", env={"ORCHESTRATOR_STORE": url, "PATH": path})
    project.root.mkdir()
    try:
        lay_small_shop(project)
        project.run("promote", "releases/1.0.0")
        secret = passphrase(tmp_path)
        project.run("backup", "first.backup", *secret)
        project.run("promote", "releases/1.1.0", "--to", "staging")

        process = project.start("promote", "releases/1.1.0", "--to", "production")
        run = until(project, process, "deploy.1")
        assert server.cut(url) >= 1
        until(project, process, "deploy.2")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert project.status("production")["last_run"]["interrupted"]
        project.run("resume", run)

        assert set(project.releases("production").values()) == {"1.1.0"}
        story = project.run("show", run, "--json").json
        names = [step["name"] for step in story["steps"]]
        assert story["run"]["state"] == "succeeded"
        assert len(names) == len(set(names))
        assert {path.name for path in (project.state / "jobs").glob(f"{run}.deploy.*")} == {
            f"{run}.deploy.1",
            f"{run}.deploy.2",
        }

        project.run("restore", "first.backup", "--yes", *secret)
        assert set(project.releases("production").values()) == {"1.0.0"}
        assert run not in project.run("history", "--json").out
    finally:
        project.clean()
