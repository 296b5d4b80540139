"""Projects of earlier versions are upgraded: this version shows their runs in its words, and resumes them.

`data/` has a project for each commit in `BASES`: the first one with a run for each type of request, the second one after
a part of the words were renamed, the third one with a run and a request for which an option was given that has another
name now. `record.py` made it with the program of the commit: `python -m tests.upgrade.record COMMIT
tests/upgrade/data/NAME.tar.xz`.
"""

import contextlib
import fcntl
import multiprocessing
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, get_args

import pytest

from orchestrator.app.requests import Request, Unknown, parse_request
from orchestrator.domain.journal import LOCK_KINDS, Kind
from orchestrator.planning.plan_store import load_any
from tests.archives import extract
from tests.journeys.conftest import Project
from tests.upgrade.project import FOLDER, ISOLATION, NAMES, lay_inventories
from tests.upgrade.record import PLACE

DATA = Path(__file__).parent / "data"
BASES = {"every-kind": "32a87dd", "before-names": "414d87c", "before-options": "c40e3fc"}
"""The data, and the commit that made it."""
FORMS = {"every-kind": "orchestrator/v1", "before-names": "orchestrator/v1", "before-options": "orchestrator/v2"}
"""The forms of plans in the data."""
TURN = FOLDER.parent.with_suffix(".turn")
"""The file that the test whose project is in the folder has locked."""
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


def lay(project: Project, name: str) -> None:
    """Lay the data *name* into the folder of *project*, where it was recorded, with its databases."""
    project.root.mkdir(parents=True)
    with tarfile.open(DATA / f"{name}.tar.xz") as archive:
        extract(archive, project.root)
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
        if environment.is_file() and ISOLATION not in environment.read_text():
            environment.write_text(environment.read_text() + ISOLATION)


@contextlib.contextmanager
def laid(name: str) -> Iterator[Project]:
    """The project of the data *name*, removed afterwards.

    Its place is the same for every checkout on the machine. So tests wait for each other, and remove what one left that
    was killed.
    """
    project = Project(FOLDER)
    with TURN.open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        remove(project)
        try:
            lay(project, name)
            yield project
        finally:
            remove(project)


def remove(project: Project) -> None:
    """End what *project* has started, and remove its folder."""
    project.clean()
    shutil.rmtree(project.root.parent, ignore_errors=True)  # what still writes there leaves it to the next test


@pytest.fixture
def every() -> Iterator[Project]:
    """The project with a run for each type of request, as the last version before the words of the field left it."""
    with laid("every-kind") as project:
        yield project


@pytest.fixture
def hello() -> Iterator[Project]:
    """The project of the version before the words of the field."""
    with laid("before-names") as project:
        yield project


@pytest.fixture
def options() -> Iterator[Project]:
    """The project of the version before the options `--allow-rolled-back` and `--skip-irreversible`."""
    with laid("before-options") as project:
        yield project


def leave(holds: Barrier) -> None:
    """Lay the project, and wait to be killed."""
    with laid("before-names"):
        holds.wait(60)
        time.sleep(600)


def test_a_killed_test_leaves_the_place_to_the_next_one() -> None:
    """While one process has the project laid, another one waits; after `kill -9` of the first, the project is laid anew."""
    forked = multiprocessing.get_context("fork")
    holds = forked.Barrier(2)
    first = forked.Process(target=leave, args=(holds,))
    first.start()
    holds.wait(60)
    assert FOLDER.is_dir()
    with TURN.open("a") as turn, pytest.raises(BlockingIOError):
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    first.kill()
    first.join(30)
    (FOLDER / "left").write_text("by the killed process\n")
    with laid("before-names") as project:
        assert not (project.root / "left").exists()
        assert (project.root / "orchestrator.yaml").is_file()
    assert not FOLDER.parent.exists()


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


STATES = {
    ("bare", "provision"): {"succeeded"},
    ("bare", "resolve"): {"succeeded"},
    ("bare", "destroy"): {"succeeded"},
    ("brief", "promotion"): {"succeeded", "needs intervention"},
    ("brief", "reap"): {"succeeded"},
    ("broken", "promotion"): {"succeeded", "needs intervention"},
    ("edge-a", "rehearsal"): {"rolled back"},
    ("edge-b", "override"): {"failed"},
    ("edge-b", "rollback"): {"rolled back"},
    ("pair", "promotion"): {"succeeded"},
    ("pair", "override"): {"succeeded"},
    ("staging", "observe"): {"succeeded"},
    ("staging", "rollback"): {"rolled back"},
}
"""The states of runs in the project with every kind, for some environments and kinds."""


