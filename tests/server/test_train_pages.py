"""Pages of release trains: lines, boarding, prognosis and events, without JavaScript and by right."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.request_project import RequestProject, office
from tests.server.hostile_text import read_page
from tests.server.release_scene import EVIL, lay_line
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def test_a_train_is_managed_by_forms(office: RequestProject, site: Site) -> None:
    """A manager adds a line and makes a train, puts a package aboard, reads why it would stay, moves, holds and cancels the train."""
    package = office.packages.put(office.release("1.0.0")).ref
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    assert "The project has no line." in vic.get("/trains").text
    assert '<form method="post"' not in vic.get("/trains").text.split("<main")[1]
    start = f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%dT%H:%M}"
    line = {"name": "weekly", "stops": "staging\r\nproduction+2h", "start": start, "rule": "FREQ=WEEKLY"}
    assert "is not a duration such as 2h" in ann.form("/train-lines", **{**line, "stops": "staging+soon"}).text
    made = ann.form("/train-lines", **line, boarding="4h", zone="UTC")
    assert (made.status_code, made.headers.get("location")) == (303, "/trains"), made.text
    assert ann.form("/trains", line="weekly").headers.get("location") == "/trains/T-1"
    stored = office.by("vic", "train", "line", "show", "weekly")["line"]
    assert (stored["boarding_s"], [stop["after_s"] for stop in stored["stops"]]) == (14400, [0, 7200])
    page = ann.get("/trains/T-1").text
    assert "No package is aboard." in page
    assert 'action="/trains/T-1/board"' in page
    boarded = ann.form("/trains/T-1/board", package=f"{package.name}-1.0.0")
    assert boarded.status_code == 303, boarded.text
    for shown in (vic.get("/trains/T-1").text, vic.get("/trains/T-1?part=all").text):
        assert "0 of 1 packages would leave" in shown
        assert "no-previous-release" in shown
        assert 'hx-trigger="every 3s"' in shown
    assert "2031" in vic.get("/trains/T-1?at=2031-01-01T10:00").text
    assert vic.get("/trains/T-1?at=tomorrow", **HTML).status_code == 422
    moved = ann.form("/trains/T-1/edit", departs_at="2031-01-01T10:00", boarding="2031-01-01T09:00")
    assert moved.status_code == 303, moved.text
    assert ann.form("/trains/T-1/leave", package=package.name, reason="not ready").status_code == 303
    assert "G605" in ann.form("/trains/T-1/hold", reason="").text
    assert ann.form("/trains/T-1/hold", reason="an incident").status_code == 303
    assert "an incident" in vic.get("/trains/T-1").text
    assert ("T-1 of weekly" in ann.get("/").text, "T-1 of weekly" in vic.get("/").text) == (True, False)
    assert ann.form("/trains/T-1/resume").status_code == 303
    assert "The train does not depart." in ann.get("/trains/T-1/cancel").text
    assert "You cannot cancel this train" in vic.get("/trains/T-1/cancel").text
    assert ann.form("/trains/T-1/cancel", reason="no money").status_code == 303
    assert "every 3s" not in vic.get("/trains/T-1").text
    assert "T-1" not in vic.get("/trains").text.split("<main")[1]
    assert "T-1" in vic.get("/trains?ended=true").text
    assert ann.form("/train-lines/weekly/remove").status_code == 303
    assert office.by("vic", "train", "line", "list")["lines"] == []


def test_text_of_a_train_is_never_markup(office: RequestProject, site: Site) -> None:
    """Reasons that users write are shown as text."""
    office.packages.put(office.release("1.0.0"))
    lay_line(office)
    office.by("ann", "train", "board", "T-1", "shop-1.0.0")
    ann = site.signed_in("ann")
    assert ann.form("/trains/T-1/hold", reason=EVIL).status_code == 303
    for path in ("/trains", "/trains/T-1", "/trains/T-1?part=all", "/trains/T-1/cancel"):
        page = ann.get(path).text
        assert "<img" not in page
        assert "<script>" not in page
    assert "&lt;img src=x" in ann.get("/trains/T-1").text


def line_fields(page: str) -> dict[str, str]:
    """The fields of the form that edits a line, as a browser sends them."""
    [form] = [form for form in read_page(page).forms if form.action == "/train-lines/weekly/edit"]
    stops = page.split('<textarea id="stops"')[1].split(">", 1)[1].split("</textarea>", maxsplit=1)[0]
    return {**{name: value for name, value in form.values.items() if name != "form_token"}, "stops": stops}


def test_a_line_is_edited_and_removed_on_its_page(office: RequestProject, site: Site) -> None:
    """A manager changes the cadence, the stops and the cut-off of a line; unchanged fields stay, and its train keeps its times."""
    lay_line(office)
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    before = office.by("vic", "train", "line", "show", "weekly")["line"]
    departs = office.by("vic", "train", "show", "T-1")["train"]["departs_at"]
    page = ann.get("/train-lines/weekly").text
    fields = line_fields(page)
    assert (fields["stops"], fields["rule"], fields["boarding"]) == ("staging\nproduction+2h", "FREQ=WEEKLY", "")
    assert '<form method="post"' not in vic.get("/train-lines/weekly").text.split("<main")[1]
    assert "A101" in vic.form("/train-lines/weekly/edit", **fields).text
    assert 'href="/train-lines/weekly"' in vic.get("/trains").text
    new = {
        **fields,
        "boarding": "90m",
        "stops": "staging\r\nproduction+3h",
        "rule": "",
        "rehearse": "yes",
        "reason": "x",
    }
    assert ann.form("/train-lines/weekly/edit", **new).headers.get("location") == "/train-lines/weekly"
    after = office.by("vic", "train", "line", "show", "weekly")["line"]
    assert (after["boarding_s"], after["rule"], after["rehearse"]) == (5400, None, True)
    assert [stop["after_s"] for stop in after["stops"]] == [0, 10800]
    assert (after["start"], after["zone"]) == (before["start"], before["zone"])
    assert office.by("vic", "train", "show", "T-1")["train"]["departs_at"] == departs
    assert line_fields(ann.get("/train-lines/weekly").text)["boarding"] == "90m"
    assert ann.form("/train-lines/weekly/remove", reason="monthly from now on").status_code == 303
    gone = ann.get("/train-lines/weekly").text
    assert ("archived" in gone, 'action="/train-lines/weekly/edit"' in gone) == (True, False)


def test_an_edit_of_a_line_that_has_changed_is_refused(office: RequestProject, site: Site) -> None:
    """A page that shows an earlier version of a line changes nothing (N145): nobody overwrites what they have not seen."""
    lay_line(office)
    ann, root = site.signed_in("ann"), site.user("mia", "release-manager")
    fields = line_fields(ann.get("/train-lines/weekly").text)
    assert root.form("/train-lines/weekly/edit", **{**fields, "zone": "Europe/Berlin"}).status_code == 303
    late = ann.form("/train-lines/weekly/edit", **{**fields, "boarding": "2h"})
    assert "N145" in late.text
    stored = office.by("vic", "train", "line", "show", "weekly")["line"]
    assert (stored["zone"], stored["boarding_s"]) == ("Europe/Berlin", 0)
