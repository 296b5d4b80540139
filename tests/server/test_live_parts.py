"""Pages of release management that are updated while they are read: the part that changes, and when its state has changed."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from orchestrator.web.pages import rendering
from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import EVIL, lay_all
from tests.server.site import Site
from tests.server.test_changes import management_body

__all__ = ["office"]  # the fixture

LIVE = 'hx-trigger="every 5s"'
NOTICE = "Reload the page</a> for what you can do now"
PAGES = {
    "/planned-releases/REL-1": "draft",
    "/change-requests/R-1": "draft, rank",
    "/bookings/B-1": "confirmed",
    "/reviews/REL-1": "open, 1 actions, 0 comments",
}


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with a planned release, its review, a change request and a booking."""
    made = Site(office, office.app())
    ann = made.signed_in("ann")
    assert ann.post("/api/v1/change-requests", {"title": "of ann"}).status_code == 201
    assert ann.post("/api/v1/bookings", management_body("/api/v1/bookings")).status_code == 201
    lay_all(office)
    return made


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_updated_while_it_is_read(site: Site, page: str) -> None:
    """The page requests its part every 5 seconds; the part has no frame, no form with a text, and no notice without a change."""
    vic = site.signed_in("vic")
    whole, part = vic.get(page).text, vic.get(f"{page}?part=all").text
    assert LIVE in whole
    assert ("<!doctype" in part, LIVE in part, "<h1>" in part, NOTICE in part) == (False, True, True, False)
    assert 'type="text"' not in part
    state = quote(PAGES[page])
    assert f"part=all&amp;since={state}" in whole
    changed = vic.get(f"{page}?part=all&since=before").text
    assert (NOTICE in changed, "The state was before" in changed) == (True, True)
    assert "since=before" in changed, "it stays until the page is loaded again"
    hostile = vic.request("GET", page, params={"part": "all", "since": EVIL}).text
    assert "<img" not in hostile


def test_a_part_shows_what_another_user_has_done(office: RequestProject, site: Site) -> None:
    """After a change of its state the part shows the new state and the notice; an object that has ended is not updated."""
    vic = site.signed_in("vic")
    office.by("ann", "release", "cancel", "REL-1", "-m", "no money")
    part = vic.get("/planned-releases/REL-1?part=all&since=draft").text
    assert ("cancelled" in part, NOTICE in part, LIVE in part) == (True, True, False)
    office.by("ann", "booking", "cancel", "B-1")
    part = vic.get("/bookings/B-1?part=all&since=confirmed").text
    assert ("cancelled" in part, NOTICE in part, LIVE in part) == (True, True, False)


def test_every_live_part_is_requested_again_after_a_restore() -> None:
    """A part that follows events also follows `restart`, from each stream that it follows."""
    folder = Path(rendering.__file__).parent / "templates"
    found = [text for file in folder.glob("*.html") for text in re.findall(r'hx-trigger="([^"]*)"', file.read_text())]
    live = [text for text in found if " from:#live" in text]
    assert live
    for text in live:
        streams = set(re.findall(r"(?:run|record) from:(#live\S*)", text.replace(",", " ")))
        assert streams == set(re.findall(r"restart from:(#live\S*)", text.replace(",", " "))), text
