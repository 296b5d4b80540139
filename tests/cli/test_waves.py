"""Walks in waves as people and programs ask for them, see them, stop them and go on with them.

The release's package is nowhere, so that every environment refuses it before it touches anything: whole walks without
engines. With `max_failures` they go on all the same.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.app.requests import PromoteInWaves, RetryFrom
from orchestrator.documents.project import QueueDocument, RunDocument, StatusDocument
from orchestrator.domain.journal import Entry, QueuedRequest, Run
from orchestrator.domain.release import PackageRef
from orchestrator.wiring import App, open_app
from tests.inside import Said, reads, say

ROOT = Path(__file__).resolve().parents[2]
REF = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'0' * 64}")
NAMES = ("eu-1", "eu-2", "us-1")
PROJECT = """apiVersion: orchestrator/v1
kind: Project
name: shop
waves:
  - name: regions
    environments: [[eu-1], [eu-2, us-1]]
    soak: {soak}
    max_failures: {max_failures}
"""


@dataclass
class Yard:
    """A project of three environments, in which one walk was asked for."""

    folder: Path
    root: str = "abc123"

    def lay(self, soak: str = "1s", max_failures: int = 9) -> "Yard":
        """Write the project, and ask for the walk."""
        (self.folder / "orchestrator.yaml").write_text(PROJECT.format(soak=soak, max_failures=max_failures))
        for name in NAMES:
            folder = self.folder / "environments" / name
            folder.mkdir(parents=True)
            text = f"apiVersion: orchestrator/v1\nkind: Environment\nname: {name}\nprogram: null\n"
            (folder / "environment.yaml").write_text(text)
        app = self.app()
        waves = app.plans.waves(app.actor, "regions")
        assert waves is not None
        asked = PromoteInWaves(root=self.root, package=REF, targets=NAMES, by="ann", rollout=waves)
        app.store.submit(QueuedRequest(root=self.root, request=asked.to_json()), asked.first(app.services.clock.now()))
        app.close()
        return self

    def app(self) -> App:
        return open_app(self.folder, self.environ())

    def environ(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
        return {**kept, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "ORCHESTRATOR_RECOVERY": "manual", **more}

    def start(self, *words: str, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *words],
            cwd=self.folder,
            env=self.environ(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int | None = 0, **env: str) -> Said:
        if reads(*words):
            said = say(self.folder, self.environ(**env), *words)
        else:
            process = self.start(*words, **env)
            out, err = process.communicate(timeout=120)
            said = Said(process.returncode, out, err)
        assert code is None or said.code == code, said.err
        return said

    def stations(self) -> dict[str, tuple[str, str]]:
        """What `show --json` says of each environment: its state, and why."""
        waves = self.run("show", self.root, "--json").json["waves"]
        return {
            place["environment"]: (place["state"], place["why"]) for wave in waves for place in wave["environments"]
        }

    def soaking(self) -> bool:
        """Whether the first wave soaks."""
        return bool(self.run("status", "--json").json["waves"][0]["soaking"] == 1)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def until(yard: Yard, process: "subprocess.Popen[str]") -> None:
    """Wait until the walk soaks."""
    end = time.monotonic() + 60
    while not yard.soaking():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def test_a_walk_is_told_as_it_goes(yard: Yard) -> None:
    """Each wave is announced, lines of runs side by side begin with their environment, and the end has a table."""
    said = yard.lay().run("resume", "abc123")
    lines = said.err.splitlines()
    second = lines.index("wave 2 of 2: eu-2, us-1")
    soaks = next(number for number, line in enumerate(lines) if "wave 1 soaks for 1s, until" in line)
    first = next(number for number, line in enumerate(lines) if line.startswith("eu-1 ") and "failed" in line)
    assert lines.index("wave 1 of 2: eu-1") < first < soaks < second
    assert {line.split()[0] for line in lines[second + 1 :] if "failed" in line} >= {"eu-2", "us-1"}
    again = yard.run("watch", "abc123").err.splitlines()
    assert again.index("wave 1 of 2: eu-1") < again.index(lines[first]) < again.index("wave 2 of 2: eu-2, us-1")
    assert (
        "abc123 succeeded: regions: 0 environments promoted; eu-1, eu-2, us-1 failed, which max_failures allows"
        in said.out
    )
    assert "abc123-us-1" in said.out
    assert yard.run("resume", "abc123", code=1).err.count("R141")
    assert yard.run("resume", "abc123-eu-1", code=1).err.count("R141")


def test_a_walk_is_told_to_programs(yard: Yard) -> None:
    """`show`, `status`, `queue` and the end of a walk have it as JSON, by their published schemas."""
    before = yard.lay(max_failures=0).run("queue", "--json").json
    QueueDocument.from_json(before)
    assert [item["coming"] for item in before["environments"]] == [[], [], []]
    walk = yard.run("resume", "abc123", "--json", code=6).json
    assert [story["run"]["id"] for story in walk["runs"]] == ["abc123", "abc123-eu-1"]
    assert walk["runs"][0]["ending"]["failure"] == {"step": "wave 1", "message": "eu-1 failed", "code": "R221"}
    RunDocument.from_json(yard.run("show", "abc123", "--json").json)
    RunDocument.from_json(yard.run("show", "abc123-eu-1", "--json").json)
    status = yard.run("status", "--json").json
    StatusDocument.from_json(status)
    assert status["waves"][0]["last_run"]["state"] == "failed"
    assert "not started" in yard.run("status").out
    assert yard.stations() == {
        "eu-1": ("failed", ""),
        "eu-2": ("not started", "eu-1 failed"),
        "us-1": ("not started", "eu-1 failed"),
    }
    assert "begun            number 1, runs (eu-1: abc123-eu-1)" in yard.run("logs", "abc123").out
    history = yard.run("history", "regions", "--json").json["runs"]
    assert [(run["id"], run["kind"]) for run in history] == [("abc123", "waves")]


def test_a_walk_that_has_not_begun_is_cancelled(yard: Yard) -> None:
    """Cancelled by its root before it has begun, a walk begins in no environment, and each says why."""
    yard.lay().run("cancel", "abc123", code=1)
    assert {state for state, _ in yard.stations().values()} == {"not started"}
    assert "cancelled by" in yard.run("show", "abc123").out


def test_a_walk_stands_still_in_its_soak(yard: Yard) -> None:
    """Paused by its root in a soak a walk ends its process, says which environments it comes to, and can be cancelled."""
    process = yard.lay(soak="20s").start("resume", "abc123")
    until(yard, process)
    yard.run("pause", "abc123")
    assert process.wait(60) == 130
    coming = yard.run("queue").out
    assert all(f"{name} " in coming for name in ("eu-2", "us-1"))
    assert "wave 2 of its rollout" in coming
    assert "soaks until" in yard.run("status").out
    yard.run("cancel", "abc123", code=1)
    assert yard.stations()["us-1"][0] == "not started"


def test_ctrl_c_in_a_soak(yard: Yard) -> None:
    """Ctrl-C in a soak ends the walk at once, with later waves not begun."""
    process = yard.lay(soak="10m").start("resume", "abc123")
    until(yard, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "not started: eu-2, us-1" in err
    assert yard.stations()["eu-2"][0] == "not started"


@pytest.mark.parametrize(
    "point",
    [
        "walk.there:done",
        "wave.1.may:done",
        "eu-1.plan:done",
        "wave.1.soaking:done",
        "wave.2.may:before",
        "us-1.lease:done",
    ],
)
def test_a_walk_is_gone_on_with(yard: Yard, point: str) -> None:
    """Killed anywhere, also around its soak, a walk is gone on with, to the same end, with each step of each run once."""
    yard.lay().run("resume", "abc123", code=-9, ORCHESTRATOR_CRASH=point)
    assert "orchestrator resume abc123" in yard.run("status").out
    yard.run("resume", "abc123")
    assert {state for state, _ in yard.stations().values()} == {"failed"}
    app = yard.app()
    try:
        for name in NAMES:
            steps = [record.step for record in app.store.records(f"abc123-{name}") if record.kind == "step.finished"]
            assert steps == ["lease", "plan"]
        events = [record.data["event"] for record in app.store.records("abc123") if record.kind == "wave"]
        assert events == ["begun", "ended", "soaking", "begun", "ended"]
    finally:
        app.close()


def test_names_are_completed(yard: Yard) -> None:
    """`--to` is completed with the names of environments and of lists of waves."""
    words = "orchestrator promote shop --to "
    said = yard.lay().run(_ORCHESTRATOR_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="4")
    assert {line.partition(",")[2] for line in said.out.split()} == {*NAMES, "regions"}


def test_a_run_of_a_walk_is_no_other(yard: Yard) -> None:
    """A walk's own run is found by its root, each environment's by its own name."""
    app = yard.lay().app()
    try:
        run = Run(id="abc123-eu-1", root="abc123", kind="promotion", environment="eu-1", release=REF)
        app.store.create(run)
        assert app.store.run("abc123").kind == "waves"
        assert app.queries.current_run(app.actor, "abc123").id == "abc123"
        app.control.request(app.actor, app.queries.current_run(app.actor, "abc123"), "cancel", "no")
        assert app.store.run("abc123-eu-1").control == "cancel"
    finally:
        app.close()


def test_one_environment_of_a_walk_is_tried_again(yard: Yard) -> None:
    """`retry` of a run that needs a person is about its environment alone, in the same direction, and no walk."""
    app = yard.lay().app()
    try:
        run = Run(id="abc123-eu-1_back", root="abc123", kind="rollback", environment="eu-1", release=REF)
        app.store.create(run)
        failed = {"outcome": "failed", "message": "no"}
        ended = {"state": "needs intervention", "exit": 5, "message": "no"}
        app.store.append(
            run.id,
            [
                Entry(kind="step.started", step="restore.deploy", data={"label": "restore"}),
                Entry(kind="step.finished", step="restore.deploy", data=failed),
                Entry(kind="ended", data=ended),
            ],
        )
        asked = app.submissions.retry(app.actor, app.store.run(run.id), None)
        assert (asked.kind, asked.targets, asked.waves) == ("rollback", ("eu-1",), None)
        assert asked.retry == RetryFrom("abc123-eu-1_back", "restore.deploy")
        assert app.queries.current_run(app.actor, asked.root).id == f"{asked.root}-eu-1"
    finally:
        app.close()
