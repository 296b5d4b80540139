"""The calendar of a user at a secret address: what is in it, who reads it, and how it ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from icalendar import Calendar

from orchestrator.app.access import revoke
from orchestrator.app.people import disable_user
from tests.cli.request_project import RequestProject, office
from tests.server.site import HTML, Browser, Site

__all__ = ["office"]  # the fixture
EVIL = "x\\nBEGIN:VEVENT;<script>"


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with a freeze, a booking, a planned run and a train."""
    return Site(office, office.app())


def address(browser: Browser) -> str:
    """The path of a new address, from the page that shows it once."""
    page = browser.form("/me/calendar")
    assert page.status_code == 200, page.text
    return "/calendars/" + page.text.split("/calendars/")[1].split("<")[0]


def entries(site: Site, path: str) -> dict[str, Any]:
    """The entries of the calendar at *path*, by their UIDs."""
    found = site.browser().get(path)
    assert (found.status_code, found.headers["content-type"]) == (200, "text/calendar; charset=utf-8"), found.text
    return {str(event["uid"]): event for event in Calendar.from_ical(found.text).walk("VEVENT")}


def later(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="minutes")


def test_a_calendar_has_what_its_user_may_view(office: RequestProject, site: Site) -> None:
    """Freezes, bookings, planned runs and trains of the environments that the user may view, with UIDs that stay."""
    freeze = ("hard-freeze", EVIL, "--start", "2031-01-01T08:00", "--end", "2031-01-02T08:00")
    office.by("ann", "calendar", "add", *freeze, "--zone", "Europe/Berlin", "--environment", "production")
    office.by("olga", "book", "staging", "--from", later(1), "--for", "2h", "--purpose", "load test")
    office.ask("1.0.0", "--at", later(5))
    departure = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%dT%H:%M}"
    office.by("ann", "train", "line", "add", "weekly", "--stop", "staging", "--date", departure, "--zone", "UTC")
    office.by("ann", "train", "create", "weekly")
    path = address(site.signed_in("vic"))
    found = entries(site, path)
    titles = sorted(str(event["summary"]) for event in found.values())
    assert titles == [
        "promote shop 1.0.0 to production",
        "staging booked: load test",
        "train T-1 departs: weekly",
        EVIL,
    ]
    booking = found["booking-B-1.demo@orchestrator"]
    assert booking["sequence"] == found["train-T-1.demo@orchestrator"]["sequence"]
    office.by("olga", "booking", "extend", "B-1", "--until", later(4))
    assert entries(site, path)["booking-B-1.demo@orchestrator"]["sequence"] > booking["sequence"]
    revoke(site.root, "viewer", "user:vic", "*", "*")
    office.by("root", "access", "grant", "viewer", "user:vic", "--environment", "production")
    assert not any("staging booked" in str(event["summary"]) for event in entries(site, path).values())


def test_an_unchanged_calendar_is_not_sent_again(office: RequestProject, site: Site) -> None:
    """A request with the ETag of the current calendar gets 304, and after a change the new calendar."""
    path = address(site.signed_in("olga"))
    first = site.browser().get(path)
    again = site.browser().get(path, if_none_match=f"W/{first.headers['etag']}")
    assert (again.status_code, again.content) == (304, b"")
    office.by("olga", "book", "staging", "--from", later(1), "--for", "2h", "--purpose", "load test")
    assert site.browser().get(path, if_none_match=first.headers["etag"]).status_code == 200


def test_an_address_is_secret_and_ends(office: RequestProject, site: Site) -> None:
    """A wrong, replaced or revoked address, and that of a disabled user, are not found; the address reads nothing else."""
    vic = site.signed_in("vic")
    first = address(vic)
    assert "Replace the address" in vic.get("/me", **HTML).text
    assert first not in vic.get("/me", **HTML).text
    second = office.by("vic", "calendar", "subscribe")["path"]
    assert [site.browser().get(each).status_code for each in (first, second, f"/calendars/{'A' * 43}.ics")] == [
        404,
        200,
        404,
    ]
    secret = second.removeprefix("/calendars/").removesuffix(".ics")
    assert site.browser().get("/api/v1/me", authorization=f"Bearer {secret}").status_code == 401
    assert secret not in repr(office.app().register.reading(lambda records: records.audit()))
    assert office.refused("olga", "calendar", "unsubscribe", "--for", "vic")[0] == "A101"
    assert vic.form("/me/calendar/revoke").status_code == 303
    assert site.browser().get(second).status_code == 404
    third = office.by("vic", "calendar", "subscribe")["path"]
    disable_user(site.root, "vic")
    assert site.browser().get(third).status_code == 404
    assert office.by("root", "calendar", "unsubscribe", "--for", "vic") == {
        "apiVersion": "orchestrator/v1", "kind": "RevokedCalendarAddress", "user": "vic",
    }  # fmt: skip
