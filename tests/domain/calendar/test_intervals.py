"""Half-open intervals, compared with sets of minutes."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.calendar.intervals import (
    Interval,
    free_intervals,
    interval,
    is_apart,
    merged_intervals,
    next_free_slot,
    subtracted,
)

DAY = datetime(2026, 11, 29, tzinfo=UTC)


def at(minute: int) -> datetime:
    return DAY + timedelta(minutes=minute)


def minutes(intervals: Iterable[Interval]) -> set[int]:
    found = list(intervals)
    return {minute for minute in range(60) if any(at(minute) in each for each in found)}


INTERVAL = st.tuples(st.integers(0, 59), st.integers(1, 60)).map(
    lambda pair: Interval(at(min(pair)), at(max(pair) if pair[0] != pair[1] else max(pair) + 1))
)
INTERVALS = st.lists(INTERVAL, max_size=6)
WHOLE = Interval(at(0), at(60))


def test_an_interval_contains_its_start_and_not_its_end() -> None:
    """Intervals are half-open: two that touch have no moment in common."""
    first, second = Interval(at(0), at(10)), Interval(at(10), at(20))
    assert at(0) in first
    assert at(10) not in first
    assert not first.overlaps(second)
    assert merged_intervals([second, first]) == (Interval(at(0), at(20)),)


def test_an_empty_interval_does_not_exist() -> None:
    """An interval ends after its start."""
    with pytest.raises(ValueError, match="ends after its start"):
        Interval(at(5), at(5))
    assert interval(at(5), at(5)) is None


@given(INTERVALS)
def test_merged_intervals_have_the_same_moments_and_are_apart(intervals: list[Interval]) -> None:
    """Merging changes no moment, and leaves the fewest intervals."""
    result = merged_intervals(intervals)
    assert minutes(result) == minutes(intervals)
    assert is_apart(result)
    assert all(before.end < after.start for before, after in pairwise(result))


@given(INTERVALS, INTERVALS)
def test_gaps_are_the_moments_between(intervals: list[Interval], busy: list[Interval]) -> None:
    """Gaps and subtraction give exactly the moments that are not busy."""
    assert minutes(free_intervals(busy, WHOLE)) == set(range(60)) - minutes(busy)
    assert minutes(subtracted(intervals, busy)) == minutes(intervals) - minutes(busy)


@given(INTERVALS, INTERVALS, st.integers(1, 30))
def test_the_next_free_slot_is_the_first_that_fits(opens: list[Interval], busy: list[Interval], length: int) -> None:
    """No earlier start has so many free minutes in a row."""
    free = minutes(opens) - minutes(busy)
    first = next((m for m in range(60) if set(range(m, m + length)) <= free), None)
    slot = next_free_slot(opens, busy, timedelta(minutes=length))
    assert slot == (None if first is None else Interval(at(first), at(first + length)))
