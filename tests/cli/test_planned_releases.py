"""`orchestrator release` on a real register: from a plan to its end, and what it leaves in requests and bookings."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.cli import main
from orchestrator.documents.management import MODELS
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def at(days: float) -> str:
    return (NOW + days * DAY).isoformat()


PLAN = ("release", "plan", "Advent", "--to", "production", "--freeze", at(1), "--release-at", at(2))


def test_a_release_is_planned_slips_and_is_released_by_its_run(project: MemoryProject) -> None:
    """A plan is confirmed with its booking, a slip prints whom it hits, a run releases it with its request, and it closes."""
    assert "there are no planned releases" in project.say("release", "list")
    assert "there are no planned releases" in project.say("release", "schedule")
    project.say("people", "add", "bob")
    package = project.packages.put(project.release("1.0.0"))
    fields = ("--why", "asked for", "--package", package.ref.name, "--environment", "production")
    project.say("request", "add", "Sell gift cards", *fields, "--submit")
    project.say("request", "accept", "R-1")
    name = f"{package.ref.name}-1.0.0"
    project.say(*PLAN, "--request", "R-1", "--package", name, "--role", "tester=bob", "--mode", "completion")
    project.say("release", "phase", "REL-1", "test", "--environment", "staging", "--responsible", "bob")
    assert "B-2" in project.say("release", "confirm", "REL-1")
    assert "booked by" not in project.say("why", name, "--to", "production", code=None)
    preview = project.say("release", "phase", "REL-1", "test", "--end", at(3), "--dry-run")
    assert "affects bob" in preview
    assert "nothing was changed" in preview
    slip = project.json("release", "phase", "REL-1", "test", "--end", at(3), "-m", "a defect")
    assert [(move["phase"], move["environment"]) for move in slip["moved"]] == [
        ("test", "staging"), ("deploy", "production"), ("close", None),
    ]  # fmt: skip
    said = {
        "planned-release": ("release", "show", "REL-1"),
        "planned-releases": ("release", "list", "--limit", "1"),
        "release-slip": ("release", "phase", "REL-1", "close", "--end", at(9), "--dry-run"),
    }
    for kind, words in said.items():
        MODELS[kind].model_validate_json(project.say(*words, "--json"))
    assert "missing" not in project.say("release", "show", "REL-1")
    assert "for " in project.say("release", "notes", "REL-1")
    assert "## Requests" in project.say("release", "notes", "REL-1", "--format", "markdown")
    said = {"release-notes": ("release", "notes", "REL-1"), "release-schedule": ("release", "schedule", "--all")}
    for kind, words in said.items():
        MODELS[kind].model_validate_json(project.say(*words, "--json"))
    assert "REL-1" in project.say("release", "schedule")
    for file in ("schedule.svg", "schedule.html"):
        project.say("release", "schedule", "--out", file)
        assert "REL-1 Advent" in (project.folder / file).read_text()
    for wrong in ("schedule.png", "nowhere/schedule.svg"):
        project.say("release", "schedule", "--out", wrong, code=2)
    project.go("production", "1.0.0")
    project.say("release", "list", "--refresh")
    shown = project.json("release", "show", "REL-1")
    assert (shown["release"]["state"], shown["places"][0]["state"]) == ("released", "verified")
    assert project.json("request", "show", "R-1")["request"]["state"] == "released"
    project.say("release", "close", "REL-1")
    assert project.json("request", "show", "R-1")["request"]["state"] == "closed"
    assert "REL-1" in project.say("release", "list", "--all")
    assert project.json("bookings")["bookings"] == []


def test_a_package_is_not_promoted_before_the_time_of_its_release(project: MemoryProject) -> None:
    """A package of a confirmed release waits for its phase deploy, another does not; an override with a reason passes it."""
    packages = [project.packages.put(project.release(version)) for version in ("1.0.0", "1.1.0")]
    name, other = (f"{package.ref.name}-{package.ref.version}" for package in packages)
    project.say(*PLAN, "--package", name)
    assert "1.0.0: built" in project.say("release", "show", "REL-1")
    assert "planned for" not in project.say("why", name, "--to", "production", code=None)
    project.say("release", "confirm", "REL-1")
    assert f"{name.replace('-', ' ')}: built, not in production" in project.say("release", "show", "REL-1")
    why = project.say("why", name, "--to", "production", code=None)
    assert "✘ booking: planned for" in why or "booking: planned for" in why
    assert "planned for" not in project.say("why", other, "--to", "production", code=None)
    assert "planned for" not in project.say("why", name, "--to", "staging", code=None)
    error = project.json("promote", name, "--to", "production", code=3)["errors"][0]
    assert (error["code"], "REL-1 deploy: Advent" in error["message"]) == ("A301", True)
    project.say("release", "start", "REL-1", "build")
    project.say("release", "hold", "REL-1", "-m", "incident")
    assert "planned for" in project.say("why", name, "--to", "production", code=None)
    project.say("calendar", "override", name, "--to", "production", "-m", "the customer needs it today")
    assert "the customer needs it today" in project.say("why", name, "--to", "production", code=None)


def test_packages_of_a_release_whose_booking_waits_are_not_promoted_before_it(project: MemoryProject) -> None:
    """A release that was confirmed with --wait keeps its package out until its time; others are kept out by the holder alone."""
    packages = [project.packages.put(project.release(version)) for version in ("1.0.0", "1.1.0")]
    names = [f"{package.ref.name}-{package.ref.version}" for package in packages]
    project.say("people", "add", "bob")
    taken = ("--from", at(1.9), "--for", "26h", "--purpose", "load test", "--holder", "user:bob")
    project.say("book", "production", *taken)
    project.say(*PLAN, "--package", names[0])
    project.say("release", "confirm", "REL-1", "--wait")
    bookings = [each["booking"] for each in project.json("bookings")["bookings"]]
    assert {each["number"]: each["state"] for each in bookings} == {1: "confirmed", 2: "waiting"}
    assert "planned for" in project.say("why", names[0], "--to", "production", code=None)
    assert "planned for" not in project.say("why", names[1], "--to", "production", code=None)
    error = project.json("promote", names[0], "--to", "production", code=3)["errors"][0]
    assert (error["code"], "REL-1 deploy: Advent" in error["message"]) == ("A301", True)
    project.say("release", "cancel", "REL-1", "-m", "no")
    assert "planned for" not in project.say("why", names[0], "--to", "production", code=None)


def test_a_completion_driven_release_waits_for_its_frozen_scope(project: MemoryProject) -> None:
    """A package of a completion-driven release may be promoted as soon as the scope is frozen."""
    package = project.packages.put(project.release("1.0.0"))
    name = f"{package.ref.name}-1.0.0"
    project.say(*PLAN, "--package", name, "--mode", "completion")
    project.say("release", "confirm", "REL-1")
    assert "planned for" in project.say("why", name, "--to", "production", code=None)
    project.say("release", "freeze", "REL-1")
    assert "planned for" not in project.say("why", name, "--to", "production", code=None)


def test_a_plan_is_edited_held_and_cancelled(project: MemoryProject) -> None:
    """A draft is edited and its phases recorded, a release is held, resumed, frozen and cancelled, each with its document."""
    project.packages.put(project.release("1.0.0"))
    assert project.json(*PLAN, "--release-at", at(0.5), code=2)["errors"]
    project.say(*PLAN)
    assert project.json("release", "confirm", "REL-1", code=3)["errors"][0]["code"] == "G201"
    project.say("release", "edit", "REL-1", code=2)
    project.say("release", "edit", "REL-1", "--title", "Christmas", "--description", "gifts")
    project.say("release", "add", "REL-1", code=2)
    project.say("release", "remove", "REL-1", code=2)
    project.say("release", "add", "REL-1", "--package", "shop-9.0.0", "--package", "demo-1.0.0")
    project.say("release", "remove", "REL-1", "--package", "demo")
    project.say("release", "phase", "REL-1", "close", "--remove")
    assert "missing  shop 9.0.0: it is not built" in project.say("release", "show", "REL-1")
    project.say("release", "confirm", "REL-1", "--wait")
    assert project.json("release", "start", "REL-1", "build")["release"]["state"] == "in-progress"
    assert project.json("release", "complete", "REL-1", "test", code=3)["errors"][0]["code"] == "G204"
    assert project.json("release", "complete", "REL-1", "build")["moved"] == []
    project.say("release", "hold", "REL-1", "-m", "incident")
    project.say("release", "resume", "REL-1")
    assert project.json("release", "freeze", "REL-1")["release"]["deferred"][0]["item"] == "shop 9.0.0"
    project.say("release", "cancel", "REL-1", "-m", "no")
    assert project.json("release", "show", "REL-9", code=6)["errors"][0]["code"] == "A110"


def test_a_completion_offers_planned_releases(project: MemoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell completes the ids of planned releases that have not ended."""
    project.say(*PLAN)
    monkeypatch.setenv("COMP_WORDS", "orchestrator release show rel")
    monkeypatch.setenv("COMP_CWORD", "3")
    monkeypatch.setenv("_ORCHESTRATOR_COMPLETE", "bash_complete")
    assert project.capsys is not None
    with pytest.raises(SystemExit):
        main([])
    assert "REL-1" in project.capsys.readouterr().out
