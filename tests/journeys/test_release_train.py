"""From a request to a review, with a train of three packages of which one fails in production, on the real engines."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Project
from tests.journeys.test_approvals import Office
from tests.journeys.test_freeze import small

pytestmark = pytest.mark.rare
NAMES = ("api", "web", "search")
ROUNDS = 60
PLAY = """- hosts: web
  gather_facts: false
  tasks:
    - name: Say which version is here
      ansible.builtin.copy:
        content: "{{ orchestrator_release.version }}"
        dest: "{{ host_root }}/{{ orchestrator_release.name }}.txt"
    - name: Read the tax as a number
      ansible.builtin.assert:
        that: "',' not in shop_tax"
      when: orchestrator_release.name == 'search' and orchestrator_release.version == '2.0.0'
"""
SUITE = """testinfra_hosts = ["ansible://web"]


def test_the_version_is_here(host):
    found = host.ansible.get_variables()
    release = found["orchestrator_release"]
    assert host.file(f"{found['host_root']}/{release['name']}.txt").content_string == release["version"]
"""
RELEASE = """apiVersion: orchestrator/v1
kind: Release
name: {name}
version: "{version}"
environments: [staging, production]
steps:
  - {{name: deploy, playbook: playbooks/put.yml, hosts: web}}
verify:
  - {{name: here, tests: tests/here}}
"""


def lay(shop: Project) -> None:
    """Three packages in two versions, on one host in staging and one in production, whose tax has a comma."""
    small(shop)
    shop.replace("environments/production/__main__.py", '"7.5"}}', '"7,5"}}')
    shop.write("playbooks/put.yml", PLAY)
    shop.write("tests/here/test_here.py", SUITE)
    for name in NAMES:
        for version in ("1.0.0", "2.0.0"):
            shop.write(f"releases/{name}-{version}/release.yaml", RELEASE.format(name=name, version=version))


def at(hours: float) -> str:
    """A time in a number of hours."""
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="minutes")


def versions(shop: Project, environment: str) -> dict[str, str]:
    """What the host itself has of each package."""
    [variables] = shop.variables(environment).values()
    return {name: (Path(variables["host_root"]) / f"{name}.txt").read_text() for name in NAMES}


def rides(office: Office) -> dict[str, Any]:
    """Work as workers do, and approve each promotion into production, until the train has ended."""
    for _ in range(ROUNDS):
        office.work()
        train: dict[str, Any] = office.by("ann", "train", "show", "T-1")["train"]
        if train["state"] in {"arrived", "rolled-back", "needs-intervention", "on-hold", "cancelled"}:
            return train
        for each in office.by("bob", "approvals")["requests"]:
            if each["state"] == "waiting":
                office.by("bob", "approve", each["request"]["id"])
    raise AssertionError(f"the train has not ended: {train}")


@pytest.mark.timeout(1500)
def test_a_train_of_three_goes_back_together(shop: Project) -> None:
    """A request is planned, booked, built and approved, three packages pass staging, one fails in production, and all three go back there."""
    lay(shop)
    for name in NAMES:
        shop.run("promote", f"releases/{name}-1.0.0")
    office = Office(shop)
    file = shop.root / "environments" / "production" / "environment.yaml"
    file.write_text(file.read_text() + "approvals: {count: 1}\n")

    about = ("--why", "asked for", "--package", "search", "--environment", "production", "--submit")
    office.by("ann", "request", "add", "Search by price", *about)
    office.by("ann", "request", "accept", "R-1")
    packages = [word for name in NAMES for word in ("--package", f"{name}-2.0.0")]
    for name in NAMES:
        office.by("ann", "build", f"releases/{name}-2.0.0")
    times = ("--freeze", at(4), "--release-at", at(6))
    office.by("ann", "release", "plan", "Search", "--to", "production", *times, "--request", "R-1", *packages)
    office.by("ann", "release", "confirm", "REL-1")

    start = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    office.by("ann", "train", "line", "add", "weekly", "--stop", "staging", "--stop", "production", "--start", start)
    office.by("ann", "train", "create", "weekly")
    office.by(
        "ann", "book", "staging", "--from", at(0), "--for", "3h", "--purpose", "the train", "--holder", "train:T-1"
    )
    office.by("ann", "train", "board", "T-1", "api-2.0.0")
    office.by("ann", "train", "board", "T-1", "web-2.0.0", "--after", "api")
    office.by("ann", "train", "board", "T-1", "search-2.0.0", "--after", "web")
    prognosis = office.by("ann", "train", "prognosis", "T-1")["prognosis"]
    assert [member["leaves"] for member in prognosis["members"]] == [True, True, True], prognosis
    assert "train:T-1" in str(office.by("ann", "promote", "releases/1.0.0", "--to", "staging", code=3))
    assert "planned for" in str(office.by("ann", "why", "api-2.0.0", "--to", "production", code=3))
    for name in NAMES:
        passed = (f"{name}-2.0.0", "--to", "production", "-m", "the train leaves before the release time")
        office.by("ann", "calendar", "override", *passed)
    office.by("ann", "train", "depart", "T-1", "-m", "no need to wait", "--yes")

    train = rides(office)
    assert train["state"] == "rolled-back", train
    assert versions(shop, "staging") == dict.fromkeys(NAMES, "2.0.0")
    assert versions(shop, "production") == dict.fromkeys(NAMES, "1.0.0")
    production = [
        (run["kind"], run["package"], run["state"]) for run in train["runs"] if run["environment"] == "production"
    ]
    assert [each for each in production if each[0] == "promotion"] == [
        ("promotion", "api", "succeeded"),
        ("promotion", "web", "succeeded"),
        ("promotion", "search", "failed"),
    ]
    rollbacks = [package for kind, package, _ in production if kind == "rollback"]
    assert rollbacks[-2:] == ["web", "api"], production

    failed = next(run["followed"] for run in train["runs"] if run["state"] == "failed")
    reviews = [each["id"] for each in office.by("ann", "review", "list")["reviews"]]
    assert failed in reviews, reviews
    office.by("ann", "review", "close", failed, "-m", "the set was restored")
    assert office.by("ann", "review", "show", failed)["review"]["close_code"] == "rolled-back"
    office.by("root", "audit", "verify")
