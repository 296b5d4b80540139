"""`orchestrator review` and `action` on a real register, over runs of a real journal."""

from orchestrator.documents.management import MODELS
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
PLACE = "production"


def test_a_rollback_is_reviewed_from_its_facts_to_its_actions(project: MemoryProject) -> None:
    """A worker opens the review of a rollback with its facts; it is written, closed, added to, and shown to the next release."""
    project.go(PLACE, "1.0.0")
    project.world.faults.add(("deploy", "p2", "1.1.0"))
    run = project.go(PLACE, "1.1.0").id
    assert "there are no such reviews" in project.say("review", "list")
    project.say("worker", "--once")
    assert run in project.say("review", "list")
    shown = project.say("review", "show", run)
    assert "suggests rolled-back" in shown
    assert "incident" in shown
    assert "recovery" in shown
    project.say("review", "write", run, "--well", "quick", "--badly", "no alert", "--due", "2090-01-01T00:00:00Z")
    project.say("review", "write", run, code=2)
    project.say("review", "feedback", run, "-m", "noticed", "--rating", "2")
    due = ("--owner", "ann", "--due", "2026-01-01T00:00:00Z")
    owner = project.json("whoami")["actor"]["name"]
    action = project.json("action", "add", run, "Watch the disk", "--owner", owner, *due[2:])
    assert action["id"] == "A-1"
    times = ("--freeze", "2089-01-02T00:00:00Z", "--release-at", "2089-01-03T00:00:00Z")
    assert "overdue  A-1" in project.say("release", "plan", "Advent", "--to", PLACE, *times)
    assert "overdue  A-1" in project.say("release", "show", "REL-1")
    for kind, words in {
        "review": ("review", "close", run, "-m", "disk"),
        "reviews": ("review", "list", "--all"),
        "review-action": ("action", "done", "A-1", "-m", "ordered"),
        "review-actions": ("action", "list", "--all", "--mine"),
    }.items():
        MODELS[kind].from_json(project.json(*words))
    assert project.json("review", "write", run, "--well", "x", code=3)["errors"][0]["code"] == "G501"
    assert project.json("review", "open", run, code=3)["errors"][0]["code"] == "G502"
    assert "rolled-back" in project.say("review", "list", "--all")
    assert project.json("review", "show", "REL-9", code=6)["errors"][0]["code"] == "A110"
    assert project.json("action", "done", "A-9", code=6)["errors"][0]["code"] == "A110"


def test_a_success_is_reviewed_on_request(project: MemoryProject) -> None:
    """`review open` opens the review of a run that succeeded, whose close code is then successful."""
    run = project.go(PLACE, "1.0.0").id
    assert project.json("review", "open", run)["review"]["facts"]["runs"] == [f"{run}: succeeded"]
    assert project.json("review", "close", run)["review"]["close_code"] == "successful"
