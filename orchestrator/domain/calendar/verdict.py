"""Whether an environment is open at a time: one pure function, used by plan, status, admission and every document.

An environment is closed by a hard freeze, by a soft freeze or holiday that the kind of change does not pass, by a
stopped line, by a booking of another holder, for a package before its planned time, and outside of its windows if it
has any. A freeze takes precedence over a window. A rollback is always open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from orchestrator.domain.calendar.intervals import Interval, free_intervals, merged_intervals
from orchestrator.domain.calendar.rules import CalendarRule, RuleKind, expand
from orchestrator.domain.model import Model
from orchestrator.domain.moments import Moment, Now, minute_text, moment_text
from orchestrator.domain.risk.kinds import ChangeKind

HORIZON = timedelta(days=400)
"""How far ahead the calendar is computed. What is closed up to there has no known end."""


class Cause(StrEnum):
    """What closes an environment, in the order in which causes are shown."""

    LINE_STOPPED = "line-stopped"
    HARD_FREEZE = "hard-freeze"
    SOFT_FREEZE = "soft-freeze"
    HOLIDAY = "holiday"
    BOOKED = "booked"
    PLANNED_LATER = "planned-later"
    OUTSIDE_WINDOWS = "outside-windows"


class LineStop(Model):
    """A stop of all promotions to *environment*, or to all environments (`*`), by a user with a reason."""

    id: str
    environment: str
    stopped_at: Moment
    stopped_by: str
    reason: Annotated[str, StringConstraints(min_length=1)]
    until: Moment | None = None
    resumed_at: Moment | None = None
    resumed_by: str | None = None

    def applies_to(self, environment: str) -> bool:
        """Whether promotions to *environment* are stopped."""
        return self.environment in {"*", environment}


class Booking(Model):
    """An exclusive use of *environment* from *start* to *end* by *holder*.

    *members* may use it too, and so may each user who promotes one of *packages* (digests), which the holder carries.
    *awaited* are packages (digests) that the holder has planned for this time: they are not promoted before it.
    One that *waits* closes the environment for *awaited* packages alone.
    """

    id: str
    environment: str
    start: Moment
    end: Moment
    holder: str
    purpose: str = ""
    members: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    waits: bool = False


class Calendar(Model):
    """Everything that opens and closes environments."""

    rules: tuple[CalendarRule, ...] = ()
    line_stops: tuple[LineStop, ...] = ()
    bookings: tuple[Booking, ...] = ()


@dataclass(frozen=True)
class CalendarQuestion:
    """What is to happen where: *action* `promotion` or `rollback` of a *change* kind by *actor* in *environment*.

    *package* is the digest of what is promoted.
    *overridden* are the ids of rules, line stops and bookings that an actor with the right to do so has passed, with a
    reason; `windows` means the windows of the environment.
    """

    environment: str
    actor: str = ""
    change: ChangeKind = ChangeKind.NORMAL
    action: Literal["promotion", "rollback"] = "promotion"
    overridden: frozenset[str] = frozenset()
    package: str = ""


@dataclass(frozen=True)
class Closing:
    """A time at which an environment is closed for a question.

    *id* is that of the rule, line stop or booking. *until* is its own end, None if that is not known. *held_by* is the
    user or holder behind it. *override_role* is the role that may pass it.
    """

    cause: Cause
    id: str
    interval: Interval
    title: str
    held_by: str = ""
    until: datetime | None = None
    override_role: str | None = None

    def __str__(self) -> str:
        end = f"until {minute_text(self.until)}" if self.until else "with no known end"
        match self.cause:
            case Cause.LINE_STOPPED:
                return f"line stopped by {self.held_by} {end}: {self.title}"
            case Cause.BOOKED:
                return f"booked by {self.held_by} {end}" + (f": {self.title}" if self.title else "")
            case Cause.PLANNED_LATER:
                return f"planned for {minute_text(self.interval.end)}: {self.title}"
            case Cause.OUTSIDE_WINDOWS:
                return f"outside of its windows{f' {end}' if self.until else ', and no later window is known'}"
            case _:
                owner = f" by {self.held_by}" if self.held_by else ""
                return f"{self.cause.value.replace('-', ' ')} '{self.title}'{owner} {end}"

    def to_json(self) -> dict[str, Any]:
        """The closing as data for documents."""
        return {
            "cause": self.cause.value,
            "id": self.id,
            "title": self.title,
            "held_by": self.held_by or None,
            "until": moment_text(self.until) if self.until else None,
            "text": str(self),
        }


@dataclass(frozen=True)
class Open:
    """The environment is open until *next_close* (None if that is not within the horizon), when *closing* closes it."""

    next_close: datetime | None = None
    closing: Closing | None = None

    is_open: Literal[True] = True

    def to_json(self) -> dict[str, Any]:
        """The verdict as data for documents."""
        return {
            "open": True,
            "reasons": [],
            "next_open": None,
            "next_close": moment_text(self.next_close) if self.next_close else None,
            "next_close_reason": str(self.closing) if self.closing else None,
        }


@dataclass(frozen=True)
class Closed:
    """The environment is closed by *closings*, never empty, the most important first.

    *next_open* is the first moment at which nothing closes it; None if that is not known.
    """

    closings: tuple[Closing, ...]
    next_open: datetime | None = None

    is_open: Literal[False] = False

    @property
    def reason(self) -> str:
        """Why it is closed, in one phrase for each cause."""
        return "; ".join(str(closing) for closing in self.closings)

    @property
    def until(self) -> datetime | None:
        """The end of the most important cause; None if that is not known."""
        return self.closings[0].until

    @property
    def held_by(self) -> tuple[str, ...]:
        """The users or holders that close it."""
        return tuple(dict.fromkeys(closing.held_by for closing in self.closings if closing.held_by))

    def to_json(self) -> dict[str, Any]:
        """The verdict as data for documents."""
        return {
            "open": False,
            "reasons": [closing.to_json() for closing in self.closings],
            "next_open": moment_text(self.next_open) if self.next_open else None,
            "next_close": None,
            "next_close_reason": None,
        }


CalendarVerdict = Open | Closed


def calendar_verdict(calendar: Calendar, question: CalendarQuestion, now: Now) -> CalendarVerdict:
    """Whether the environment of *question* is open *now*, and when that changes.

    With an uncertain clock it is open only if it is open at every moment that the clock may mean.
    """
    if question.action == "rollback":
        return Open()
    horizon = Interval(now.earliest, now.latest + HORIZON)
    found = closings(calendar, question, horizon)
    active = [closing for closing in found if _touches(closing.interval, now)]
    busy = merged_intervals(closing.interval for closing in found)
    if not active:
        following = min(
            (closing for closing in found if closing.interval.start > now.latest),
            key=lambda closing: (closing.interval.start, _rank(closing)),
            default=None,
        )
        return Open(following.interval.start if following else None, following)
    end = next((each.end for each in busy if now.latest in each), now.latest)
    return Closed(tuple(sorted(active, key=_rank)), end if end < horizon.end else None)


def applicable(calendar: Calendar, environment: str) -> tuple[object, ...]:
    """The places of what opens or closes *environment*: with equal ones, two environments have the same verdicts."""
    return (
        tuple(place for place, rule in enumerate(calendar.rules) if rule.applies_to(environment)),
        tuple(place for place, stop in enumerate(calendar.line_stops) if stop.applies_to(environment)),
        tuple(place for place, booking in enumerate(calendar.bookings) if booking.environment == environment),
    )


def _touches(interval: Interval, now: Now) -> bool:
    """Whether *interval* has a moment that may be the current one."""
    return interval.start <= now.latest and now.earliest < interval.end


def _rank(closing: Closing) -> tuple[int, datetime, str]:
    return (list(Cause).index(closing.cause), closing.interval.start, closing.id)


def closings(calendar: Calendar, question: CalendarQuestion, horizon: Interval) -> tuple[Closing, ...]:
    """Every closing of the question's environment in *horizon* that was not overridden. They may overlap."""
    found = (
        *_stops(calendar.line_stops, question.environment, horizon),
        *_freezes(calendar.rules, question, horizon),
        *_booked(calendar.bookings, question, horizon),
        *_planned_later(calendar.bookings, question, horizon),
        *_outside_windows(calendar.rules, question.environment, horizon),
    )
    return tuple(closing for closing in found if closing.id not in question.overridden)


