"""A freeze that begins during a run, held runs that are killed, and an emergency, on the real engines."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from orchestrator.processes import family
from tests.journeys.conftest import Project
from tests.journeys.test_approvals import FILE, PLACE, Office


def small(shop: Project) -> None:
    """One host in each environment, and none on which a release breaks."""
    shop.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
    shop.replace("environments/production/Pulumi.yaml", "default: 4", "default: 1")
    shop.replace("environments/production/__main__.py", '"7,5"', '"7.5"')


def until(what: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def killed(process: "subprocess.Popen[str]") -> None:
    """Kill a command that was started with `start`, and all processes below it."""
    for each in family([process.pid]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    process.communicate()


def killed_and_resumed(shop: Project, process: "subprocess.Popen[str]", run: str) -> "subprocess.Popen[str]":
    """Kill the process that holds *run*, and resume it: the new process holds it again."""
    killed(process)
    resumed = shop.start("resume", run)
    until(lambda: resumed.poll() is not None or bool(shop.status("production")["waiting"]))
    time.sleep(2)
    assert resumed.poll() is None, resumed.communicate()
    return resumed


@pytest.mark.timeout(900)
def test_a_line_stop_during_a_run_holds_it_before_its_first_change_only(shop: Project) -> None:
    """A run that has changed nothing lets the environment go and continues later; one that has completes; a rollback is never held."""
    small(shop)
    shop.run("promote", "releases/1.0.0")
    shop.run("promote", "releases/1.1.0", "--to", "staging")

    held = shop.start("promote", "releases/1.1.0", "--to", "production")
    until(lambda: shop.status("production")["lease"] is not None)
    shop.run("line", "stop", "production", "-m", "incident 4711")
    until(lambda: shop.status("production")["lease"] is None)
    until(lambda: len(shop.status("production")["waiting"]) == 1)
    assert shop.releases("production") == {"web1": "1.0.0"}
    refused = shop.run("promote", "releases/1.1.0", "--to", "production", code=3)
    assert "incident 4711" in refused.err
    assert held.poll() is None
    run = shop.status("production")["waiting"][0]["run"]
    held = killed_and_resumed(shop, held, run)
    assert shop.status("production")["lease"] is None
    assert shop.releases("production") == {"web1": "1.0.0"}
    shop.run("line", "resume", "production")
    assert held.wait(timeout=180) == 0, held.communicate()
    held.communicate()
    story = shop.story("production")
    notices = [notice["text"] for step in story["steps"] for notice in step["notices"]]
    assert any(text.startswith("held before") and "incident 4711" in text for text in notices)
    assert shop.releases("production") == {"web1": "1.1.0"}

    running = shop.launch("rollback", "production", "--yes")
    shop.run("line", "stop", "--all", "-m", "incident 4712")
    assert running.wait(timeout=180) == 0, running.communicate()
    running.communicate()
    assert shop.releases("production") == {"web1": "1.0.0"}


@pytest.mark.rare
@pytest.mark.timeout(1800)
def test_kill_9_in_every_state_of_a_request_that_is_held(shop: Project) -> None:
    """A request and its run survive `kill -9` while they wait for a vote, before the start, while held without a lease, and again while held."""
    small(shop)
    shop.run("promote", "releases/1.0.0")
    shop.run("promote", "releases/1.1.0", "--to", "staging")
    shop.write(FILE, (shop.root / FILE).read_text() + "approvals: {count: 1}\n")
    office = Office(shop)

    def state() -> str:
        return str(office.by("root", "approvals", run)["state"])

    waiting = office.started("ann", "promote", "shop-1.1.0", "--to", PLACE, "--wait")
    until(lambda: bool(office.by("root", "approvals")["requests"]))
    run = office.by("root", "approvals")["requests"][0]["request"]["id"]
    killed(waiting)
    assert (state(), shop.status(PLACE)["lease"]) == ("waiting", None)
    office.by("root", "line", "stop", PLACE, "-m", "incident 4711")
    assert office.by("bob", "approve", run)["state"] == "ready"
    office.work()
    assert (state(), shop.releases(PLACE)) == ("ready", {"web1": "1.0.0"})

    office.by("ann", "line", "resume", PLACE)
    worker = office.started("root", "worker")
    until(lambda: shop.status(PLACE)["lease"] is not None)
    office.by("root", "line", "stop", PLACE, "-m", "incident 4712")
    for _ in range(2):
        until(lambda: shop.status(PLACE)["lease"] is None and bool(shop.status(PLACE)["waiting"]))
        killed(worker)
        assert (state(), shop.status(PLACE)["lease"], shop.releases(PLACE)) == ("started", None, {"web1": "1.0.0"})
        worker = office.started("root", "worker")
        time.sleep(5)  # it finds the run, whose process died, and holds it again
    office.by("ann", "line", "resume", PLACE)
    until(lambda: state() == "finished")
    killed(worker)
    assert shop.releases(PLACE) == {"web1": "1.1.0"}
    assert [each["id"] for each in office.by("root", "history", PLACE)["runs"]].count(run) == 1


@pytest.mark.rare
@pytest.mark.timeout(1500)
def test_an_emergency_and_its_overdue_review(shop: Project) -> None:
    """An emergency starts by its own quorum; while its review is overdue an ordinary promotion is refused and a rollback is not, until it is reviewed."""
    small(shop)
    shop.run("promote", "releases/1.0.0")
    for version in ("1.1.0", "1.2.0"):
        shop.run("promote", f"releases/{version}", "--to", "staging")
    rule = "approvals: {count: 2, review_within: 1s, by_kind: {emergency: {count: 1}}}\n"
    shop.write(FILE, (shop.root / FILE).read_text() + rule)
    office = Office(shop, approvers=("bob", "cid"))
    words = ("--emergency", "-m", "payments are down", "--incident", "https://incidents.example/7")
    run = office.by("ann", "promote", "shop-1.1.0", "--to", PLACE, *words)["request"]["id"]
    assert office.by("bob", "approve", run)["state"] == "ready"
    office.work()
    until(lambda: shop.releases(PLACE) == {"web1": "1.1.0"})
    office.work()
    messages = office.by("cid", "approvals", "--mine")["messages"]
    assert any("payments are down" in each["text"] for each in messages)
    refused = office.by("ann", "promote", "shop-1.2.0", "--to", PLACE, code=3)["errors"][0]
    assert (refused["code"], run in refused["message"]) == ("A203", True)
    office.by("root", "rollback", PLACE, "-y")
    assert shop.releases(PLACE) == {"web1": "1.0.0"}
    office.by("cid", "approve", run)
    assert office.by("ann", "promote", "shop-1.2.0", "--to", PLACE)["state"] == "waiting"
