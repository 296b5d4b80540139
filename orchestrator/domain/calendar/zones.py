"""Time zones and wall-clock time: a rule is stored as the clock on the wall shows it, with the name of its zone.

Where clocks change, two wall-clock times are special:

- A time in a *gap* (clocks are set forward) is never shown. It means the moment of the change: the first moment at
  which the clock shows that time or a later one.
- A time in an *overlap* (clocks are set back) is shown twice. It means the first moment, as in RFC 5545, section
  3.3.5. Only the end of a freeze means the second one: in doubt an environment is closed.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator

from orchestrator.domain.text import nearest


@cache
def zone_names() -> frozenset[str]:
    """The names of all time zones of the time zone database."""
    return frozenset(name for name in available_timezones() if not name.startswith(("posix", "right", "localtime")))


def _zone(name: str) -> str:
    if name not in zone_names():
        raise ValueError(f"is not a time zone of the time zone database; {nearest(name, sorted(zone_names()))}")
    return name


ZoneName = Annotated[str, AfterValidator(_zone)]
"""The name of a time zone, such as `Europe/Zurich` or `UTC`."""


@cache
def zone_of(name: str) -> ZoneInfo:
    """The time zone called *name*. Raises `ValueError` for an unknown one."""
    return ZoneInfo(_zone(name))


def to_utc(wall: datetime, zone: str, *, second: bool = False) -> datetime:
    """The moment at which clocks in *zone* show *wall* (a time without an offset).

    In a gap, the moment of the change. In an overlap the first moment, or with *second* the second one.
    """
    if wall.tzinfo is not None:
        raise ValueError("a wall-clock time has no offset")
    place = zone_of(zone)
    # With fold=0 the offset before a change counts, with fold=1 the one after it. In a gap the two results
    # are on the two sides of the change, in reverse order.
    first, last = (wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > last:
        return _change(last, first, zone)
    return last if second else first


def _change(before: datetime, after: datetime, zone: str) -> datetime:
    """The moment between *before* and *after* at which the offset of *zone* changes, to the second."""
    place = zone_of(zone)
    offset = before.astimezone(place).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while low < high:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(place).utcoffset() == offset:
            low = middle + 1
        else:
            high = middle
    moment = before + timedelta(seconds=low)
    return moment.replace(microsecond=0)


def wall_clock(moment: datetime, zone: str) -> datetime:
    """What clocks in *zone* show at *moment*, without an offset."""
    return moment.astimezone(zone_of(zone)).replace(tzinfo=None, fold=0)
