"""Times as a reader finds them: one shape, with the age."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.cli.words import when
from orchestrator.domain.text import age, moment

NOW = datetime(2026, 3, 5, 12, 30, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 m"), (3599, "59 m"), (3600, "1 h"), (172_799, "47 h"), (172_800, "2 d")],
)
def test_an_age_is_in_one_unit(passed: float, text: str) -> None:
    """An age has one unit, which is the largest one that still says something."""
    assert age(passed) == text


def test_a_time_has_its_age() -> None:
    """A time is local, has the date where it is another day, the year where it is another year, and its age."""
    local = NOW.astimezone()
    for passed, shape, old in (
        (timedelta(seconds=5), "%H:%M", "5 s ago"),
        (timedelta(days=3), "%m-%d %H:%M", "3 d ago"),
        (timedelta(days=400), "%Y-%m-%d %H:%M", "400 d ago"),
        (-timedelta(seconds=90), "%H:%M", "in 1 m"),
    ):
        assert when((NOW - passed).isoformat(), NOW) == f"{(local - passed).strftime(shape)} ({old})"
    assert when(None) == "–"


def test_a_recorded_time_is_utc_with_its_age() -> None:
    """A time in a recorded message is UTC, with its age at that moment where the message is about how long it takes."""
    at = (NOW - timedelta(minutes=20)).isoformat()
    assert moment(at) == "2026-03-05 12:10 UTC"
    assert moment(at, NOW.isoformat()) == "2026-03-05 12:10 UTC, 20 m ago"
    assert moment("", NOW.isoformat()) == "an unknown time"
