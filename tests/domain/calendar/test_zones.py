"""Wall-clock times in time zones, where clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.domain.calendar.zones import ZoneName, to_utc, wall_clock, zone_of
from orchestrator.domain.model import Model

ZONES = ("Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "UTC")
CASES = [
    ("an ordinary time", "Europe/Zurich", "2026-11-29T18:00", "2026-11-29T17:00", "2026-11-29T17:00"),
    ("a time in a gap is the moment of the change", "Europe/Zurich", "2026-03-29T02:30", "2026-03-29T01:00", "2026-03-29T01:00"),
    ("the first time after a gap", "Europe/Zurich", "2026-03-29T03:00", "2026-03-29T01:00", "2026-03-29T01:00"),
    ("a time in an overlap", "Europe/Zurich", "2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T01:30"),
    ("the end of an overlap", "Europe/Zurich", "2026-10-25T03:00", "2026-10-25T02:00", "2026-10-25T02:00"),
    ("a gap of half an hour", "Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30", "2026-10-03T15:30"),
    ("an overlap of half an hour", "Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45", "2026-04-04T15:15"),
    ("a day that a country skipped", "Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00", "2011-12-30T10:00"),
    ("a leap day", "America/New_York", "2028-02-29T12:00", "2028-02-29T17:00", "2028-02-29T17:00"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "wall", "first", "second"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_wall_clock_times_have_one_meaning(zone: str, wall: str, first: str, second: str) -> None:
    """A time in a gap is the moment of the change; a time in an overlap is the first moment, or the second."""
    time = datetime.fromisoformat(wall)
    assert to_utc(time, zone) == datetime.fromisoformat(f"{first}+00:00")
    assert to_utc(time, zone, second=True) == datetime.fromisoformat(f"{second}+00:00")


MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)).map(lambda t: t.replace(second=0, microsecond=0))  # noqa: DTZ001
CHANGES = st.sampled_from([datetime(2026, 3, 29, 2), datetime(2026, 10, 25, 2), datetime(2026, 3, 8, 2), datetime(2026, 11, 1, 1), datetime(2026, 4, 5, 1)])  # noqa: DTZ001 # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    MOMENTS | st.builds(lambda t, m: t + timedelta(minutes=m), CHANGES, st.integers(-90, 150)), st.sampled_from(ZONES)
)
@example(datetime(2026, 10, 25, 2), "Europe/Zurich")  # noqa: DTZ001
def test_a_wall_clock_time_is_the_first_moment_at_which_clocks_reach_it(wall: datetime, zone: str) -> None:
    """The first or, on request, the last one, compared with clocks that are read minute by minute around the time."""
    about = wall.replace(tzinfo=zone_of(zone)).astimezone(UTC)
    reads = [about + timedelta(minutes=minute) for minute in range(-120, 121)]
    assert wall_clock(reads[0], zone) < wall
    first = next(read for read in reads if wall_clock(read, zone) >= wall)
    crossings = [
        after for before, after in pairwise(reads) if wall_clock(before, zone) < wall <= wall_clock(after, zone)
    ]
    assert to_utc(wall, zone) == first == crossings[0]
    shown = [read for read in reads if wall_clock(read, zone) == wall]
    assert to_utc(wall, zone, second=True) == max(shown, default=crossings[-1])


@given(MOMENTS, st.sampled_from(ZONES))
def test_every_moment_has_a_wall_clock_time_that_leads_to_it(moment: datetime, zone: str) -> None:
    """The two functions are inverse, except where clocks show a time twice."""
    time = moment.replace(tzinfo=UTC)
    wall = wall_clock(time, zone)
    assert time in {to_utc(wall, zone), to_utc(wall, zone, second=True)}


def test_an_unknown_zone_is_refused_with_the_nearest_name() -> None:
    """A misspelt zone gets a hint."""

    class Holder(Model):
        zone: ZoneName

    with pytest.raises(ValueError, match="did you mean 'Europe/Zurich'"):
        Holder(zone="Europe/Zuerich")
    with pytest.raises(ValueError, match="is not a time zone"):
        zone_of("../../etc/passwd")
