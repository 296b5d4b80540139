"""`orchestrator projects`: what is under way, waits and is due in the project of a folder."""

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.documents.management import MODELS
from tests.cli.request_project import RequestProject, office

__all__ = ["office"]  # the fixture


def test_one_project_is_listed_with_what_waits_and_is_due(office: RequestProject) -> None:
    """In a folder the list has its project: who may approve what waits, what is late with its owner, and that no worker is running."""
    office.go("staging", "1.0.0")
    office.ask("1.0.0")
    office.by("ann", "review", "open", "000001-staging")
    now = datetime.now(UTC).replace(microsecond=0)
    for title, hours in (("Size the disk", 1), ("Buy a disk", 24 * 30)):
        due = (now + timedelta(hours=hours)).isoformat()
        office.by("ann", "action", "add", "000001-staging", title, "--owner", "bob", "--due", due)
    found = office.by("vic", "projects")
    MODELS["projects"].from_json(found)
    [project] = found["projects"]
    [waiting] = project["waiting"]
    assert (project["name"], project["path"], project["health"], found["unreadable"]) == ("demo", "", "problems", 0)
    assert set(waiting["on"]) >= {"bob", "cid"}
    assert waiting["text"] == "shop 1.0.0 → production"
    [action] = [each for each in project["due"] if each["text"].startswith("A-")]
    assert (action["text"], action["owner"], action["is_late"]) == ("A-1 Size the disk", "bob", False)
    assert action["path"] == "/reviews/000001-staging#A-1"
    said = office.tells("vic", "projects")
    assert "demo: waits: shop 1.0.0 → production, for " in said
    assert "demo: problem: no worker is running, and work waits for one" in said


def test_onboarding_is_read_from_what_has_happened(office: RequestProject) -> None:
    """An item is done when its fact exists, with its time; each other item has the reason and the command that does it."""

    def items() -> dict[str, Any]:
        [project] = office.by("vic", "projects")["projects"]
        return {each["name"]: each for each in project["onboarding"]}

    before = items()
    assert {name: each["is_done"] for name, each in before.items()} == {
        "environments preview": False,
        "tests run": False,
        "rollback rehearsed": False,
        "users bound to roles": True,
        "notifications delivered": False,
    }
    assert before["tests run"]["command"] == "orchestrator promote RELEASE --to production"
    assert "demo: not yet: rollback rehearsed: no rehearsal has succeeded; orchestrator rehearse" in office.tells(
        "vic", "projects"
    )
    for environment in ("staging", "production"):
        office.go(environment, "1.0.0")
    after = items()
    assert after["environments preview"]["fact"] == "a run has planned production, staging"
    assert after["tests run"]["fact"].startswith("the tests of shop 1.0.0 passed in ")
    assert (after["tests run"]["at"] is not None, after["rollback rehearsed"]["is_done"]) == (True, False)
    office.by("root", "access", "revoke", "approver", "user:bob")
    office.by("root", "access", "revoke", "approver", "user:cid")
    roles = items()["users bound to roles"]
    assert (roles["is_done"], roles["fact"]) == (False, "no user is approver")
    assert roles["command"] == "orchestrator access grant approver user:NAME"


def test_a_project_that_may_not_be_viewed_is_left_out(office: RequestProject) -> None:
    """A user without a role gets an empty list and its remedy, and not a refusal."""
    office.by("root", "access", "revoke", "viewer", "user:vic")
    assert office.by("vic", "projects")["projects"] == []
    assert "an administrator grants a role" in office.tells("vic", "projects")
