"""Moments in UTC, and a current time that may be uncertain because a clock has jumped."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, PlainSerializer

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.quantities import seconds

TOLERANCE_S = 5.0
"""How far a clock may differ from the time that has passed before it has jumped: 5 s."""

EARLIEST_YEAR, LATEST_YEAR = 1970, 2999
"""The years of the times that are recorded: others cannot be shown in every zone, or counted to."""


def utc(moment: datetime) -> datetime:
    """*moment* in UTC, to the millisecond. Raises `ValueError` without an offset, and for a year that UTC has not."""
    if moment.tzinfo is None:
        raise ValueError("must have an offset, such as 2026-11-29T18:00:00Z")
    try:
        whole = moment.astimezone(UTC)
    except OverflowError:  # the first and the last hours that a clock of another zone can show
        raise ValueError("is outside of the years that can be shown in UTC") from None
    return whole.replace(microsecond=whole.microsecond // 1000 * 1000)


def moment_text(moment: datetime) -> str:
    """*moment* as recorded: UTC, ISO 8601 with milliseconds. The order of texts is the order of times."""
    return utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_moment(text: str) -> datetime:
    """The moment that *text* (ISO 8601 with an offset) names. Raises `ValueError` otherwise."""
    return utc(datetime.fromisoformat(text))


def moment_of_seconds(seconds_since_1970: float) -> datetime:
    """The moment that is *seconds_since_1970*, in UTC. Raises N110 unless it is of a possible year."""
    try:
        found = datetime.fromtimestamp(seconds_since_1970, UTC)
    except (ValueError, OverflowError, OSError):
        years = f"from {EARLIEST_YEAR} to {LATEST_YEAR}"
        raise OrchestratorError("N110", f"{seconds_since_1970:g} seconds: a time {years} is possible") from None
    require_possible_times(found)
    return found


def require_possible_times(value: object) -> None:
    """Return if every time in *value*, a record or a part of one, is of a possible year. Raises N110."""
    if isinstance(value, datetime):
        if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
            years = f"from {EARLIEST_YEAR} to {LATEST_YEAR}"
            raise OrchestratorError("N110", f"{value.isoformat()}: a time {years} is possible")
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            require_possible_times(getattr(value, name))
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            require_possible_times(each)


def whole_minute(moment: datetime) -> datetime:
    """*moment* without its seconds, as a field of a form has it."""
    return moment.replace(second=0, microsecond=0)


def minute_text(moment: datetime) -> str:
    """*moment* in messages: UTC, to the minute."""
    return f"{utc(moment):%Y-%m-%d %H:%M} UTC"


def span(duration: str) -> timedelta:
    """The *duration* (`8h`, `90d`) as a time difference. Raises `ValueError` for another text."""
    return timedelta(seconds=seconds(duration))


Moment = Annotated[datetime, AfterValidator(utc), PlainSerializer(moment_text, return_type=str, when_used="json")]
"""A moment in UTC, written as ISO 8601 with milliseconds."""


@dataclass(frozen=True)
class Now:
    """The current time as an interval: the true time is between *earliest* and *latest*, both included.

    The two are equal while the clock is trusted. What expires has expired at *latest*; what opens is open at both.
    """

    earliest: datetime
    latest: datetime

    def __post_init__(self) -> None:
        if self.latest < self.earliest:
            raise ValueError("the latest time is before the earliest")

    @classmethod
    def at(cls, moment: datetime | str) -> Self:
        """A time that is certain."""
        certain = parse_moment(moment) if isinstance(moment, str) else utc(moment)
        return cls(certain, certain)

    @property
    def is_certain(self) -> bool:
        """Whether the clock is trusted."""
        return self.earliest == self.latest

    def has_reached(self, moment: datetime) -> bool:
        """Whether *moment* has certainly come: what starts then has started."""
        return self.earliest >= moment

    def may_have_reached(self, moment: datetime) -> bool:
        """Whether *moment* may have come: what ends then counts as ended."""
        return self.latest >= moment

    def within(self, start: datetime | None, end: datetime | None) -> bool:
        """Whether the time is certainly in the half-open interval from *start* to *end*; None has no limit."""
        return (start is None or self.has_reached(start)) and (end is None or not self.may_have_reached(end))


@dataclass(frozen=True)
class ClockReading:
    """What a process has read at the same moment: the *wall* clock, and a clock that only counts (*monotonic_s*)."""

    wall: datetime
    monotonic_s: float


def current_time(reading: ClockReading, before: ClockReading | None = None, recorded: datetime | None = None) -> Now:
    """The current time by *reading*.

    *before* is an earlier reading of the same process: a wall clock that has moved by more or less than the time that
    has passed has jumped, and the result contains both times. *recorded* is the newest time in the store: a wall clock
    that is behind it was set back, and the result reaches up to it.
    """
    possible = [utc(reading.wall)]
    if before is not None:
        expected = before.wall + timedelta(seconds=reading.monotonic_s - before.monotonic_s)
        if abs((reading.wall - expected).total_seconds()) > TOLERANCE_S:
            possible.append(utc(expected))
    if recorded is not None and recorded > reading.wall + timedelta(seconds=TOLERANCE_S):
        possible.append(utc(recorded))
    return Now(min(possible), max(possible))
