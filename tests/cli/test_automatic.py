"""`promote: automatic`: what the scheduler of a worker requests, and what it does not."""

import re

import pytest

from orchestrator.app.scheduler import DutyReport
from orchestrator.cli.planned import plan_text
from orchestrator.ports.lists import queue_of
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
PLACE = "production"


def automatic(project: MemoryProject, more: str = "") -> None:
    project.rules = {}
    file = project.folder / "environments" / PLACE / "environment.yaml"
    file.write_text(f"{file.read_text()}after: staging\npromote: automatic\n{more}")


def duties(project: MemoryProject) -> list[DutyReport]:
    """What the scheduler did, once."""
    app = project.app()
    try:
        return [report for report in app.scheduler(plan_text).run() if report.duty == "automatic promotions"]
    finally:
        app.register.close()


def requested(project: MemoryProject) -> list[str]:
    """The releases that wait for production, by their versions."""
    return [str(wait.release.version) for wait in queue_of(project.store, PLACE) if wait.release is not None]


def test_what_was_verified_before_is_promoted_once(project: MemoryProject) -> None:
    """A release is requested as the system when staging has verified it, and a second time only after another verification."""
    automatic(project)
    assert duties(project) == []
    project.go("staging", "1.0.0")
    [report] = duties(project)
    assert (report.failed, "promotes shop 1.0.0 to production" in report.text) == (False, True)
    assert requested(project) == ["1.0.0"]
    assert duties(project) == []
    entries = project.json("audit", "list")["entries"]
    [wait] = queue_of(project.store, PLACE)
    found = [(entry["actor"], entry["object"]) for entry in entries if entry["action"] == "promote"]
    assert found == [("system", f"environment:{PLACE}"), ("system", f"run:{wait.run}")]


def test_conditions_hold_an_automatic_promotion(project: MemoryProject) -> None:
    """Neither `promote_after` nor a stopped line is passed, and the release is promoted once the line is resumed."""
    automatic(project)
    project.go("staging", "1.0.0")
    project.say("line", "stop", PLACE, "-m", "incident")
    assert duties(project) == []
    project.say("line", "resume", PLACE)
    assert len(duties(project)) == 1


def test_a_time_after_the_verification_holds_it(project: MemoryProject) -> None:
    """With `promote_after` nothing is requested before the time is over, and `status` shows it."""
    automatic(project, "promote_after: {verified: 1h}\n")
    project.go("staging", "1.0.0")
    assert duties(project) == []
    assert "next: shop 1.0.0: not before" in project.say("status")


@pytest.mark.parametrize("version", ["1.1.0", "1.2.0"])
def test_a_rollback_holds_every_release_until_a_user_promotes(project: MemoryProject, version: str) -> None:
    """After a rollback the same and a newer release wait, and `status` says why; a promotion by a user lifts the hold."""
    automatic(project)
    for old in ("1.0.0", "1.1.0"):
        project.go("staging", old)
        project.go(PLACE, old)
    back = project.go(PLACE, "1.0.0", "rollback")
    project.go("staging", version)
    assert duties(project) == []
    found = project.json("why", version, "--to", PLACE, code=None)
    text = next(each["reason"] for each in found["conditions"] if each["condition"] == "rolled-back")
    assert back.id in text
    assert re.search(f"rolled-back: .*{back.id}", " ".join(project.say("status", PLACE).split()))
    project.go("staging", "1.3.0")
    assert duties(project) == []
    project.go(PLACE, "1.3.0")
    project.go("staging", "1.4.0")
    assert len(duties(project)) == 1
