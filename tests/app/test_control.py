"""Control: what it leaves in the journal, whichever store keeps it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.__main__ import open_real_machine, open_real_project
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.app.opening import compose
from orchestrator.domain.journal import ControlVerb, QueuedRequest, Run
from orchestrator.ports import Store
from orchestrator.wiring import App
from tests.app.memory_application import MemoryApplication, MemoryComposition
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, project: MemoryProject, tmp_path: Path) -> Iterator[Store]:
    """The journal of the project, kept by each adapter."""
    if request.param == "memory":
        yield project.store
        return
    fresh = request.param == "postgres"
    url = request.getfixturevalue("postgres").fresh() if fresh else f"sqlite:///{tmp_path}/journal.db"
    made = DatabaseStore(url, SystemClock())
    yield made
    made.close()


@pytest.fixture
def application(project: MemoryProject, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryApplication]:
    """The application that commands open, on the *store*."""
    monkeypatch.setattr(App, "store", store)
    composition = MemoryComposition(project)
    compose(composition, open_real_machine)
    yield composition(project.folder, {}, restoring=False)
    compose(open_real_project, open_real_machine)


@pytest.mark.parametrize("verb", ["pause", "cancel", "abort", ""])
def test_each_control_request_is_one_entry(application: MemoryApplication, store: Store, verb: ControlVerb) -> None:
    """A request to pause, cancel, abort or continue a run is one entry of its journal, with its actor and reason."""
    run = Run(id="0000a1-staging", root="0000a1", kind="promotion", environment="staging", by="ann")
    store.submit(QueuedRequest(root=run.root, request={"root": run.root, "kind": run.kind}), run)
    application.control.request(application.actor, run, verb, "the disk is full")
    [entry] = [record for record in store.records(run.id) if record.kind == "control"]
    assert entry.data == {"control": verb, "by": application.actor.name, "why": "the disk is full"}
    assert (store.run(run.id).control, store.run(run.id).control_by) == (verb, application.actor.name)


def test_locks_are_in_the_history(application: MemoryApplication, project: MemoryProject, store: Store) -> None:
    """`history` lists a lock and its removal with actor and reason, and `show` prints each of them."""
    lease = project.json("lock", "staging", "-m", "the disks move", "--for", "2h")
    project.say("unlock", "staging", "-m", "they moved")
    runs = project.json("history", "staging")["runs"]
    assert [(run["kind"], run["state"], run["by"]) for run in runs] == [
        ("unlock", "succeeded", application.actor.name),
        ("lock", "succeeded", application.actor.name),
    ]
    assert runs[1]["id"] == f"lock-{lease['holder'].removeprefix('lock:')}-staging"
    assert "the disks move" in project.say("show", runs[1]["id"])
    assert "they moved" in project.say("show", runs[0]["id"])
    for command in ("resume", "watch", "pause", "retry"):
        error = project.json(command, runs[1]["id"], code=None)["errors"][0]
        assert error["code"] == ("R151" if command == "retry" else "R141")
    assert (project.json("status", "staging")["environments"][0]["last_run"], store.runs()) == (None, [])
