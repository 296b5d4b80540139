"""`orchestrator measures` and `report`, over runs of a real journal and packages of a real repository."""

from pathlib import Path

from orchestrator.documents.management import MODELS
from orchestrator.domain.release import Revision
from tests.adapters.archive.test_tree import committed
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
PLACE = "production"


def test_the_measures_of_a_project(project: MemoryProject) -> None:
    """A success, an automatic and a manual rollback give the five measures, each with the runs behind it."""
    assert "there are no promotions in this period" in project.say("measures")
    good = project.go(PLACE, "1.0.0")
    project.world.faults.add(("deploy", "p2", "1.1.0"))
    failed = project.go(PLACE, "1.1.0")
    project.world.faults.clear()
    undone = project.go(PLACE, "1.2.0")
    project.go(PLACE, "1.0.0", "rollback")
    document = project.json("measures")
    MODELS["measures"].from_json(document)
    found = {each["name"]: each for each in document["measures"]["measures"]}
    assert document["measures"]["environments"] == [PLACE, "staging"]
    assert [each["run"] for each in found["deployment-frequency"]["runs"]] == [undone.id, good.id]
    assert [each["run"] for each in found["change-failure-rate"]["runs"]] == [undone.id, failed.id]
    assert {each["run"] for each in found["recovery-time"]["runs"]} == {undone.id, failed.id}
    assert found["lead-time"]["value"] is None
    assert [each["run"] for each in found["rework-rate"]["runs"]] == [undone.id]
    assert "Change failure rate" in project.say("measures")
    assert failed.id in project.say("measures", "--runs", "change-failure-rate")


def test_the_lead_time_is_from_the_commit_of_the_package(project: MemoryProject) -> None:
    """The lead time counts from the commit that the package names, if the repository has it."""
    commit = committed(project.folder)
    for version, revision in (("1.0.0", commit), ("1.1.0", "b" * 40)):
        project.packages.put(project.release(version), Revision(commit=revision, dirty=False))
    runs = [project.go(PLACE, version) for version in ("1.0.0", "1.1.0")]
    found = {each["name"]: each for each in project.json("measures")["measures"]["measures"]}
    assert [each["run"] for each in found["lead-time"]["runs"]] == [runs[0].id]
    assert found["lead-time"]["of"] == 2


def test_a_report_is_a_file_and_bad_input_is_named(project: MemoryProject, tmp_path: Path) -> None:
    """`report` writes one HTML file, and a wrong file, period or environment is an error that names it."""
    project.go(PLACE, "1.0.0")
    project.say("report", "--out", str(tmp_path / "m.html"))
    assert "<svg" in (tmp_path / "m.html").read_text()
    project.say("report", "--out", str(tmp_path / "m.txt"), code=2)
    project.say("report", "--out", str(tmp_path / "no" / "m.html"), code=2)
    project.say("measures", "--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z", code=2)
    assert project.json("measures", "--environment", "moon", code=6)["errors"][0]["code"] == "A110"


def test_commits_since_the_release_that_runs(project: MemoryProject) -> None:
    """Without `--from`, commits are imported since the commit of the release that was verified last."""
    commit = committed(project.folder)
    project.packages.put(project.release("1.0.0"), Revision(commit=commit, dirty=False))
    project.go(PLACE, "1.0.0")
    found = project.json("request", "import", "--git", "--to", PLACE, "--dry-run")
    assert found["since"] == f"{commit[:12]} (shop 1.0.0 in production)"
