"""The page of an environment: bookings, and the checks of drift and parity that a worker makes."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.request_project import RequestProject, office
from tests.flow.test_promotion import release
from tests.server.site import HTML, Browser, Site
from tests.server.test_remote_requests import working

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def ended(browser: Browser, path: str) -> str:
    """The page at *path* once a worker has done what it waits for."""
    deadline = time.monotonic() + 60
    while "A worker checks" in (page := browser.get(path.partition("#")[0]).text):
        assert time.monotonic() < deadline, "no worker has checked"
        time.sleep(0.05)
    return page


def test_a_worker_checks_drift_and_parity(office: RequestProject, site: Site) -> None:
    """An operator has drift, parity and hosts checked by buttons, and reads the findings; a viewer finds no button."""
    office.go("staging", "1.0.0")
    olga, vic = site.signed_in("olga"), site.signed_in("vic")
    place = "/environments/staging"
    assert ("Check drift" in olga.get(place).text, "Check drift" in vic.get(place).text) == (True, False)
    assert "N140" in olga.form(f"{place}/drift").text
    with working(office):
        deadline = time.monotonic() + 60
        while not office.app().scheduler_runs():
            assert time.monotonic() < deadline, "no worker has started"
            time.sleep(0.05)
        for path, fields in (
            (f"{place}/drift", {}),
            (f"{place}/parity", {"with": "production"}),
            (f"{place}/observe", {}),
        ):
            refused = vic.form(path, **fields)
            assert (path, refused.status_code, "A101" in refused.text) == (path, 403, True)
        drift = olga.form(f"{place}/drift").headers["location"]
        page = ended(olga, drift)
        parity = ended(olga, olga.form(f"{place}/parity", **{"with": "production"}).headers["location"])
        part = olga.get(drift.partition("#")[0] + "&part=findings").text
    assert ("Drift:" in page, "shop 1.0.0" in page, "by olga" in page) == (True, True, True)
    assert "Parity with production" in parity
    assert ("Drift:" in part, "<main" in part) == (True, False)
    assert "Drift:" in vic.get(place).text, "what an operator has found is shown to viewers"
    assert "R103" in olga.form(f"{place}/parity", **{"with": "moon"}).text
    queued = olga.form(f"{place}/observe").headers["location"]
    assert office.store.run(queued.removeprefix("/runs/")).kind == "observe"


def test_a_worker_measures_requirements(office: RequestProject, site: Site) -> None:
    """An operator has a release's requirements measured by a button: a table of hosts, also in the API; a viewer has no button."""
    office.go("staging", "1.0.0")
    office.world.measured = {"s1": "@cpu 1"}
    package = office.packages.put(release("1.1.0", requirements=[{"cpu": 2}]))
    olga, vic = site.signed_in("olga"), site.signed_in("vic")
    place = "/environments/staging/requirements"
    assert "No release was checked in staging" in vic.get(place).text
    assert ("Check requirements" in olga.get(place).text, "Check requirements" in vic.get(place).text) == (True, False)
    with working(office):
        deadline = time.monotonic() + 60
        while not office.app().scheduler_runs():
            assert time.monotonic() < deadline, "no worker has started"
            time.sleep(0.05)
        assert vic.form(place, release=package.digest).status_code == 403
        sent = olga.form(place, release=package.digest).headers["location"]
        deadline = time.monotonic() + 60
        while "A worker measures" in olga.get(sent.partition("#")[0]).text:
            assert time.monotonic() < deadline, "no worker has measured"
            time.sleep(0.05)
    page = vic.get(f"{place}?release={package.digest}").text
    for words in ("shop 1.1.0", "not met", "required: &gt;= 2", "by olga"):
        assert words in page, words
    (report,) = vic.get(f"/api/v1{place}").json()["reports"]
    found = {host["host"]: [check["state"] for check in host["checks"]] for host in report["hosts"]}
    assert (found["s1"], report["met"]) == (["not met"], False)


def test_the_page_shows_bookings_and_the_next_free_time(office: RequestProject, site: Site) -> None:
    """The holder of an environment, and the first hour after the booking, are on its page."""
    start = (datetime.now(UTC) + timedelta(minutes=1)).isoformat(timespec="seconds")
    office.by("olga", "book", "staging", "--from", start, "--for", "4h", "--purpose", "load test")
    page = site.signed_in("olga").get("/environments/staging", **HTML).text
    for words in ("load test", "of olga", "Next free time", "/bookings?environment=staging#book"):
        assert words in page, words
    assert "Not booked." in site.signed_in("vic").get("/environments/production", **HTML).text