def open_times(calendar: Calendar, question: CalendarQuestion, horizon: Interval) -> tuple[Interval, ...]:
    """The moments of *horizon* at which the environment is open, as the fewest intervals."""
    return tuple(free_intervals((closing.interval for closing in closings(calendar, question, horizon)), horizon))


def _stops(stops: Iterable[LineStop], environment: str, horizon: Interval) -> Iterator[Closing]:
    for stop in stops:
        end = min((at for at in (stop.until, stop.resumed_at) if at is not None), default=None)
        lasts = (
            Interval(stop.stopped_at, end or max(horizon.end, stop.stopped_at) + HORIZON)
            if (end is None or end > stop.stopped_at)
            else None
        )
        if stop.applies_to(environment) and lasts and lasts.overlaps(horizon):
            yield Closing(Cause.LINE_STOPPED, stop.id, lasts, stop.reason, stop.stopped_by, end)


def _freezes(rules: Iterable[CalendarRule], question: CalendarQuestion, horizon: Interval) -> Iterator[Closing]:
    closing = [rule for rule in rules if rule.kind.closes and not rule.lets_pass(question.change)]
    for each in expand(closing, question.environment, horizon):
        rule, lasts = each.rule, each.interval
        yield Closing(Cause(rule.kind.value), rule.id, lasts, rule.title, rule.owner, lasts.end, rule.override_role)


