"""What a cell of the matrix has besides the state of a release: marks, drift, what is under way, and by whom."""

from typing import Any

from orchestrator.documents.project import MODELS
from orchestrator.domain.plan import SILENT
from orchestrator.web.pages import matrix_cells
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]
PLACE = "production"


def cell(project: MemoryProject, version: str = "1.0.0") -> dict[str, Any]:
    """The cell of the release of *version* in production."""
    document = project.json("matrix")
    MODELS["matrix"].from_json(document)
    found: dict[str, Any] = next(
        row["in"][PLACE] for row in document["releases"] if row["release"]["version"] == version
    )
    return found


def line(project: MemoryProject, version: str = "1.0.0") -> str:
    """The line of the release of *version*."""
    return next(each for each in project.say("matrix").splitlines() if each.startswith(f"shop {version}"))


def test_a_release_is_declared_and_seen_on_its_hosts(project: MemoryProject) -> None:
    """After a promotion all hosts are declared and seen, nobody knows what serves, and the cell names the actor."""
    project.go(PLACE, "1.0.0")
    found = cell(project)
    assert found["marks"] == {"declared": 3, "seen": 3, "serves": None}
    assert (found["by"], found["open_run"], found["activity"], found["drifted"]) == ("ann", None, None, [])
    assert [(mark.name, mark.sign) for mark in matrix_cells.marks(found)] == [
        ("declared", "good"), ("seen", "good"), ("serves", "none"),
    ]  # fmt: skip
    assert matrix_cells.answers(found) == "Deployed: yes. Being deployed: no. Broken: no."


def test_the_marks_differ_where_a_service_reports_another_version(project: MemoryProject) -> None:
    """A service that does not respond, or reports another version, is drift: it counts as declared, and not as serving."""
    project.go(PLACE, "1.0.0")
    project.world.serves = {"p1": "1.0.0", "p2": SILENT, "p3": "0.9.0"}
    project.go(PLACE, None, "observe")
    found = cell(project)
    assert found["marks"] == {"declared": 3, "seen": 3, "serves": 1}
    assert (found["state"], found["drifted"]) == ("partly", ["p2", "p3"])
    assert [(mark.name, mark.sign) for mark in matrix_cells.marks(found)] == [
        ("declared", "warn"), ("seen", "good"), ("serves", "warn"),
    ]  # fmt: skip
    assert matrix_cells.answers(found) == "Deployed: on 1 of 3 hosts. Being deployed: no. Broken: p2, p3 drifted."
    assert "● 1/3 hosts, 2 drifted" in line(project)


def test_a_release_that_is_being_deployed_has_its_run(project: MemoryProject) -> None:
    """While a promotion works, its release has the open run, and the release that it replaces has not drifted."""
    project.go(PLACE, "1.0.0")
    run = project.killed(PLACE, "1.1.0", "deploy.2")
    project.works(run)
    found = cell(project, "1.1.0")
    assert (found["open_run"], found["activity"]) == (run.id, "working")
    assert "Being deployed: working. Broken: no." in matrix_cells.answers(found)
    assert "under way" in line(project, "1.1.0")
    assert cell(project)["drifted"] == []
    assert matrix_cells.cell_class(found) == " is-run"


def test_an_interrupted_run_is_broken(project: MemoryProject) -> None:
    """A run whose process has died is named as broken, and a queued one is named in an empty cell."""
    project.go(PLACE, "1.0.0")
    run = project.killed(PLACE, "1.1.0", "deploy.2")
    found = cell(project, "1.1.0")
    assert f"Broken: {run.id} is interrupted." in matrix_cells.answers(found)
    assert matrix_cells.cell_class(found) == " is-bad"
    project.request(PLACE, "1.2.0", queue="eu")
    assert "  queued  " in line(project, "1.2.0")


def test_a_release_that_needs_intervention_is_broken(project: MemoryProject) -> None:
    """The cell of a release whose promotion needs intervention names the run, and does not name drift."""
    project.go(PLACE, "1.0.0")
    project.world.faults.add(("deploy", "p2", "1.1.0"))
    project.automatic = False
    run = project.go(PLACE, "1.1.0")
    found = cell(project, "1.1.0")
    assert f"Broken: {run.id} needs intervention." in matrix_cells.answers(found)
    assert cell(project)["drifted"] == []
