"""`orchestrator book`, `bookings`, `booking`, `free` and `contention` on a real register, and what they enforce."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.documents.management import MODELS
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
PLACE = "production"
NOW = datetime.now(UTC)
LATER = (NOW + timedelta(days=3)).strftime("%Y-%m-%dT08:00:00Z")
BOOK = ("book", PLACE, "--for", "4h", "--purpose", "load test")


def test_a_booked_environment_refuses_promotions_of_others(
    project: MemoryProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While production is booked by ann, a promotion by bob is refused with her name, hers starts, and it is the check-in."""
    for name in ("ann", "bob"):
        project.say("people", "add", name)
    project.packages.put(project.release("1.0.0"))
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    project.say(*BOOK, "--from", (NOW - timedelta(minutes=1)).isoformat())
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    error = project.json("promote", "1.0.0", "--to", PLACE, code=3)["errors"][0]
    assert (error["code"], "booked by ann until" in error["message"]) == ("A301", True)
    assert "booked by ann" in project.say("why", "1.0.0", "--to", PLACE, code=None)
    assert project.store.runs() == []
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    assert "booked by" not in project.say("why", "1.0.0", "--to", PLACE, code=None)


def test_bookings_are_made_changed_and_listed(project: MemoryProject) -> None:
    """A time is found, booked, refused to another booking, handed over, extended and cancelled, each with its document."""
    assert "there are no such bookings" in project.say("bookings")
    assert "there are no bookings in these weeks" in project.say("contention")
    assert "there are no quotas" in project.say("environment", "quota")
    project.say("people", "add", "bob", "--team", "red")
    slots = project.json("free", PLACE, "--for", "4h", "--limit", "2")["slots"]
    assert len(slots) == 2
    project.say(*BOOK, "--from", LATER)
    error = project.json(*BOOK, "--from", LATER, code=8)["errors"][0]
    assert (error["code"], error["hint"].startswith("the next free slot is")) == ("G301", True)
    assert project.json(*BOOK, "--from", LATER, "--wait")["booking"]["state"] == "waiting"
    assert "handed" not in project.say("booking", "hand-over", "B-1", "--to", "team:red", "-m", "on leave")
    assert project.json("booking", "show", "B-1")["booking"]["handed_over"] != []
    assert "confirmed" in project.say("booking", "cancel", "B-1") or project.json("booking", "show", "B-2")
    assert project.json("booking", "show", "B-2")["booking"]["state"] == "confirmed"
    assert project.json("booking", "end", "B-2", code=3)["errors"][0]["code"] == "G101"
    assert project.json("booking", "extend", "B-2", "--until", LATER, code=2)["errors"][0]["code"] == "G302"
    project.say("booking", "extend", "B-2", "--until", (NOW + timedelta(days=4)).isoformat())
    project.say("environment", "quota", "red", PLACE, "--hours", "1")
    holder = ("--holder", "team:red")
    assert "quota" in project.json(*BOOK, *holder, "--from", "2080-01-01T00:00:00Z", code=8)["errors"][0]["message"]
    assert "B-2" in project.say("bookings", "--environment", PLACE, "--mine")
    for words in (("--for", "0s"), ("--for", "100d")):
        project.say("book", PLACE, "--purpose", "x", "--from", LATER, *words, code=2)
    assert project.json(*BOOK, "--holder", "eve", "--from", LATER, code=2)["errors"]
    said: dict[str, tuple[str, ...]] = {
        "booking": ("booking", "show", "B-2"),
        "bookings": ("bookings", "--all"),
        "free-slots": ("free", PLACE, "--for", "30m"),
        "contention": ("contention",),
        "quotas": ("environment", "quota"),
    }
    for kind, command in said.items():
        MODELS[kind].from_json(project.json(*command))
        assert project.say(*command)
