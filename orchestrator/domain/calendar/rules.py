"""Rules of the calendar: windows, freezes and holidays, and the occurrences that they have."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema, model_validator

from orchestrator.domain.calendar.intervals import Interval, interval
from orchestrator.domain.calendar.recurrence import Rule, check_first, starts
from orchestrator.domain.calendar.zones import ZoneName, to_utc, wall_clock
from orchestrator.domain.model import Model, text_schema
from orchestrator.domain.risk.kinds import ChangeKind

MAX_LENGTH = timedelta(days=400)
"""How long one occurrence lasts at most."""
MAX_DATES = 1000
_PATTERN = re.compile(r"^[a-z0-9*?-]{1,63}$")


class RuleKind(StrEnum):
    """What a rule does to an environment while one of its occurrences lasts."""

    WINDOW = "window"
    """Promotions are allowed. An environment with windows is closed outside of them."""
    HARD_FREEZE = "hard-freeze"
    """No promotion starts."""
    SOFT_FREEZE = "soft-freeze"
    """Only the kinds of change that the rule allows start; by default emergency changes."""
    HOLIDAY = "holiday"
    """A soft freeze of whole days."""

    @property
    def closes(self) -> bool:
        """Whether an occurrence closes an environment."""
        return self is not RuleKind.WINDOW


def _wall(time: datetime) -> datetime:
    if time.tzinfo is not None:
        raise ValueError("must be a wall-clock time without an offset, such as 2026-11-27T18:00; the zone has a field")
    return time.replace(microsecond=0)


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text):
        raise ValueError("must be the name of an environment, or a pattern with * and ?")
    return text


WallTime = Annotated[
    datetime,
    AfterValidator(_wall),
    PlainSerializer(lambda time: time.isoformat(timespec="seconds"), return_type=str, when_used="json"),
    WithJsonSchema(text_schema(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$")),
]
"""A time as clocks on the wall show it, without an offset."""

EnvironmentPattern = Annotated[str, AfterValidator(_pattern)]
"""The name of an environment, or a pattern with `*` and `?`."""


class MovedDate(Model):
    """One occurrence of a series with times of its own. *original* is the start that the series gives it."""

    original: WallTime
    start: WallTime
    end: WallTime


class CalendarRule(Model):
    """A window, freeze or holiday, once or by a recurrence rule.

    *start* and *end* are wall-clock times in *zone*; an occurrence lasts the same time on the wall clock, even where
    clocks change in it. *except_* are starts that are left out, *also* are further starts, *moved* are occurrences
    with times of their own. *allows* are the kinds of change that pass a soft freeze or a holiday. *override_role* is
    the role that may pass the rule with a reason. *uid* and *sequence* identify the version of an entry in a calendar
    file. *source* names what maintains the rule.
    """

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    kind: RuleKind
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    environments: Annotated[tuple[EnvironmentPattern, ...], Field(min_length=1)] = ("*",)
    start: WallTime
    end: WallTime
    zone: ZoneName
    rule: Rule | None = None
    except_: Annotated[tuple[WallTime, ...], Field(max_length=MAX_DATES)] = ()
    also: Annotated[tuple[WallTime, ...], Field(max_length=MAX_DATES)] = ()
    moved: Annotated[tuple[MovedDate, ...], Field(max_length=MAX_DATES)] = ()
    allows: tuple[ChangeKind, ...] = (ChangeKind.EMERGENCY,)
    override_role: str | None = None
    owner: str = ""
    reason: str = ""
    source: Literal["file", "manual", "ics"] = "manual"
    uid: str | None = None
    sequence: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _has_times(self) -> Self:
        for start, end in ((self.start, self.end), *((date.start, date.end) for date in self.moved)):
            if end <= start:
                raise ValueError(f"ends at {end:%Y-%m-%dT%H:%M}, which is not after its start")
            if end - start > MAX_LENGTH:
                raise ValueError(f"lasts longer than {MAX_LENGTH.days} days")
        if self.rule is not None:
            check_first(self.rule, self.start, self.zone)
        if len({date.original for date in self.moved}) < len(self.moved):
            raise ValueError("moves one date twice")
        return self

    def applies_to(self, environment: str) -> bool:
        """Whether the rule is for *environment*."""
        return any(fnmatchcase(environment, pattern) for pattern in self.environments)

    def lets_pass(self, change: ChangeKind) -> bool:
        """Whether a change of this kind passes while an occurrence lasts."""
        match self.kind:
            case RuleKind.WINDOW:
                return True
            case RuleKind.HARD_FREEZE:
                return False
            case _:
                return change in self.allows


@dataclass(frozen=True)
class Occurrence:
    """One time at which a *rule* applies, as an *interval* in UTC. *original* is its start in the series."""

    rule: CalendarRule
    interval: Interval
    original: datetime

    @property
    def sort_key(self) -> tuple[datetime, datetime, str]:
        """By time, then by rule: the order does not depend on where the rules came from."""
        return (self.interval.start, self.interval.end, self.rule.id)


@lru_cache(maxsize=512)
def occurrences(rule: CalendarRule, within: Interval) -> tuple[Occurrence, ...]:
    """The occurrences of *rule* that overlap *within*, in order.

    An occurrence whose wall-clock times are all in a gap has no time and is left out.
    """
    found = {
        original: each
        for original, start, end in _wall_times(rule, within)
        if (each := _interval(rule, start, end)) is not None and each.overlaps(within)
    }
    return tuple(
        sorted((Occurrence(rule, each, at) for at, each in found.items()), key=lambda occurrence: occurrence.sort_key)
    )


def _wall_times(rule: CalendarRule, within: Interval) -> Iterator[tuple[datetime, datetime, datetime]]:
    """Original start, start and end of each occurrence that may overlap *within*, as wall-clock times."""
    length = rule.end - rule.start
    left_out = set(rule.except_) | {date.original for date in rule.moved}
    day = timedelta(days=2)  # wall clocks differ from UTC by less
    first, last = wall_clock(within.start, rule.zone) - length - day, wall_clock(within.end, rule.zone) + day
    series = (*starts(rule.rule, rule.start, rule.zone, last), *rule.also)
    for start in series:
        if first <= start <= last and start not in left_out:
            yield start, start, start + length
    for date in rule.moved:
        yield date.original, date.start, date.end


def _interval(rule: CalendarRule, start: datetime, end: datetime) -> Interval | None:
    """The moments of an occurrence; None if it has none. The end of a freeze that clocks show twice is the second."""
    return interval(to_utc(start, rule.zone), to_utc(end, rule.zone, second=rule.kind.closes))


def expand(rules: Iterable[CalendarRule], environment: str, within: Interval) -> tuple[Occurrence, ...]:
    """The occurrences in *within* of all *rules* that apply to *environment*, in order."""
    found = (each for rule in rules if rule.applies_to(environment) for each in occurrences(rule, within))
    return tuple(sorted(found, key=lambda occurrence: occurrence.sort_key))
