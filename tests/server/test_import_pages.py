"""Files that a browser sends: their changes are shown first, and imported by a second form."""

import pytest

from orchestrator.app.calendar import show_calendar
from tests.cli.request_project import RequestProject, office
from tests.server.hostile_text import read_page
from tests.server.release_scene import EVIL
from tests.server.site import HTML, ORIGIN, Browser, Site
from tests.server.test_changes import FREEZES, REQUESTS

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def sent(browser: Browser, path: str, name: str, content: bytes, **fields: str) -> tuple[int, str]:
    """The status and the page after a file was sent by the form of *path*."""
    data = {"form_token": browser.form_token, **fields}
    headers = {"origin": ORIGIN, "referer": f"{ORIGIN}{path.removesuffix('/import')}", **HTML}
    answer = browser.request("POST", path, data=data, files={"file": (name, content)}, headers=headers)
    return answer.status_code, answer.text


def confirmed(browser: Browser, page: str, path: str, text: str) -> int:
    """The status after the form of the *page* with the changes was sent."""
    [form] = [form for form in read_page(page).forms if form.action == path]
    fields = {name: value for name, value in form.values.items() if name != "form_token"}
    return browser.form(path, **{**fields, "text": text}).status_code


def test_a_calendar_file_is_shown_and_then_imported(site: Site) -> None:
    """A release manager sees what a file would add before it is imported; the same file again changes nothing."""
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    path, fields = "/calendar/import", {"kind": "soft-freeze", "environments": "staging", "zone": "Europe/Berlin"}
    assert path in ann.get("/calendar").text
    assert path not in vic.get("/calendar").text
    status, page = sent(ann, path, "freezes.ics", FREEZES.encode(), **fields)
    assert (status, "add soft-freeze “Year end”" in page) == (200, True)
    assert show_calendar(site.root).rules == ()
    assert confirmed(ann, page, path, FREEZES) == 303
    [rule] = show_calendar(site.root).rules
    assert (rule.kind.value, rule.environments, rule.zone, rule.owner) == (
        "soft-freeze", ("staging",), "Europe/Berlin", "ann",
    )  # fmt: skip
    again = sent(ann, path, "freezes.ics", FREEZES.encode(), **fields)[1]
    assert ("unchanged" in again, 'name="confirm"' in again) == (True, False)
    assert "A101" in vic.form(path, text=FREEZES, confirm="yes", **fields).text


def test_change_requests_are_imported_as_drafts(office: RequestProject, site: Site) -> None:
    """A file of change requests is shown, and imported as drafts; other roles have no form."""
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    path = "/change-requests/import"
    assert (path in ann.get("/change-requests").text, path in vic.get("/change-requests").text) == (True, False)
    status, page = sent(ann, path, "requests.yaml", REQUESTS.encode())
    assert (status, "add Sell gift cards" in page) == (200, True)
    assert office.by("vic", "request", "list")["requests"] == []
    assert confirmed(ann, page, path, REQUESTS) == 303
    [listed] = office.by("vic", "request", "list")["requests"]
    made = listed.get("request", listed)
    assert (made["title"], made["source"], made["state"]) == ("Sell gift cards", "file", "draft")
    assert "A101" in vic.form(path, text=REQUESTS, confirm="yes").text


def test_a_wrong_file_is_refused_at_its_field(site: Site) -> None:
    """A file that is missing, binary or of another kind changes nothing, and its error is on the page of the form."""
    ann = site.signed_in("ann")
    for path, name, content, word in (
        ("/calendar/import", "", b"", "file"),
        ("/calendar/import", "x.ics", b"\xff\xfe", "UTF-8"),
        ("/calendar/import", "x.ics", b"no calendar", "calendar"),
        ("/change-requests/import", "x.yaml", b"kind: Other\n", "kind"),
        ("/change-requests/import", "x.yaml", b"{", "line 1: this is not YAML"),
    ):
        status, page = sent(ann, path, name, content, kind="holiday", environments="*", zone="UTC")
        assert (path, name, status < 500, status >= 400, word in page) == (path, name, True, True, True), page
    assert show_calendar(site.root).rules == ()


def test_text_of_a_file_is_never_markup(site: Site) -> None:
    """Titles of a file are shown as text, also in the field that carries the file."""
    ann = site.signed_in("ann")
    page = sent(ann, "/calendar/import", f"{EVIL}.ics", FREEZES.replace("Year end", EVIL).encode(), zone="UTC")[1]
    assert ("<img" in page, "<script>alert" in page, "&lt;img" in page) == (False, False, True)
