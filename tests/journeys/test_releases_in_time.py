"""Releases with dates on the real engines: two that want the same environment, and one whose phase slips."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.journeys.conftest import Project
from tests.journeys.test_approvals import Office
from tests.journeys.test_freeze import small

pytestmark = pytest.mark.rare


def at(seconds: float) -> str:
    """A time in a number of seconds."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


@pytest.mark.timeout(900)
def test_two_releases_that_want_staging_take_turns(shop: Project) -> None:
    """The second of two releases gets the proposed slot, which is kept; its promotion waits until the first one ends, and follows it."""
    small(shop)
    office = Office(shop)
    packages = ("shop-1.0.0", "shop-1.1.0")
    for number, package in enumerate(packages, 1):
        office.by("ann", "build", f"releases/{package.removeprefix('shop-')}")
        dates = ("--freeze", at(86_400), "--release-at", at(90_000))
        office.by("ann", "release", "plan", f"Release {number}", "--to", "staging", *dates, "--package", package)
    office.by("ann", "release", "confirm", "REL-1")
    refused = office.by("ann", "release", "confirm", "REL-2", code=8)
    assert "REL-2 deploy in staging: booked: B-1 of staging" in refused["errors"][0]["message"]
    planned = office.by("ann", "release", "show", "REL-2")["release"]["release_at"]
    slots = office.by("ann", "free", "staging", "--for", "4h", "-n", "400")["slots"]
    first = next(slot for slot in slots if slot["start"] > planned)
    office.by("ann", "release", "edit", "REL-2", "--release-at", first["start"])
    office.by("ann", "release", "phase", "REL-2", "deploy", "--start", first["start"])
    office.by("ann", "release", "confirm", "REL-2")
    kept = {each["id"]: each["booking"] for each in office.by("ann", "bookings")["bookings"]}
    assert [each["holder"] for each in kept.values()] == ["release:REL-1", "release:REL-2"]

    about = ("--for", "1h", "--purpose", "tests", "--holder")
    office.by("ann", "book", "staging", "--from", at(0), *about, "release:REL-1")
    taken = office.by("ann", "book", "staging", "--from", at(60), *about, "release:REL-2", code=8)
    slot = office.by("ann", "free", "staging", "--for", "1h", "-n", "1")["slots"][0]
    assert f"the next free slot is {slot['start'][:10]} {slot['start'][11:16]} UTC" in str(taken)
    mine = office.by("ann", "book", "staging", "--from", slot["start"], *about, "release:REL-2")
    assert (mine["booking"]["state"], mine["booking"]["start"]) == ("confirmed", slot["start"])

    office.by("ann", "promote", packages[1], "--to", "staging", "--at", at(1))
    office.work()
    assert shop.status("staging")["hosts"] == []
    assert "booked by release:REL-1" in str(office.by("ann", "why", packages[1], "--to", "staging", code=3))
    office.by("ann", "promote", packages[0], "--to", "staging")
    used = [each for each in office.by("ann", "bookings")["bookings"] if each["booking"]["state"] == "active"]
    assert [(each["booking"]["holder"], bool(each["booking"]["run"])) for each in used] == [("release:REL-1", True)]
    office.work()
    assert shop.releases("staging") == {"web1": "1.0.0"}
    office.by("ann", "booking", "end", used[0]["id"], "-m", "tested")
    office.by(
        "ann", "book", "staging", "--from", at(0), "--for", "10m", "--purpose", "early", "--holder", "release:REL-2"
    )
    office.work()
    assert shop.releases("staging") == {"web1": "1.1.0"}
    runs = office.by("ann", "history", "staging")["runs"]
    done = [run["release"]["version"] for run in runs if run["state"] == "succeeded"]
    assert done == ["1.1.0", "1.0.0"], runs
    others = [run["message"] for run in runs if run["state"] != "succeeded"]
    assert all("since the plan was made" in message for message in others), others  # it was planned again after 1.0.0
    still = {each["id"]: each["booking"] for each in office.by("ann", "bookings", "--all")["bookings"]}
    assert (still[mine["id"]]["state"], still[mine["id"]]["start"]) == ("confirmed", slot["start"])
    assert {key: booking["start"] for key, booking in kept.items()} == {key: still[key]["start"] for key in kept}


