"""When the trains of a line depart."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice

from orchestrator.domain.calendar.recurrence import starts
from orchestrator.domain.calendar.zones import to_utc, wall_clock
from orchestrator.management.trains.model import LineDraft

AHEAD = timedelta(days=400)
"""How far ahead departures are computed."""


def departures(line: LineDraft, after: datetime, limit: int = 1) -> tuple[datetime, ...]:
    """The next departures of *line* after *after*, at most *limit*, in order. None is later than 400 days."""
    found = (moment for moment in _moments(line, after) if after < moment <= after + AHEAD)
    return tuple(islice(_each_once(found), limit))


def _each_once(moments: Iterator[datetime]) -> Iterator[datetime]:
    """Each of *moments* once, and none computed before it is needed: a line may depart each hour."""
    seen: set[datetime] = set()
    for moment in moments:
        if moment not in seen:
            seen.add(moment)
            yield moment


def _moments(line: LineDraft, after: datetime) -> Iterator[datetime]:
    dates = [to_utc(wall, line.zone) for wall in sorted(line.dates)]
    if line.start is None:
        return iter(dates)
    last = wall_clock(after + AHEAD, line.zone) + timedelta(days=1)
    ruled = (to_utc(wall, line.zone) for wall in starts(line.rule, line.start, line.zone, last))
    return merge(dates, ruled)
