"""`orchestrator train` on a real register: lines, boarding, the prognosis and what each command prints."""

from datetime import UTC, datetime, timedelta

from tests.cli.request_project import RequestProject, office

__all__ = ["office"]  # the fixture
SOON = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")


def flat(text: str) -> str:
    """*text* without its folding."""
    return " ".join(text.split())


def test_lines_and_trains_are_made_changed_and_shown(office: RequestProject) -> None:
    """A manager adds and changes a line and its train; the lists name what to do first, and then what there is."""
    assert "there are no train lines" in office.tells("vic", "train", "line", "list")
    assert "there are no trains" in office.tells("vic", "train", "list")
    stops = ("--stop", "staging", "--stop", "production+2h")
    made = office.by(
        "ann", "train", "line", "add", "weekly", *stops, "--start", SOON, "--rule", "FREQ=DAILY", "--boarding", "4h"
    )
    assert [stop["after_s"] for stop in made["line"]["stops"]] == [0, 7200]
    assert len(made["departures"]) == 5
    edited = office.by(
        "ann", "train", "line", "edit", "weekly", "--stop", "staging", "--stop", "production+1h", "--rehearse"
    )
    assert (edited["line"]["stops"][1]["after_s"], edited["line"]["rehearse"]) == (3600, True)
    said = flat(office.tells("vic", "train", "line", "show", "weekly"))
    assert "weekly: staging → production" in said
    assert "rehearsal of the set" in said
    assert office.by("vic", "train", "line", "add", "x", *stops, "--start", SOON, code=3)["errors"][0]["code"] == "A101"
    office.tells("ann", "train", "line", "add", "x", "--start", SOON, code=2)
    office.tells("ann", "train", "line", "add", "x", *stops, "--start", "soon", code=2)
    office.tells("ann", "train", "line", "edit", "weekly", code=2)
    assert office.by("ann", "train", "create", "weekly")["id"] == "T-1"
    office.packages.put(office.release("1.0.0"))
    assert "shop 1.0.0 boarded" in office.tells("ann", "train", "board", "T-1", "shop-1.0.0")
    told = flat(office.tells("vic", "train", "prognosis", "weekly"))
    assert "✘ shop 1.0.0 stays" in told
    assert "no-previous-release: nothing of shop is in production" in told
    assert "T-1" in office.tells("vic", "train", "list")
    office.tells("ann", "train", "edit", "T-1", code=2)
    later = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert office.by("ann", "train", "edit", "T-1", "--at", later)["train"]["departs_at"][:16] == later[:16]
    assert "boarding" in office.tells("ann", "train", "show", "T-1", "--refresh")
    assert "withdrawn" in office.tells("ann", "train", "leave", "T-1", "shop", "-m", "not ready")
    assert "on-hold" in office.tells("ann", "train", "depart", "T-1", "--yes")
    assert "cancelled" in office.tells("ann", "train", "cancel", "T-1", "-m", "no", "--yes")
    assert office.by("ann", "train", "line", "remove", "weekly", "--yes")["line"]["archived_at"]
    assert "weekly (archived)" in office.tells("vic", "train", "line", "list", "--all")
    assert office.by("root", "audit", "verify")["kind"]