@pytest.mark.timeout(900)
def test_a_phase_that_slips_moves_what_depends_on_it(shop: Project) -> None:
    """A slip moves the later phases and another release, names whom it affects, and at the freeze what is not ready is deferred."""
    small(shop)
    office = Office(shop)
    for title, package in (("Show the tax", "shop"), ("Search by price", "search")):
        about = ("--why", "asked for", "--package", package, "--environment", "staging", "--submit")
        office.by("ann", "request", "add", title, *about)
    shop.write("releases/search/release.yaml", SEARCH)
    office.by("ann", "request", "accept", "R-1")
    office.by("ann", "request", "accept", "R-2")
    office.by("ann", "build", "releases/1.0.0")
    scope = ("--request", "R-1", "--request", "R-2", "--package", "shop-1.0.0", "--package", "search-1.0.0")
    dates = ("--mode", "completion", "--start", at(-60), "--freeze", at(60), "--release-at", at(120))
    office.by("ann", "release", "plan", "Tax", "--to", "staging", *dates, *scope)
    office.by("ann", "release", "confirm", "REL-1")
    later = ("--freeze", at(190_000), "--release-at", at(280_000), "--mode", "completion", "--owner", "bob")
    ends = office.by("ann", "release", "show", "REL-1")["release"]["phases"][-1]["planned"]["end"]
    start = (datetime.fromisoformat(ends) + timedelta(minutes=30)).isoformat()
    next_ = ("--to", "production", "--start", start, *later, "--package", "shop-1.1.0")
    office.by("ann", "release", "plan", "Next", *next_)
    office.by("ann", "release", "phase", "REL-2", "build", "--after", "REL-1:close")

    slip = ("release", "phase", "REL-1", "build", "--end", at(7200))
    shown = office.by("ann", *slip, "--dry-run")
    assert {move["phase"] for move in shown["moved"] if move["release"] == "REL-1"} >= {"test", "deploy", "close"}, (
        shown
    )
    assert [move["release"] for move in shown["moved"]].count("REL-2") > 0, shown
    affected = {user for move in shown["moved"] for user in move["affected"]}
    assert affected == {"ann", "bob"}, shown
    before = office.by("ann", "release", "show", "REL-1")
    moved = office.by("ann", *slip, "-m", "the tax office changed the rules")
    assert moved["moved"] == shown["moved"]
    after = office.by("ann", "release", "show", "REL-1")
    assert after["release"]["release_at"] > before["release"]["release_at"]
    [booking] = [each["booking"] for each in office.by("ann", "bookings")["bookings"]]
    assert booking["start"] >= after["release"]["release_at"][:16]

    office.by("ann", "release", "freeze", "REL-1", "-m", "the shops wait for the tax")
    office.work()
    frozen: dict[str, Any] = office.by("ann", "release", "show", "REL-1")["release"]
    assert {each["item"] for each in frozen["deferred"]} == {"R-2", "search 1.0.0"}, frozen
    assert office.by("ann", "request", "show", "R-2")["request"]["state"] == "accepted"
    early = ("--from", at(0), "--for", "30m", "--purpose", "early", "--holder", "release:REL-1")
    office.by("ann", "book", "staging", *early)
    office.by("ann", "promote", "shop-1.0.0", "--to", "staging")
    office.work()
    assert shop.releases("staging") == {"web1": "1.0.0"}
    assert office.by("ann", "release", "show", "REL-1")["release"]["state"] == "released"
    assert office.by("ann", "request", "show", "R-1")["request"]["state"] == "released"
    assert [each["id"] for each in office.by("ann", "review", "list")["reviews"]] == ["REL-1"]


SEARCH = """apiVersion: orchestrator/v1
kind: Release
name: search
version: "1.0.0"
environments: [staging, production]
steps:
  - {name: deploy, playbook: playbooks/site.yml, hosts: web}
verify:
  - {name: here, tests: tests/here}
"""
