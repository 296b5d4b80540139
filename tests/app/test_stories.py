"""Stories of the command line, on an application whose adapters are all in memory."""

from collections.abc import Iterator

import pytest

from orchestrator.__main__ import open_real_machine, open_real_project
from orchestrator.app.opening import compose
from orchestrator.domain.audit.chain import AuditEntry
from tests.app.memory_application import MemoryApplication, MemoryComposition
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture


@pytest.fixture
def application(project: MemoryProject) -> Iterator[MemoryApplication]:
    """The application that commands open."""
    composition = MemoryComposition(project)
    compose(composition, open_real_machine)
    yield composition(project.folder, {}, restoring=False)
    compose(open_real_project, open_real_machine)


def audit(application: MemoryApplication) -> tuple[AuditEntry, ...]:
    return application.register.reading(lambda records: records.audit())


def versions(project: MemoryProject) -> set[str]:
    """What runs on the hosts of production, by `status`."""
    [found] = project.json("status", "production")["environments"]
    return {host["release"]["version"] for host in found["hosts"]}


def test_a_release_is_promoted_and_rolled_back(application: MemoryApplication, project: MemoryProject) -> None:
    """Promote two releases along the path, see them in each document, and roll back: by commands alone, with nothing but memory."""
    for version in ("1.0.0", "1.1.0"):
        project.packages.put(project.release(version))
        assert project.json("promote", version)["exit"] == 0
    assert versions(project) == {"1.1.0"}
    project.json("rollback", "production", "--yes", code=None)
    assert versions(project) == {"1.0.0"}
    rows = {row["release"]["version"]: row["in"]["production"]["state"] for row in project.json("matrix")["releases"]}
    assert rows == {"1.0.0": "current", "1.1.0": "rolled back"}
    assert [entry.action for entry in audit(application)] == ["promote"] * 4 + ["rollback"]


def test_a_refused_promotion_is_one_entry(application: MemoryApplication, project: MemoryProject) -> None:
    """A promotion into an environment that its user may not promote to leaves no run and one entry of the audit stream."""
    project.packages.put(project.release("1.0.0"))
    project.say("people", "add", "root-admin", "--local", application.actor.name)
    project.say("access", "grant", "administrator", "user:root-admin")
    before = audit(application)
    error = project.json("promote", "1.0.0", code=3)["errors"][0]
    assert error["code"] == "A101"
    [entry] = audit(application)[len(before) :]
    assert (entry.outcome, project.store.runs()) == ("denied", [])


def test_a_lock_holds_a_promotion(application: MemoryApplication, project: MemoryProject) -> None:
    """A locked environment refuses a promotion with the reason, and takes it after it was unlocked; both are recorded."""
    project.packages.put(project.release("1.0.0"))
    project.say("lock", "staging", "-m", "database maintenance")
    error = project.json("promote", "1.0.0", "--to", "staging", code=8)["errors"][0]
    assert (error["code"], "database maintenance" in error["message"]) == ("S101", True)
    project.say("unlock", "staging")
    assert project.json("promote", "1.0.0", "--to", "staging")["exit"] == 0
    entries = [(entry.action, entry.reason) for entry in audit(application)]
    assert ("environment:lock", "database maintenance") in entries
