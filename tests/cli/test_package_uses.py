"""Packages that a run request, a train or a planned release has: neither removed nor replaced by another content."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main
from orchestrator.wiring import open_app
from tests.cli.request_project import PLACE, RequestProject, office
from tests.cli.test_packages import fresh

__all__ = ["fresh", "office"]  # the fixtures
NOW = datetime.now(UTC)
SHOP = "shop-1.0.0"


def at(days: int) -> str:
    return (NOW + timedelta(days=days)).isoformat()


def train_and_release(environment: str) -> tuple[tuple[str, ...], ...]:
    """The commands that board a train with the package, and plan a release with it."""
    line = ("train", "line", "add", "weekly", "--stop", environment, "--rule", "FREQ=DAILY")
    plan = ("release", "plan", "Advent", "--to", environment, "--freeze", at(1), "--release-at", at(2))
    return (
        (*line, "--start", f"{NOW + timedelta(days=2):%Y-%m-%dT%H:%M}"),
        ("train", "create", "weekly"),
        ("train", "board", "T-1", SHOP),
        (*plan, "--package", SHOP),
    )


def test_a_package_that_something_has_is_removed_after_the_remedies(office: RequestProject) -> None:
    """`package remove` names the request, the train and the release that have the package, until each was left by the command of the hint."""
    run = office.ask("1.0.0")["request"]["id"]
    for words in train_and_release(PLACE):
        office.by("ann", *words)
    remove = ("package", "remove", SHOP)
    error: dict[str, Any] = office.by("ann", *remove, code=3)["errors"][0]
    assert error["code"] == "P123"
    for place in (f"in the request {run}", "aboard T-1", "in the scope of REL-1"):
        assert place in error["message"]
    for remedy in error["hint"].split("; or "):
        assert office.by("ann", *remove, code=3)["errors"][0]["code"] == "P123"
        program, *words = remedy.split()
        assert program == "orchestrator"
        office.by("ann", *words)
    assert office.by("ann", *remove)["release"]["version"] == "1.0.0"


def test_what_has_ended_keeps_no_package(office: RequestProject) -> None:
    """A cancelled train and a cancelled release do not keep their package from being removed."""
    office.packages.put(office.release("1.0.0"))
    for words in train_and_release(PLACE):
        office.by("ann", *words)
    office.by("ann", "train", "cancel", "T-1", "-m", "no", "--yes")
    assert office.refused("ann", "package", "remove", SHOP)[1].endswith("is in the scope of REL-1")
    office.by("ann", "release", "cancel", "REL-1", "-m", "no")
    assert office.by("ann", "package", "remove", SHOP)["release"]["name"] == "shop"


@pytest.mark.engines
def test_a_rebuild_does_not_replace_a_package_that_something_has(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another content of a version that is aboard a train and planned is refused with both numbers, and the kept package stays."""
    at_project = ("-C", str(fresh))
    build = [*at_project, "build", "shop", "--json"]
    assert main(build) == 0
    kept = open_app(fresh).packages.refs()
    for words in train_and_release("staging"):
        assert main([*at_project, *words]) == 0
    (fresh / "playbooks/deploy.yml").write_text("- hosts: all\n  gather_facts: true\n  roles: [web]\n")
    capsys.readouterr()
    assert main(build) == 3
    error = json.loads(capsys.readouterr().out)["errors"][0]
    assert error["code"] == "P123"
    assert error["message"].endswith("is aboard T-1, in the scope of REL-1")
    assert error["hint"].startswith("raise the version 1.0.0; or orchestrator train leave T-1 shop")
    assert open_app(fresh).packages.refs() == kept
    assert main([*at_project, "train", "leave", "T-1", "shop", "-m", "no"]) == 0
    assert main([*at_project, "release", "remove", "REL-1", "--package", SHOP]) == 0
    assert main(build) == 0
    assert [ref.digest for ref in open_app(fresh).packages.refs()] != [ref.digest for ref in kept]
