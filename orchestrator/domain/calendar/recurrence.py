"""Recurrence rules of RFC 5545 over wall-clock times. The only module that imports `dateutil`."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import prod
from typing import Annotated

from dateutil.rrule import rrule, rrulestr
from pydantic import AfterValidator

from orchestrator.domain.calendar.zones import to_utc, wall_clock
from orchestrator.domain.text import nearest

PARTS = frozenset({
    "FREQ", "UNTIL", "COUNT", "INTERVAL", "BYHOUR", "BYMINUTE", "BYSECOND", "BYDAY", "BYMONTHDAY", "BYYEARDAY",
    "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST",
})  # fmt: skip
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
"""The frequencies of a rule. Several times a day are written with BYHOUR and BYMINUTE."""
NOT_WITH = {
    "BYWEEKNO": {"DAILY", "WEEKLY", "MONTHLY"},
    "BYYEARDAY": {"DAILY", "WEEKLY", "MONTHLY"},
    "BYMONTHDAY": {"WEEKLY"},
}
"""Which parts a rule of a frequency does not have: RFC 5545, section 3.3.10."""
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

MAX_TEXT = 500  # characters of a rule
MAX_INTERVAL = 1000
MAX_COUNT = 10_000
MAX_TIMES_A_DAY = 24
LAST_YEAR = 2199
"""The last year that any rule reaches: the search for a rule that never matches ends with it."""

_UNTIL = re.compile(r"^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?$", re.ASCII)
_NUMBER = re.compile(r"^[1-9][0-9]{0,5}$", re.ASCII)
_SEARCH = timedelta(days=366)
_ANCHOR = datetime(2024, 1, 1)  # noqa: DTZ001 - a wall-clock time has no offset


def rule_parts(text: str) -> dict[str, str]:
    """The parts of a rule, `FREQ=WEEKLY;BYDAY=FR`, by name. Raises `ValueError` for anything that is not a rule."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"is longer than {MAX_TEXT} characters")
    parts: dict[str, str] = {}
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"has {part!r}, which is not NAME=VALUE")
        if name not in PARTS:
            raise ValueError(f"has the unknown part {name}; {nearest(name, sorted(PARTS))}")
        if name in parts:
            raise ValueError(f"has {name} twice")
        parts[name] = value
    return parts


def _rule(text: str) -> str:
    parts = rule_parts(text)
    if parts.get("FREQ") not in FREQUENCIES:
        raise ValueError(f"must have FREQ, one of {', '.join(FREQUENCIES)}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("has COUNT and UNTIL: a rule has one end")
    for name, limit in (("INTERVAL", MAX_INTERVAL), ("COUNT", MAX_COUNT)):
        value = parts.get(name, "1")
        if not _NUMBER.fullmatch(value) or int(value) > limit:
            raise ValueError(f"has {name}={value}; {name} is a number from 1 to {limit}")
    if "UNTIL" in parts:
        _until(parts["UNTIL"], "UTC")
    _check_parts(parts)
    try:
        _compiled(parts, _ANCHOR)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"is not a rule of RFC 5545: {error}") from None
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _check_parts(parts: dict[str, str]) -> None:
    """Refuse what RFC 5545 does not allow together, too many times a day, and days that no month has.

    `dateutil` searches up to the year 9999 for a rule that never matches.
    """
    for name, frequencies in NOT_WITH.items():
        if name in parts and parts["FREQ"] in frequencies:
            raise ValueError(f"has {name}, which does not go with FREQ={parts['FREQ']}")
    times = prod(len(parts.get(name, "0").split(",")) for name in ("BYHOUR", "BYMINUTE", "BYSECOND"))
    if times > MAX_TIMES_A_DAY:
        raise ValueError(f"has {times} times a day; at most {MAX_TIMES_A_DAY} are allowed")
    try:
        months = [int(month) for month in parts.get("BYMONTH", "1").split(",")]
        days = [abs(int(day)) for day in parts.get("BYMONTHDAY", "1").split(",")]
    except ValueError:
        raise ValueError("is not a rule of RFC 5545: BYMONTH and BYMONTHDAY are numbers") from None
    if any(month not in range(1, 13) for month in months):
        raise ValueError("is not a rule of RFC 5545: BYMONTH is a number from 1 to 12")
    if not any(1 <= day <= _DAYS[month - 1] for month in months for day in days):
        raise ValueError("never matches: none of its months has these days")


Rule = Annotated[str, AfterValidator(_rule)]
"""A recurrence rule of RFC 5545, such as `FREQ=WEEKLY;BYDAY=FR`."""


def _compiled(parts: dict[str, str], start: datetime, until: datetime | None = None) -> rrule:
    """The rule of *parts* from *start*, without COUNT, up to *until* (included)."""
    text = ";".join(f"{name}={value}" for name, value in parts.items() if name not in {"UNTIL", "COUNT"})
    rule = rrulestr(text, dtstart=start)
    if not isinstance(rule, rrule):
        raise TypeError("several rules in one")
    return rule if until is None else rule.replace(until=until)


def _until(text: str, zone: str) -> datetime:
    """The last wall-clock time in *zone* that UNTIL=*text* allows. A date allows that whole day."""
    found = _UNTIL.fullmatch(text)
    if not found:
        raise ValueError(f"has UNTIL={text}; write it as 20261231, 20261231T180000 or 20261231T170000Z")
    year, month, day = (int(part) for part in found.groups()[:3])
    if found[4] is None:
        return datetime(year, month, day) + timedelta(days=1, microseconds=-1)  # noqa: DTZ001
    hour, minute, second = (int(part) for part in found.groups()[3:6])
    moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
    return wall_clock(moment.replace(tzinfo=UTC), zone) if found[7] else moment


def starts(rule: str | None, first: datetime, zone: str, last: datetime) -> Iterator[datetime]:
    """The wall-clock times at which occurrences start, in order, from *first* up to *last* (included).

    Without a *rule* that is *first* alone.
    """
    if rule is None:
        if first <= last:
            yield first
        return
    parts = rule_parts(rule)
    last = min(last, datetime(LAST_YEAR, 12, 31))  # noqa: DTZ001
    if "UNTIL" in parts:
        last = min(last, _until(parts["UNTIL"], zone))
    if first <= last:
        yield from islice(_compiled(parts, first, last), int(parts["COUNT"]) if "COUNT" in parts else None)


def check_first(rule: str, first: datetime, zone: str) -> None:
    """Raise `ValueError` if *rule* does not give *first*, with its next start.

    RFC 5545 leaves the occurrences of such a rule undefined, and programs differ about them.
    """
    if first in starts(rule, first, zone, first):
        return
    following = next(starts(rule, first, zone, first + _SEARCH), None)
    hint = f"its next start is {following:%Y-%m-%dT%H:%M}" if following else "it has no start in the year after that"
    raise ValueError(f"starts at {first:%Y-%m-%dT%H:%M}, a time that its rule does not give; {hint}")


def rule_in_utc(rule: str, zone: str) -> str:
    """*rule* with its UNTIL in UTC, as RFC 5545 requires it in calendar files for times with a zone."""
    parts = rule_parts(rule)
    if "UNTIL" in parts and not parts["UNTIL"].endswith("Z"):
        last = _until(parts["UNTIL"], zone).replace(microsecond=0)
        parts["UNTIL"] = f"{to_utc(last, zone, second=True):%Y%m%dT%H%M%SZ}"
    return ";".join(f"{name}={value}" for name, value in parts.items())