def test_a_run_for_each_type_of_request_is_read(every: Project) -> None:
    """An upgraded project has a run of each type of request, in current words, with the state in which it ended."""
    runs = every.run("history", "-n", "200", "--json").json["runs"]
    with every.opened() as app:
        recorded = [app.store.records(run["id"], limit=1)[0] for run in runs]
        types = {type(parse_request(record.data)) for record in recorded if record.kind == "requested"}
    assert types == set(get_args(Request)) - {Unknown}  # a request of a newer program
    assert {run["kind"] for run in runs} == set(get_args(Kind)) - LOCK_KINDS  # recorded since a later version
    found: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        found.setdefault((run["environment"], run["kind"]), set()).add(run["state"])
    assert {place: found.get(place) for place in STATES} == STATES
    for text in documents(every, runs):
        assert [word for word in EARLIER if word in text] == []


def test_the_environments_of_every_kind_are_shown(every: Project) -> None:
    """Of an upgraded project with two sides, the live side and its release are shown; an ephemeral stack is gone."""
    pair = every.status("pair")
    assert (pair["release"]["version"], every.releases("pair")) == ("2.0.0", {"pair-1": "1.0.0", "pair-2": "2.0.0"})
    assert {host["host"]: host["side"] for host in pair["hosts"]} == {"pair-1": "blue", "pair-2": "green"}
    assert every.run("show", newest(every, "pair")["id"]).code == 0
    assert every.status("brief")["hosts"] == []
    assert "no ephemeral environment is left" in every.run("environment", "reap").out


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


@pytest.mark.long
def test_a_project_with_every_kind_goes_on(every: Project) -> None:
    """Interrupted runs complete, both sides and an ephemeral environment get releases, and old releases come back."""
    for environment in ("cut", "late"):
        every.run("resume", newest(every, environment)["id"])
        assert (newest(every, environment)["state"], every.releases(environment)) == (
            "succeeded",
            {environment: "2.0.0"},
        )
    for environment in ("cut", "pair"):
        every.run("rollback", environment, "--yes")
        assert newest(every, environment)["state"] == "rolled back"
    assert (every.releases("cut"), every.status("pair")["release"]["version"]) == ({"cut": "1.0.0"}, "1.0.0")
    every.run("promote", "short-2.0.0", "--to", "brief")
    assert newest(every, "brief")["state"] == "succeeded"
    assert every.run("audit", "verify", code=None).code == 0


@pytest.mark.parametrize("name", BASES)
def test_the_plans_of_an_earlier_version_keep_their_digests(name: str) -> None:
    """Each plan that the earlier version kept is read with current names, and has the digest by which the journal knows it."""
    with laid(name) as project, project.opened() as app:
        folders = [file.parent for file in project.state.glob("plans/*/plan.json")]
        assert len(folders) > 5
        for folder in folders:
            plan = load_any(app.services, f"sha256:{folder.name}", recorded=True)
            assert (plan.apiVersion, plan.digest) == (FORMS[name], f"sha256:{folder.name}")
            assert plan.kind == "WavePlan" or plan.skip_irreversible is False


def test_the_options_of_an_earlier_version_are_shown_in_current_words(options: Project) -> None:
    """A run and a request with the earlier option are shown with the current names of its fields, and with its reason."""
    runs = options.run("history", "staging", "--json").json["runs"]
    promoted = next(run["id"] for run in runs if run["kind"] == "promotion")
    steps = options.run("show", promoted, "--json").json["steps"]
    notices = [notice for step in steps for notice in step["notices"] if notice.get("of")]
    assert [(notice["override_reason"], "again" in notice) for notice in notices] == [("the load balancer", False)]
    requests = options.run("approvals", "--all", "--json").json["requests"]
    found = [(each["request"]["allow_rolled_back"], "again" in each["request"]) for each in requests]
    assert found == [("the load balancer", False)]


@pytest.mark.long
def test_a_run_with_a_plan_of_the_second_form_is_resumed(options: Project) -> None:
    """A killed run completes by the plan of form v2 that it executed before the upgrade."""
    run = newest(options, "cut")
    options.run("resume", run["id"])
    assert (newest(options, "cut")["state"], options.releases("cut")) == ("succeeded", {"cut": "2.0.0"})
