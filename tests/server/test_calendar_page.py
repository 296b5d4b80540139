"""The calendar as a drawing: the days of a month, week and timeline, and the place of each entry in them."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from orchestrator.web.pages.drawn_calendar import COLUMNS, LANES, Entry, days_of, rows_of, span_of
from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import at, lay_line
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def entry(start: datetime, hours: float, kind: str = "booking") -> Entry:
    """An entry of staging."""
    return Entry(kind, "x", start, start + timedelta(hours=hours), ("staging",))


@pytest.mark.parametrize(
    ("view", "first", "days"), [("month", "2026-10-26", 42), ("week", "2026-11-23", 7), ("timeline", "2026-11-23", 28)]
)
def test_a_drawing_has_whole_weeks(view: str, first: str, days: int) -> None:
    """Each view begins on a Monday, and leads to the one before and after without a gap."""
    span = span_of(view, date(2026, 11, 29), "Europe/Berlin")
    assert (span.first, span.days) == (date.fromisoformat(first), days)
    assert span.start == datetime.fromisoformat(f"{first}T00:00+01:00")
    after, before = span_of(view, span.after, span.zone), span_of(view, span.before, span.zone)
    assert span_of(view, after.before, span.zone).first == span.first
    assert span_of(view, before.after, span.zone).first == span.first


def test_an_entry_is_placed_by_the_clocks_of_the_zone() -> None:
    """Noon is in the middle of its day, also in the week in which clocks change."""
    span = span_of("week", date(2026, 10, 25), "Europe/Berlin")
    noon = datetime(2026, 10, 25, 11, tzinfo=UTC)
    [row] = rows_of(span, ("staging",), {"staging": [entry(noon, 12)]})
    assert [(each.column, each.width, each.lane) for each in row.drawn] == [(6 * 8 + 4 + 1, 4, 2)]


def test_entries_at_the_same_time_have_lanes_of_their_own() -> None:
    """Entries that overlap do not cover each other; those without a lane are counted; windows have the first lane."""
    span = span_of("week", date(2026, 11, 23), "UTC")
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    several = [entry(monday, 24) for _ in range(LANES + 1)] + [entry(monday, 24, "window")]
    [row] = rows_of(span, ("staging",), {"staging": several})
    assert sorted(each.lane for each in row.drawn) == list(range(1, LANES + 1))
    assert row.hidden == 2
    [row] = rows_of(span, ("staging",), {"staging": [entry(monday - timedelta(9), 9000)]})
    assert [(each.column, each.width) for each in row.drawn] == [(1, COLUMNS)]


def test_a_day_has_what_lasts_into_it() -> None:
    """An entry is in each day in which it has a moment; one that ends at midnight is not in the next day."""
    span = span_of("month", date(2026, 11, 1), "UTC")
    found = {
        f"{each.day:%m-%d}": len(each.entries)
        for each in days_of(span, [entry(datetime(2026, 11, 3, 12, tzinfo=UTC), 36)])
    }
    assert (found["11-03"], found["11-04"], found["11-05"]) == (1, 1, 0)


def test_the_page_draws_windows_freezes_bookings_and_runs(office: RequestProject, site: Site) -> None:
    """Each view has every kind of entry with its page, in the zone of the address or of the reader."""
    office.go("staging", "1.0.0")
    now = datetime.now(UTC)
    today = now.strftime("%Y-%m-%dT")
    office.by(
        "ann",
        "calendar",
        "add",
        "window",
        "office hours",
        "--start",
        f"{today}08:00",
        "--end",
        f"{today}17:00",
        "--zone",
        "UTC",
    )
    office.by(
        "ann",
        "calendar",
        "add",
        "hard-freeze",
        EVIL,
        "--start",
        f"{today}00:00",
        "--end",
        f"{today}07:00",
        "--zone",
        "UTC",
        "--environment",
        "production",
    )
    start = now  # on the day of the page at any time of the day
    site.signed_in("olga").form(
        "/bookings", environment="staging", start=start.isoformat(), hours="1", purpose="load test", wait="yes"
    )
    vic = site.signed_in("vic")
    for view in ("month", "week", "timeline"):
        page = vic.get(f"/calendar?view={view}&day={now:%Y-%m-%d}").text
        for words in ("office hours", "load test", "/bookings/B-1", "/runs/", "&lt;img"):
            assert words in page, (view, words)
        assert (EVIL in page, " style=" in page) == (False, False)
    auckland = vic.get("/calendar?view=week&zone=Pacific/Auckland").text
    assert ("Pacific/Auckland" in auckland, "NZDT" in auckland or "NZST" in auckland) == (True, True)
    for query in ("?zone=Europe/Nowhere", "?view=year", "?day=tomorrow", "?day=0001-01-01", "?day=9999-12-31"):
        assert (query, vic.get(f"/calendar{query}", **HTML).status_code) == (query, 422)


def test_the_calendar_has_trains_releases_clashes_and_earlier_runs(office: RequestProject, site: Site) -> None:
    """The calendar has trains, planned releases and bookings that wait; an earlier month has its runs, and not those of today."""
    office.go("staging", "1.0.0")
    run = office.store.runs(limit=1)[0].id
    lay_line(office)
    times = ("--freeze", at(2), "--release-at", at(3))
    office.by("ann", "release", "plan", "Advent", "--to", "production", *times)
    for purpose in ("load test", "drill"):
        start = ("--from", at(1), "--for", "4h", "--purpose", purpose, "--wait")
        office.by("olga" if purpose == "load test" else "ann", "book", "staging", *start)
    vic = site.signed_in("vic")
    page = vic.get("/calendar?view=timeline").text
    for path in ("/trains/T-1", "/planned-releases/REL-1", "/bookings/B-1", "/bookings/B-2", f"/runs/{run}"):
        assert f'href="{path}"' in page, path
    assert re.search(r'class="ev clash[^>]*title="clash: drill', page)
    earlier = datetime.now(UTC) - timedelta(days=70)
    assert f'href="/runs/{run}"' not in vic.get(f"/calendar?day={earlier:%Y-%m-%d}").text
    home = vic.get("/").text
    for path in ("/bookings/B-1", "/planned-releases/REL-1"):
        assert f'href="{path}"' in home, path
    assert home.index("/bookings/B-1") < home.index("/planned-releases/REL-1")
    place = vic.get("/environments/staging").text
    assert "Demand by week" in place
    assert 'href="/bookings/B-2"' in place.partition('id="demand"')[2].partition("</table>")[0]


def test_a_release_that_was_frozen_does_not_come_next(office: RequestProject, site: Site) -> None:
    """Home announces the freeze of a planned release until its scope is frozen; then the calendar shows when that was."""
    times = ("--freeze", at(2), "--release-at", at(3))
    office.packages.put(office.release("1.0.0"))
    office.by("ann", "release", "plan", "Advent", "--to", "production", *times, "--package", "shop-1.0.0")
    vic = site.signed_in("vic")
    assert "REL-1 Advent: freeze" in vic.get("/").text
    office.by("ann", "release", "confirm", "REL-1")
    office.by("ann", "release", "freeze", "REL-1")
    home = vic.get("/").text
    assert ("REL-1 Advent: fr" in home, "REL-1 Advent: release" in home) == (False, True)
    assert "REL-1 Advent: frozen" in vic.get("/calendar?view=timeline").text


def test_home_names_where_the_line_is_stopped(office: RequestProject, site: Site) -> None:
    """While the line is stopped, Home names the environments, the reason and the user."""
    office.by("ann", "line", "stop", "--all", "-m", "a leak in the hall")
    home = site.signed_in("vic").get("/").text
    assert "The line of all environments is stopped" in home
    assert "a leak in the hall (ann)" in home


def test_times_are_in_the_zone_of_the_browser_without_a_choice(site: Site) -> None:
    """The zone that `keys.js` sets is used, a name that is not a zone is not, and the choice of the account comes first."""
    vic = site.signed_in("vic")
    for name, value, zone in (
        ("browser-zone", "x", "UTC"),
        ("browser-zone", "Pacific/Auckland", "Pacific/Auckland"),
        ("zone", "Europe/Berlin", "Europe/Berlin"),
    ):
        vic.cookies.set(name, value)
        assert f'value="{zone}"' in vic.get("/calendar").text, (name, value)
