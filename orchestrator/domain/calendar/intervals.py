"""Half-open intervals of time: the start belongs to an interval, the end does not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise


@dataclass(frozen=True, order=True)
class Interval:
    """The moments from *start* (included) to *end* (not included), both in UTC. Never empty."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("an interval ends after its start")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def length(self) -> timedelta:
        """The time between the start and the end."""
        return self.end - self.start

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two have a moment in common. Intervals that only touch have none."""
        return self.start < other.end and other.start < self.end


def interval(start: datetime, end: datetime) -> Interval | None:
    """The interval from *start* to *end*; None if it would be empty."""
    return Interval(start, end) if start < end else None


def merged_intervals(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same moments as the fewest intervals, in order. Intervals that touch become one. O(k log k)."""
    result: list[Interval] = []
    for each in sorted(intervals):
        if result and each.start <= result[-1].end:
            result[-1] = Interval(result[-1].start, max(result[-1].end, each.end))
        else:
            result.append(each)
    return tuple(result)


def free_intervals(busy: Iterable[Interval], within: Interval) -> Iterator[Interval]:
    """The moments of *within* that are in none of *busy*, as the fewest intervals, in order."""
    start = within.start
    for each in merged_intervals(busy):
        if each.start >= within.end:
            break
        if free := interval(start, each.start):
            yield free
        start = max(start, each.end)
    if free := interval(start, within.end):
        yield free


def subtracted(intervals: Iterable[Interval], busy: Iterable[Interval]) -> tuple[Interval, ...]:
    """The moments of *intervals* that are in none of *busy*."""
    taken = merged_intervals(busy)
    return tuple(free for each in merged_intervals(intervals) for free in free_intervals(taken, each))


def next_free_slot(open_times: Iterable[Interval], busy: Iterable[Interval], length: timedelta) -> Interval | None:
    """The first interval of *length* inside *open_times* that overlaps none of *busy*; None if there is not any.

    Sweeps once over the merged intervals: O(k log k) for k intervals.
    """
    if length <= timedelta(0):
        raise ValueError("a slot has a length")
    for free in subtracted(open_times, busy):
        if free.length >= length:
            return Interval(free.start, free.start + length)
    return None


def is_apart(intervals: Iterable[Interval]) -> bool:
    """Whether no two of *intervals* overlap."""
    return all(not before.overlaps(after) for before, after in pairwise(sorted(intervals)))
