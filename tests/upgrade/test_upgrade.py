"""Projects of earlier versions are upgraded: this version shows their runs in its words, and goes on with them.

`data/` has a project for each commit in `BASES`, with a run of every kind. `record.py` made it with the program of the
commit: `python -m tests.upgrade.record COMMIT tests/upgrade/data/NAME.tar.gz`.
"""

import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.planning.plan_store import load_any
from tests.journeys.conftest import Project
from tests.upgrade.project import FOLDER, ISOLATION, NAMES, lay_inventories
from tests.upgrade.record import PLACE

DATA = Path(__file__).parent / "data"
BASES = {"before-names": "414d87c"}
"""The data, and the commit that made it."""
pytestmark = pytest.mark.xdist_group("test_upgrade")
EARLIER = (
    "needs a person",
    "proving",
    "wish",
    '"asked"',
    '"way_back"',
    '"way back"',
    '"named"',
    '"walk"',
    '"parameters": null',
)


def lay(name: str) -> Project:
    """The project of the data *name* where it was recorded, with its databases."""
    project = Project(FOLDER)
    project.root.mkdir(parents=True)
    with tarfile.open(DATA / f"{name}.tar.gz") as archive:
        archive.extractall(project.root, filter="data")
    for file in project.root.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.suffix != ".release":
            data = file.read_bytes()
            if PLACE.encode() in data:
                file.write_bytes(data.replace(PLACE.encode(), str(project.root).encode()))
    for file in project.state.glob("*.sql"):
        database = sqlite3.connect(file.with_suffix(".db"))
        database.executescript(file.read_text())
        database.close()
        file.with_suffix(".db").chmod(0o600)
        file.unlink()
    lay_inventories(project.root)
    for host in NAMES:
        environment = project.root / f"environments/{host}/environment.yaml"
        if ISOLATION not in environment.read_text():
            environment.write_text(environment.read_text() + ISOLATION)
    return project


@pytest.fixture(params=BASES)
def hello(request: pytest.FixtureRequest) -> Iterator[Project]:
    """The project of each earlier version."""
    project = lay(request.param)
    try:
        yield project
    finally:
        project.clean()
        FOLDER.parent.rmdir()


def documents(project: Project, runs: list[dict[str, Any]]) -> Iterator[str]:
    """What the commands that only read print as JSON."""
    yield project.run("status", "--json").out
    yield project.run("matrix", "--json").out
    yield project.run("history", "--json").out
    yield project.run("queue", "--json").out
    for run in runs:
        yield project.run("show", run["id"], "--json").out
        yield project.run("logs", run["id"], "--json").out


def test_the_runs_of_an_earlier_version_are_shown_in_current_words(hello: Project) -> None:
    """`status`, `matrix`, `history`, `queue`, `show` and `logs` of an upgraded project have no word of the earlier version."""
    runs = hello.run("history", "--json").json["runs"]
    kinds = {run["kind"] for run in runs}
    assert kinds == {"promotion", "rollback", "rehearsal", "waves", "observe", "override"}
    assert {run["state"] for run in runs if run["ended_at"]} == {
        "succeeded",
        "failed",
        "rolled back",
        "needs intervention",
    }
    for text in documents(hello, runs):
        assert [word for word in EARLIER if word in text] == []


def newest(project: Project, environment: str) -> dict[str, Any]:
    """The newest run in *environment*."""
    runs: list[dict[str, Any]] = project.run("history", environment, "--json").json["runs"]
    return runs[0]


@pytest.mark.long
def test_runs_of_an_earlier_version_are_resumed_and_rolled_back(hello: Project) -> None:
    """A killed run and a paused one of the earlier version end well, and a release that it sealed is the rollback target."""
    for environment in ("cut", "late"):
        hello.run("resume", newest(hello, environment)["id"])
        assert (newest(hello, environment)["state"], hello.releases(environment)) == (
            "succeeded",
            {environment: "2.0.0"},
        )
    hello.run("rollback", "cut", "--yes")
    assert hello.releases("cut") == {"cut": "1.0.0"}
    assert hello.run("audit", "verify", code=None).code == 0


def test_the_plans_of_an_earlier_version_keep_their_digests(hello: Project) -> None:
    """Each plan that the earlier version kept is read with current names, and has the digest by which the journal knows it."""
    folders = [file.parent for file in hello.state.glob("plans/*/plan.json")]
    assert len(folders) > 5
    with hello.opened() as app:
        for folder in folders:
            plan = load_any(app.services, f"sha256:{folder.name}", recorded=True)
            assert (plan.apiVersion, plan.digest) == ("orchestrator/v1", f"sha256:{folder.name}")
