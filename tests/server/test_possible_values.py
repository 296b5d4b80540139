"""Values of clients that no person enters: times of other ages, and numbers for which a server would work for minutes."""

from typing import Any

import pytest

from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.site import HTML, Browser, Site

__all__ = ["office"]  # the fixture
LATE, EARLY = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"
EDGES = ("1970-01-02T00:00:00Z", "2999-12-30T00:00:00Z")


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def called(browser: Browser, case: str, **arguments: Any) -> str:
    """The code of the call of a use case; `done` without an error."""
    done = browser.post(f"/api/v1/use-cases/{case}", {"arguments": arguments})
    return "done" if done.status_code == 200 else str(done.json()["code"])


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_a_recorded_time_can_be_shown_in_every_zone(site: Site, zone: str) -> None:
    """A time of another age is refused: an absence with one kept everybody from the page of users."""
    ann = site.signed_in("ann")
    about = {"user": "ann", "deputy": "bob"}
    for start, end in ((EARLY, EDGES[1]), (EDGES[0], LATE)):
        assert called(ann, "people.add_absence", **about, start=start, end=end) == "N110"
    assert called(ann, "people.add_absence", **about, start=EDGES[0], end=EDGES[1]) == "done"
    ann.cookies.set("zone", zone, domain="127.0.0.1")
    for page in ("/users", "/users/ann", "/me", "/"):
        assert (page, ann.get(page, **HTML).status_code) == (page, 200)


def test_measures_are_of_possible_times(site: Site) -> None:
    """A period with a time of another age is refused, and the longest one that is possible is measured."""
    ann = site.signed_in("ann")
    for query in (f"since={EARLY}", f"until={EARLY}", f"until={LATE}"):
        refused = ann.get(f"/api/v1/measures?{query}")
        assert (query, refused.status_code, refused.json()["code"]) == (query, 422, "N110")
    assert ann.get(f"/api/v1/measures?since={EDGES[0]}&until={EDGES[1]}").status_code == 200


def test_locks_slots_and_weeks_have_limits(office: RequestProject, site: Site) -> None:
    """A client cannot have a lock of an impossible length, or more slots and weeks than anybody reads."""
    ann = site.signed_in("ann")
    for seconds in (-5, 0, 1e300):
        assert called(ann, "control.lock", environment=PLACE, why="x", duration=seconds) == "N110"
    assert office.store.lease(PLACE) is None
    for weeks in (-1, 0, 53, 10**9):
        assert called(ann, "bookings.show_contention", weeks=weeks) == "N110"
    assert called(ann, "bookings.show_contention", weeks=52) == "done"
    slots = {"environment": PLACE, "length": "PT1M", "within": "P366D"}
    assert called(ann, "bookings.find_slots", **slots, most=10**9) == "N110"
    assert called(ann, "bookings.find_slots", **slots, most=1000) == "done"


def test_a_cursor_of_events_is_a_number_of_the_database(site: Site) -> None:
    """A larger one is refused before the stream has started."""
    for path in ("/api/v1/events", "/api/v1/record-events"):
        refused = site.signed_in("vic").get(path, last_event_id=f"{'9' * 20}.0")
        assert (path, refused.status_code, refused.json()["code"]) == (path, 422, "N110")