def _booked(bookings: Iterable[Booking], question: CalendarQuestion, horizon: Interval) -> Iterator[Closing]:
    for booking in (each for each in bookings if not each.waits):
        lasts = Interval(booking.start, booking.end)
        mine = question.actor in {booking.holder, *booking.members} or question.package in booking.packages
        if booking.environment == question.environment and not mine and lasts.overlaps(horizon):
            yield Closing(Cause.BOOKED, booking.id, lasts, booking.purpose, booking.holder, booking.end)


def _planned_later(bookings: Iterable[Booking], question: CalendarQuestion, horizon: Interval) -> Iterator[Closing]:
    """The time before a booking for which the package of *question* is planned, but for earlier bookings that carry it.

    The id of the closing is that of the holder.
    """
    here = [booking for booking in bookings if booking.environment == question.environment]
    awaited = [each for each in here if question.package in each.awaited and each.start > horizon.start]
    if not awaited:  # nearly always: only packages of planned releases wait
        return
    carrying = [Interval(each.start, each.end) for each in here if question.package in each.packages]
    for booking in awaited:
        for gap in free_intervals(carrying, Interval(horizon.start, booking.start)):
            yield Closing(Cause.PLANNED_LATER, booking.holder, gap, booking.purpose, booking.holder, gap.end)


def _outside_windows(rules: Iterable[CalendarRule], environment: str, horizon: Interval) -> Iterator[Closing]:
    windows = [rule for rule in rules if rule.kind is RuleKind.WINDOW and rule.applies_to(environment)]
    if not windows:
        return
    roles = {rule.override_role for rule in windows}
    role = roles.pop() if len(roles) == 1 else None
    open_in = (each.interval for each in expand(windows, environment, horizon))
    for gap in free_intervals(open_in, horizon):
        known = gap.end if gap.end < horizon.end else None
        yield Closing(Cause.OUTSIDE_WINDOWS, "windows", gap, "", "", known, role)
