"""What `drift`, `parity` and plans find is kept: `environment show`, the matrix, the page and the API show it to all."""

import re
from typing import Any

import pytest

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.run_context import RunContext
from tests.cli.request_project import RequestProject, office
from tests.server.site import Site

__all__ = ["office"]  # the fixture
PLACE = "production"


def shown(office: RequestProject, name: str = "vic") -> dict[str, Any]:
    found: dict[str, Any] = office.by(name, "environment", "show", PLACE)
    return found


def mark(office: RequestProject) -> dict[str, Any] | None:
    """The mark of drift in the cell of the release in production."""
    rows = office.by("vic", "matrix")["releases"]
    found: dict[str, Any] | None = next(r["in"][PLACE]["drift"] for r in rows if r["release"]["version"] == "1.0.0")
    return found


def test_drift_that_an_operator_finds_is_shown_to_all(office: RequestProject) -> None:
    """A viewer sees who found which drift and when, with the number of its change request, until a newer check finds none."""
    office.go("staging", "1.0.0")
    office.go(PLACE, "1.0.0")
    assert (shown(office)["drift"], shown(office)["parity"], mark(office)) == (None, None, None)
    assert "drift       not checked yet" in office.tells("vic", "environment", "show", PLACE)
    office.world.edited.add("p1")
    found = office.by("olga", "drift", PLACE, code=1)
    report = shown(office)["drift"]
    assert (report["by"], report["request"], report["differences"]) == ("olga", found["request"], 1)
    assert report["found"]["findings"] == found["findings"]
    assert mark(office) == {"at": report["at"], "differences": 1, "unknown": 0, "request": found["request"]}
    text = office.tells("vic", "environment", "show", PLACE)
    assert re.search(
        rf"drift       1 difference since .* was verified, change request {found['request']}; checked .* ago\) by olga",
        text,
    )
    assert re.search(r"drift: 1 difference \(\d+ s ago\)", office.tells("vic", "matrix"))
    office.world.edited.clear()
    office.by("olga", "drift", PLACE)
    assert (shown(office)["drift"]["differences"], shown(office)["drift"]["request"]) == (0, "")
    assert "drift: " not in office.tells("vic", "matrix")


def test_drift_before_the_current_release_has_no_mark(office: RequestProject) -> None:
    """After another release was verified the matrix has no mark of an earlier check, and the report says which release it is about."""
    for version in ("1.0.0", "1.1.0"):
        office.go("staging", version)
    office.go(PLACE, "1.0.0")
    office.world.edited.add("p1")
    office.by("olga", "drift", PLACE, code=1)
    office.go(PLACE, "1.1.0")
    assert mark(office) is None
    assert all(row["in"][PLACE]["drift"] is None for row in office.by("vic", "matrix")["releases"])
    assert shown(office)["drift"]["found"]["release"]["version"] == "1.0.0"


@pytest.mark.parametrize("gate", ["no_drift", "parity"])
def test_what_a_plan_finds_is_shown_to_all(office: RequestProject, gate: str) -> None:
    """What a plan looks at for a condition of the environment is kept as found for the user of the plan, and for the run of a promotion."""
    office.rule(f"require: {{{gate}: true}}\nparity: {{with: staging}}\n")
    office.go("staging", "1.0.0")
    office.go(PLACE, "1.0.0")
    office.go("staging", "1.1.0")
    office.world.edited.add("p1")
    part = "drift" if gate == "no_drift" else "parity"
    office.by("ann", "plan", "1.1.0", "--to", PLACE)
    report = shown(office)[part]
    assert (report["by"], report["run"]) == ("ann", "")
    if part == "parity":
        assert (report["other"], "release" in report["kinds"]) == ("staging", False)
    run = office.request(PLACE, "1.1.0")
    WORKFLOWS["promotion"](RunContext(office.app().services, MemoryDurable({}), run))
    report = shown(office)[part]
    assert (report["by"], report["run"]) == ("ann", run.id)


def test_pages_and_the_api_show_the_newest_findings(office: RequestProject) -> None:
    """A viewer reads on the page of the environment, in the matrix and in the API what an operator had checked."""
    office.go("staging", "1.0.0")
    office.go(PLACE, "1.0.0")
    office.world.edited.add("p1")
    request = office.by("olga", "drift", PLACE, code=1)["request"]
    office.by("olga", "parity", "staging", PLACE, code=None)
    vic = Site(office, office.app()).signed_in("vic")
    page = vic.get(f"/environments/{PLACE}").text
    for words in (
        "resource host p1 is another in size",
        "1 difference, since shop 1.0.0",
        f'href="/change-requests/{request}"',
        "by olga",
        "Parity with staging",
    ):
        assert words in page, words
    assert "Parity with production" in vic.get("/environments/staging").text
    board = vic.get("/releases/shop-1.0.0").text
    for text in (vic.get("/matrix").text, board):
        assert re.search(r"drift: 1 difference, \d+ s ago", text)
    found = vic.get(f"/api/v1/environments/{PLACE}/reports").json()
    assert (found["drift"]["request"], found["parity"]["other"]) == (request, "staging")
    assert vic.get("/api/v1/environments/moon/reports").status_code == 404
