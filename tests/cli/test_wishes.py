"""What is asked of runs and environments is answered to programs as well as to people."""

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.execute import isolated, with_own_connections
from orchestrator.app.requests import Provision
from orchestrator.cli import main
from orchestrator.wiring import open_app
from tests.inside import say


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project that `init` has written, in the current folder; what is interrupted there waits for a command."""
    monkeypatch.delenv("ORCHESTRATOR_STATE", raising=False)
    monkeypatch.setenv("ORCHESTRATOR_RECOVERY", "manual")
    assert main(["init", str(tmp_path / "hello")]) == 0
    capsys.readouterr()
    monkeypatch.chdir(tmp_path / "hello")
    return tmp_path / "hello"


def _said(*words: str, code: int = 0) -> Any:
    said = say(Path.cwd(), os.environ, *words, "--json")
    assert said.code == code, said.err
    return said.json


def test_locks_are_told_to_programs(project: Path) -> None:
    """`lock`, `unlock` and `lock status` say with --json which lease there is, or was."""
    locked = _said("lock", "staging", "-m", "the database is being moved")
    assert (locked["kind"], locked["reason"]) == ("Lease", "the database is being moved")
    opened = _said("unlock", "staging")
    assert (opened["kind"], opened["environment"]) == ("Unlocked", "staging")
    assert opened["lease"]["reason"] == "the database is being moved"
    assert _said("unlock", "staging")["lease"] is None
    assert _said("lock", "status")["environments"]["staging"] is None


def test_wishes_are_told_to_programs(project: Path) -> None:
    """`pause` says with --json whether the run stands still, and `cancel` how it ended, like `promote` does."""
    app = open_app(project)
    try:
        asked = app.submissions.submit(app.actor, Provision(targets=("staging",)))
    finally:
        app.close()
    run = f"{asked.root}-staging"
    paused = _said("pause", run, "-m", "lunch")
    assert (paused["kind"], paused["paused"], paused["run"]["control"]) == ("Paused", True, "pause")
    cancelled = _said("cancel", run, code=1)
    assert (cancelled["kind"], cancelled["root"], cancelled["exit"]) == ("Walk", asked.root, 1)
    assert [story["run"]["state"] for story in cancelled["runs"]] == ["failed"]


@pytest.mark.parametrize("wish", ["cancel", "abort"])
def test_what_waits_for_a_worker_ends_at_once(project: Path, wish: str) -> None:
    """A run that no worker has taken yet, behind somebody who has the environment, ends when it is cancelled, and leaves the queue."""
    _said("lock", "staging", "-m", "the database is being moved")
    app = open_app(project)
    try:
        asked = app.submissions.submit(app.actor, Provision(targets=("staging",)), queue="default")
    finally:
        app.close()
    run = f"{asked.root}-staging"
    assert [wait["run"] for wait in _said("queue", "staging")["environments"][0]["waiting"]] == [run]
    ended = _said(wish, run, *(["--yes"] if wish == "abort" else []), code=1)
    assert [story["run"]["state"] for story in ended["runs"]] == ["failed"]
    assert _said("queue", "staging")["environments"][0]["waiting"] == []


def test_each_environment_has_connections_of_its_own(project: Path) -> None:
    """What acts in one environment, what acts in another, and what only asks, close no connection of each other."""
    app = open_app(project)
    try:
        settings = [
            app.services,
            with_own_connections(app, "staging"),
            with_own_connections(app, "production"),
            isolated(app, "production"),
        ]
        folders = [vars(services.deployer)["control"].path for services in settings]
        assert len(set(folders)) == 3
        assert folders[2] == folders[3]  # whoever takes a run over finds them
    finally:
        app.close()
