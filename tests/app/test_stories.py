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


def promoted(project: MemoryProject, *versions: str) -> None:
    """Promote releases of these *versions* along the path, one after the other."""
    for version in versions:
        project.packages.put(project.release(version))
        assert project.json("promote", version)["exit"] == 0


def test_a_plan_is_executed_as_it_was_made(application: MemoryApplication, project: MemoryProject) -> None:
    """A plan that was written to a file is executed by its digest, and refused once it does not hold any more."""
    promoted(project, "1.0.0")
    project.packages.put(project.release("1.1.0"))
    for name in ("first.json", "second.json"):
        project.say("plan", "1.1.0", "--to", "staging", "--out", name)
    digest = project.json("plan", "1.1.0", "--to", "staging")["digest"]
    assert project.json("promote", "--plan", "first.json")["exit"] == 0
    assert project.store.runs(limit=1)[0].plan == digest
    project.packages.put(project.release("1.2.0"))
    assert project.json("promote", "1.2.0", "--to", "staging")["exit"] == 0
    project.say("promote", "--plan", "second.json", code=7)


def test_a_failure_is_rolled_back_and_explained(application: MemoryApplication, project: MemoryProject) -> None:
    """A failed promotion is rolled back, and `show`, `logs`, `why` and `matrix` name the step, the reason and the state."""
    promoted(project, "1.0.0")
    project.world.faults.add(("verify", "p1", "1.1.0"))
    project.packages.put(project.release("1.1.0"))
    assert project.json("promote", "1.1.0", code=4)["exit"] == 4
    assert versions(project) == {"1.0.0"}
    run = project.store.runs("production", limit=1)[0]
    shown = project.json("show", run.id)
    assert [step["name"] for step in shown["steps"] if step["outcome"] == "failed"] == ["verify.smoke.deploy.1"]
    assert "restore.deploy" in project.say("logs", run.id)
    assert project.say("watch", run.id, code=4)
    conditions = project.json("why", "1.1.0", "--to", "production", code=3)["conditions"]
    assert [each["condition"] for each in conditions if each["state"] != "met"] == ["rolled-back"]
    rows = {row["release"]["version"]: row["in"]["production"]["state"] for row in project.json("matrix")["releases"]}
    assert rows == {"1.0.0": "current", "1.1.0": "rolled back"}


def test_an_environment_is_rehearsed_compared_and_restored(
    application: MemoryApplication, project: MemoryProject
) -> None:
    """A rehearsal gives evidence, `observe`, `drift` and `parity` compare, and `restore` returns to an earlier time."""
    promoted(project, "1.0.0")
    then = project.store.clock.now()
    project.packages.put(project.release("1.1.0"))
    assert project.json("rehearse", "1.1.0", "--in", "production", code=None)["exit"] in {0, 3}
    assert project.json("rehearse", "1.1.0", "--in", "staging")["exit"] == 0
    assert project.json("promote", "1.1.0", "--to", "production")["exit"] == 0
    assert project.json("observe", "staging")["changed"] == {}
    assert project.json("drift", "staging")["findings"] == []
    assert project.json("parity", "staging", "production", code=1)["differences"]
    project.say("restore", "production", "--at", then, "--yes")
    assert versions(project) == {"1.0.0"}


def test_an_operator_answers_for_a_host_and_destroys_an_environment(
    application: MemoryApplication, project: MemoryProject
) -> None:
    """A host that cannot be reached is unknown until an operator declares its release; a destroyed environment has none."""
    promoted(project, "1.0.0")
    project.world.gone.add("p2")
    project.say("observe", "production", code=1)
    project.say("environment", "override", "production", "p2", "--release", "1.0.0", "-m", "its console shows it")
    hosts = project.json("status", "production")["environments"][0]["hosts"]
    assert {host["host"]: host["truth"] for host in hosts} == {"p1": "seen", "p2": "assumed", "p3": "seen"}
    project.world.gone.clear()
    project.say("environment", "destroy", "production", "--yes")
    assert project.json("status", "production")["environments"][0]["destroyed"]["by"] == application.actor.name


def test_a_run_is_paused_resumed_and_cancelled(application: MemoryApplication, project: MemoryProject) -> None:
    """A run whose process died is paused and resumed to its end, and another one is cancelled and rolled back."""
    promoted(project, "1.0.0")
    first = project.killed("staging", "1.1.0", "deploy.1")
    assert project.json("status", "staging")["environments"][0]["problems"][0]["kind"] == "interrupted"
    project.say("pause", first.id, code=None)
    assert project.store.run(first.id).control == "pause"
    project.say("resume", first.id)
    assert project.store.run(first.id).state.value == "succeeded"
    second = project.killed("staging", "1.2.0", "deploy.1")
    project.say("cancel", second.id, code=None)
    assert project.store.run(second.id).state.value == "rolled back"
    assert {host.release.version for host in project.store.hosts("staging") if host.release} == {"1.1.0"}


def test_a_queued_promotion_waits_until_it_is_executed(application: MemoryApplication, project: MemoryProject) -> None:
    """A promotion that is left to workers waits in the queue, and is executed by the process that resumes it."""
    project.packages.put(project.release("1.0.0"))
    project.say("promote", "1.0.0", "--to", "staging", "--queue", "--detach")
    queues = {item["environment"]: item["waiting"] for item in project.json("queue")["environments"]}
    assert [run["release"]["version"] for run in queues["staging"]] == ["1.0.0"]
    run = project.store.runs(limit=1)[0]
    project.say("resume", run.id)
    assert project.store.run(run.id).state.value == "succeeded"


def test_a_stopped_line_holds_promotions_and_no_rollback(
    application: MemoryApplication, project: MemoryProject
) -> None:
    """While the line is stopped a promotion is refused with the reason, and a rollback is not."""
    promoted(project, "1.0.0", "1.1.0")
    project.say("line", "stop", "--all", "-m", "the shop is on television")
    project.packages.put(project.release("1.2.0"))
    error = project.json("promote", "1.2.0", "--to", "staging", code=None)["errors"][0]
    assert "the shop is on television" in error["message"]
    project.json("rollback", "production", "--yes", code=None)
    assert versions(project) == {"1.0.0"}
    project.say("line", "resume", "--all", "-m", "it is over")
    assert project.json("promote", "1.2.0", "--to", "staging")["exit"] == 0


def test_old_runs_are_pruned(application: MemoryApplication, project: MemoryProject) -> None:
    """`prune` lists what it would remove, and removes only that; the runs stay in the history."""
    promoted(project, "1.0.0")
    before = project.json("history")["runs"]
    listed = project.json("prune", "--dry-run")
    assert project.json("prune")["plans"] == listed["plans"]
    assert project.json("history")["runs"] == before
