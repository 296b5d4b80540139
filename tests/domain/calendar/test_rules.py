"""Rules of the calendar and their occurrences, with values and against a naive implementation."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.rules import CalendarRule, expand, occurrences
from orchestrator.domain.calendar.zones import to_utc

YEAR = Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def rule(**fields: Any) -> CalendarRule:
    start = {"start": "2026-01-02T22:00:00", "end": "2026-01-03T02:00:00", "zone": "Europe/Zurich"}
    return CalendarRule.from_json({"id": "w", "kind": "window", "title": "Friday", **start, **fields})


def times(each: CalendarRule, within: Interval = YEAR) -> list[tuple[str, str]]:
    return [
        (f"{found.interval.start:%m-%d %H:%M}", f"{found.interval.end:%m-%d %H:%M}")
        for found in occurrences(each, within)
    ]


def test_a_series_keeps_its_wall_clock_time_when_clocks_change() -> None:
    """A window on Fridays at 22:00 starts at 21:00 UTC in winter and at 20:00 UTC in summer."""
    found = times(rule(rule="FREQ=WEEKLY;BYDAY=FR"))
    assert found[0] == ("01-02 21:00", "01-03 01:00")
    assert ("03-27 21:00", "03-28 01:00") in found
    assert ("04-03 20:00", "04-04 00:00") in found
    assert len(found) == 52


@pytest.mark.parametrize(
    ("kind", "start", "end", "expected"),
    [
        ("window", "2026-03-29T01:30:00", "2026-03-29T04:00:00", [("03-29 00:30", "03-29 02:00")]),
        ("window", "2026-03-29T02:10:00", "2026-03-29T03:10:00", [("03-29 01:00", "03-29 01:10")]),
        ("window", "2026-03-29T02:10:00", "2026-03-29T02:50:00", []),
        ("window", "2026-10-25T02:10:00", "2026-10-25T02:50:00", [("10-25 00:10", "10-25 00:50")]),
        ("hard-freeze", "2026-10-25T02:10:00", "2026-10-25T02:50:00", [("10-25 00:10", "10-25 01:50")]),
        ("window", "2026-10-24T22:00:00", "2026-10-25T06:00:00", [("10-24 20:00", "10-25 05:00")]),
    ],
    ids=["over a gap", "from a gap", "inside a gap", "in an overlap", "a freeze in an overlap", "over an overlap"],
)
def test_occurrences_where_clocks_change(kind: str, start: str, end: str, expected: list[tuple[str, str]]) -> None:
    """A window is as its wall-clock times are; a freeze that ends at a time that is shown twice ends at the second."""
    assert times(rule(kind=kind, start=start, end=end)) == expected


def test_leap_days_endless_rules_exceptions_and_moved_dates() -> None:
    """Each form of a series has the dates that RFC 5545 gives it."""
    leap = rule(start="2024-02-29T08:00:00", end="2024-02-29T09:00:00", zone="UTC", rule="FREQ=YEARLY")
    decade = Interval(YEAR.start, YEAR.end + timedelta(days=3653))
    assert [f"{each.interval.start:%Y-%m-%d}" for each in occurrences(leap, decade)] == [
        "2028-02-29",
        "2032-02-29",
        "2036-02-29",
    ]
    daily = rule(start="2026-01-01T08:00:00", end="2026-01-01T09:00:00", zone="UTC", rule="FREQ=DAILY;COUNT=4",
                 except_=["2026-01-02T08:00:00"], also=["2026-02-01T08:00:00"],
                 moved=[{"original": "2026-01-03T08:00:00", "start": "2026-01-03T20:00:00", "end": "2026-01-03T22:00:00"}])  # fmt: skip
    assert times(daily) == [("01-01 08:00", "01-01 09:00"), ("01-03 20:00", "01-03 22:00"), ("01-04 08:00", "01-04 09:00"), ("02-01 08:00", "02-01 09:00")]  # fmt: skip
    third = rule(
        start="2026-01-17T08:00:00", end="2026-01-17T09:00:00", zone="UTC", rule="FREQ=MONTHLY;BYDAY=3SA;UNTIL=20260321"
    )
    assert [start for start, _ in times(third)] == ["01-17 08:00", "02-21 08:00", "03-21 08:00"]


def test_the_end_of_a_rule_in_utc_counts_in_the_zone() -> None:
    """UNTIL=...Z is converted to the wall clock of the rule's zone."""
    ends = rule(rule="FREQ=WEEKLY;BYDAY=FR;UNTIL=20260109T210000Z")
    assert [start for start, _ in times(ends)] == ["01-02 21:00", "01-09 21:00"]
    assert [start for start, _ in times(rule(rule="FREQ=WEEKLY;BYDAY=FR;UNTIL=20260109T205959Z"))] == ["01-02 21:00"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"rule": "FREQ=FORTNIGHTLY"}, "must have FREQ"),
        ({"rule": "FREQ=SECONDLY"}, "must have FREQ"),
        ({"rule": "FREQ=DAILY;BYEASTER=1"}, "unknown part BYEASTER"),
        ({"rule": "FREQ=DAILY;FREQ=DAILY"}, "FREQ twice"),
        ({"rule": "FREQ=DAILY;COUNT=2;UNTIL=20270101"}, "one end"),
        ({"rule": "FREQ=DAILY;INTERVAL=0"}, "INTERVAL is a number"),
        ({"rule": "FREQ=DAILY;UNTIL=tomorrow"}, "UNTIL=TOMORROW"),
        ({"rule": "FREQ=WEEKLY;BYDAY=XX"}, "not a rule of RFC 5545"),
        ({"rule": "FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60)))}, "60 times a day"),
        ({"rule": "FREQ=DAILY\nEXRULE:FREQ=DAILY"}, "not a rule|NAME=VALUE|must have FREQ"),
        ({"rule": "FREQ=WEEKLY;BYDAY=SU"}, "its next start is 2026-01-04T22:00"),
        ({"rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "never matches"),
        ({"rule": "FREQ=DAILY;BYMONTH=13"}, "from 1 to 12"),
        ({"rule": "FREQ=DAILY;BYWEEKNO=3"}, "does not go with FREQ=DAILY"),
        ({"rule": "FREQ=HOURLY"}, "must have FREQ"),
        ({"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"}, "no start in the year"),
        ({"end": "2026-01-02T22:00:00"}, "not after its start"),
        ({"start": "2026-01-02T22:00:00Z"}, "without an offset"),
        ({"zone": "Mars/Olympus"}, "is not a time zone"),
        ({"environments": ["prod/*"]}, "name of an environment"),
        ({"environments": []}, "at least 1 item"),
    ],
)
def test_a_bad_rule_is_refused_with_the_reason(fields: dict[str, Any], problem: str) -> None:
    """Nothing that two programs could read differently becomes a rule."""
    with pytest.raises(ValidationError, match=problem):
        rule(**fields)


DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


@st.composite
def weekly(draw: st.DrawFn) -> tuple[str, set[int], int, date]:
    days = draw(st.sets(st.integers(0, 6), min_size=1, max_size=4))
    interval = draw(st.integers(1, 3))
    first = draw(st.dates(date(2025, 12, 1), date(2026, 6, 1)).filter(lambda day: day.weekday() in days))
    names = ",".join(DAYS[day] for day in sorted(days))
    return f"FREQ=WEEKLY;BYDAY={names};INTERVAL={interval}", days, interval, first


@settings(max_examples=60, deadline=None)
@given(weekly(), st.integers(0, 23), st.integers(1, 40), st.sampled_from(["Europe/Zurich", "America/New_York", "UTC"]))
def test_weekly_series_are_as_a_naive_count_of_days(
    series: tuple[str, set[int], int, date], hour: int, hours: int, zone: str
) -> None:
    """Every day of the year is tried; weeks start on Mondays."""
    text, days, interval, first = series
    start = datetime.combine(first, datetime.min.time()) + timedelta(hours=hour)
    each = rule(start=start.isoformat(), end=(start + timedelta(hours=hours)).isoformat(), zone=zone, rule=text)
    monday = first - timedelta(days=first.weekday())
    expected = []
    for number in range(420):
        day = first + timedelta(days=number)
        if day.weekday() in days and ((day - monday).days // 7) % interval == 0:
            wall = datetime.combine(day, datetime.min.time()) + timedelta(hours=hour)
            begin, end = to_utc(wall, zone), to_utc(wall + timedelta(hours=hours), zone)
            if begin < end and begin < YEAR.end and end > YEAR.start:
                expected.append(Interval(begin, end))
    assert [found.interval for found in occurrences(each, YEAR)] == [e for e in expected if e.start < YEAR.end]


@settings(max_examples=60, deadline=None)
@given(st.integers(-3, 5).filter(bool), st.integers(0, 6), st.integers(1, 3), st.integers(1, 5))
def test_monthly_series_are_as_a_naive_count_of_days(nth: int, weekday: int, interval: int, number: int) -> None:
    """The third Saturday, the last Friday: months without such a day are skipped."""
    expected: list[date] = []
    for month in range(24):
        day = date(2025 + month // 12, month % 12 + 1, 1)
        days = [d for n in range(31) if (d := day + timedelta(days=n)).month == day.month and d.weekday() == weekday]
        if abs(nth) <= len(days):
            chosen = days[nth - 1 if nth > 0 else nth]
            if (
                not expected
                or ((chosen.year - expected[0].year) * 12 + chosen.month - expected[0].month) % interval == 0
            ):
                expected.append(chosen)
    text = f"FREQ=MONTHLY;BYDAY={nth}{DAYS[weekday]};INTERVAL={interval};COUNT={number}"
    each = rule(start=f"{expected[0]}T08:00:00", end=f"{expected[0]}T09:00:00", zone="UTC", rule=text)
    found = occurrences(each, Interval(datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)))
    assert [f.interval.start.date() for f in found] == expected[:number]


def test_rules_apply_by_pattern_in_a_stable_order() -> None:
    """The order of occurrences does not depend on the order of the rules."""
    one = rule(id="b", environments=["prod-*"])
    two = rule(id="a", environments=["prod-eu", "staging"])
    assert [each.rule.id for each in expand([one, two], "prod-eu", YEAR)] == ["a", "b"]
    assert expand([one, two], "prod-eu", YEAR) == expand([two, one], "prod-eu", YEAR)
    assert [each.rule.id for each in expand([one, two], "staging", YEAR)] == ["a"]
    assert CalendarRule.from_json(one.to_json()) == one
