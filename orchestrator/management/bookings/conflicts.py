"""Why a time cannot be booked, and when it can: pure functions over bookings, the calendar, absences and quotas."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from orchestrator.domain.access.principals import Absence
from orchestrator.domain.calendar.intervals import Interval, interval, subtracted
from orchestrator.domain.calendar.verdict import Calendar, CalendarQuestion, Cause, closings, open_times
from orchestrator.domain.model import Model
from orchestrator.domain.moments import minute_text
from orchestrator.domain.text import counted, few
from orchestrator.management.bookings.model import EnvironmentBooking, Quota

WEEK = timedelta(days=7)


class ConflictKind(StrEnum):
    """Why a time cannot be booked, in the order in which conflicts are shown."""

    BOOKED = "booked"
    DEPENDENCY_BOOKED = "dependency-booked"
    FROZEN = "frozen"
    OUTSIDE_WINDOWS = "outside-windows"
    ABSENT = "absent"
    APPROVERS_ABSENT = "approvers-absent"
    QUOTA = "quota"


class Conflict(Model):
    """One reason why a time cannot be booked."""

    kind: ConflictKind
    text: str


@dataclass(frozen=True)
class BookingFacts:
    """What a booking is compared with.

    *bookings* are those that keep others out, with those of the weeks that a quota counts. *depends_on* are the
    environments that each environment needs. *teams* has the team of each user who has one. *approvers* are the users
    who may approve in each environment, *needed* the approvals that it needs.
    """

    bookings: tuple[EnvironmentBooking, ...] = ()
    past: tuple[EnvironmentBooking, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absences: tuple[Absence, ...] = ()
    quotas: tuple[Quota, ...] = ()
    teams: Mapping[str, str] = field(default_factory=dict)
    approvers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needed: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)


def covered(environment: str, depends_on: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """*environment* with everything that it depends on, also indirectly: what a booking of it keeps others out of."""
    found, waiting = {environment}, [environment]
    while waiting:
        for name in depends_on.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return frozenset(found)


def shared(left: str, right: str, depends_on: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """What both environments are, or depend on; empty if they can be used at the same time."""
    return covered(left, depends_on) & covered(right, depends_on)


def closed_by(depends_on: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """For each environment those that a booking of it closes, itself among them, in the order of *depends_on*."""
    return _closed_by(tuple(depends_on.items()))


@functools.lru_cache(maxsize=8)
def _closed_by(items: tuple[tuple[str, tuple[str, ...]], ...]) -> Mapping[str, tuple[str, ...]]:
    """The same of the *items*, once for each project: each admission needs it."""
    depends_on = dict(items)
    needs = {name: covered(name, depends_on) for name in depends_on}
    users: dict[str, list[str]] = {}
    for name, resources in needs.items():
        for resource in resources:
            users.setdefault(resource, []).append(name)
    order = {name: place for place, name in enumerate(depends_on)}
    return {
        name: tuple(sorted({user for resource in resources for user in users[resource]}, key=order.__getitem__))
        for name, resources in needs.items()
    }


def conflicts(booking: EnvironmentBooking, facts: BookingFacts) -> tuple[Conflict, ...]:
    """Every reason why *booking* cannot be confirmed, in the order of their kinds."""
    return (
        *_booked(booking, facts),
        *_closed(booking, facts),
        *_absent(booking, facts),
        *_approvers_absent(booking, facts),
        *_over_quota(booking, facts),
    )


def _booked(booking: EnvironmentBooking, facts: BookingFacts) -> Iterator[Conflict]:
    clashes = [each for each in facts.bookings if each.id != booking.id and each.interval.overlaps(booking.interval)]
    for each in clashes:
        if each.environment == booking.environment:
            yield Conflict(kind=ConflictKind.BOOKED, text=f"booked: {each}")
    for each in clashes:
        common = shared(booking.environment, each.environment, facts.depends_on)
        if common and each.environment != booking.environment:
            text = f"{few(sorted(common))} is needed as well, and booked: {each}"
            yield Conflict(kind=ConflictKind.DEPENDENCY_BOOKED, text=text)


def _closed(booking: EnvironmentBooking, facts: BookingFacts) -> Iterator[Conflict]:
    """A booking needs a moment at which its environment is open."""
    question, rules = CalendarQuestion(booking.environment), facts.calendar.model_copy(update={"bookings": ()})
    if open_times(rules, question, booking.interval):
        return
    for closing in closings(rules, question, booking.interval):
        outside = closing.cause is Cause.OUTSIDE_WINDOWS
        yield Conflict(kind=ConflictKind.OUTSIDE_WINDOWS if outside else ConflictKind.FROZEN, text=str(closing))


def _absent(booking: EnvironmentBooking, facts: BookingFacts) -> Iterator[Conflict]:
    """Who holds the booking, or the owner of one of a team or train, or of its release, is there at some time of it."""
    kind, _, name = booking.holder.partition(":")
    user = {"user": name, "team": booking.owner, "train": booking.owner}.get(kind) or facts.owners.get(booking.id, "")
    away = [absence for absence in facts.absences if absence.user == user]
    if away and not _is_there(user, booking.interval, facts.absences):
        text = f"{user} is absent until {minute_text(max(a.end for a in away))}"
        yield Conflict(kind=ConflictKind.ABSENT, text=text)


def _approvers_absent(booking: EnvironmentBooking, facts: BookingFacts) -> Iterator[Conflict]:
    """Enough users can approve at some time of the booking: approvers, or the deputies of absent ones."""
    needed, place = facts.needed.get(booking.environment, 0), booking.environment
    approvers = facts.approvers.get(place, ())
    voters = {voter for name in approvers if (voter := _voter(name, booking.interval, facts.absences))}
    if len(voters) < min(needed, len(approvers)):
        away = few(sorted(set(approvers) - voters))
        text = f"{place} needs {counted(needed, 'approval')}, and these are absent with their deputies: {away}"
        yield Conflict(kind=ConflictKind.APPROVERS_ABSENT, text=text)


def _voter(name: str, lasts: Interval, absences: Iterable[Absence]) -> str:
    """*name* or its deputy, if present at some time of *lasts*; empty if both are absent."""
    away = [absence for absence in absences if absence.user == name]
    if _is_there(name, lasts, absences):
        return name
    return next((each.deputy for each in away if _is_there(each.deputy, lasts, absences)), "")


def _is_there(name: str, lasts: Interval, absences: Iterable[Absence]) -> bool:
    return bool(subtracted([lasts], [Interval(each.start, each.end) for each in absences if each.user == name]))


def _over_quota(booking: EnvironmentBooking, facts: BookingFacts) -> Iterator[Conflict]:
    team, place = team_of(booking, facts.teams), booking.environment
    others = [
        each
        for each in (*facts.bookings, *facts.past)
        if each.id != booking.id and each.environment == place and team_of(each, facts.teams) == team
    ]
    for quota in (quota for quota in facts.quotas if (quota.team, quota.environment) == (team, place)):
        for week in weeks_of(booking.interval):
            hours = sum(hours_in(lasting(each), week) for each in (*others, booking))
            if hours > quota.hours:
                limit = f"the quota of team {team} is {quota.hours:g} h in the week of {week.start:%Y-%m-%d}"
                yield Conflict(kind=ConflictKind.QUOTA, text=f"{limit}, and this would make {hours:g} h")


def team_of(booking: EnvironmentBooking, teams: Mapping[str, str]) -> str:
    """The team whose quota counts: the holder, or that of the user; empty if there is none."""
    kind, _, name = booking.holder.partition(":")
    return name if kind == "team" else teams.get(name if kind == "user" else booking.owner, "")


def weeks_of(lasts: Interval) -> Iterator[Interval]:
    """The weeks, from Monday in UTC, in which *lasts* has a moment."""
    day = lasts.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = day - timedelta(days=day.weekday())
    while start < lasts.end:
        yield Interval(start, start + WEEK)
        start += WEEK


def lasting(booking: EnvironmentBooking) -> Interval:
    """The time for which *booking* was, or is, kept: until it ended early."""
    end = min(booking.end, booking.ended_at or booking.end)
    return interval(booking.start, end) or booking.interval


def hours_in(lasts: Interval, within: Interval) -> float:
    """The hours of *lasts* that are in *within*."""
    common = interval(max(lasts.start, within.start), min(lasts.end, within.end))
    return common.length.total_seconds() / 3600 if common is not None else 0.0


def free_slots(
    environment: str, length: timedelta, horizon: Interval, facts: BookingFacts, most: int = 1
) -> tuple[Interval, ...]:
    """The first slots of *length* in *horizon* at which *environment* is open and not booked, at most *most* of them.

    Slots do not overlap. A slot has to lie in one open time of the calendar.
    """
    rules = facts.calendar.model_copy(update={"bookings": ()})
    open_ = open_times(rules, CalendarQuestion(environment), horizon)
    busy = [each.interval for each in facts.bookings if shared(environment, each.environment, facts.depends_on)]
    found: list[Interval] = []
    for free in subtracted(open_, busy):
        start = free.start
        while len(found) < most and start + length <= free.end:
            found.append(Interval(start, start + length))
            start += length
    return tuple(found)


def clashes(
    bookings: Iterable[EnvironmentBooking], depends_on: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """The ids of each two *bookings* that need the same environment at the same time."""
    found = sorted(bookings, key=lambda booking: (booking.start, booking.number))
    for at, first in enumerate(found):
        for second in found[at + 1 :]:
            if second.start >= first.end:
                break
            if shared(first.environment, second.environment, depends_on):
                yield first.id, second.id


def next_moment(moment: datetime, minutes: int = 15) -> datetime:
    """The first quarter of an hour that is not before *moment*: slots start at such times."""
    step = timedelta(minutes=minutes)
    floor = moment.replace(minute=moment.minute // minutes * minutes, second=0, microsecond=0)
    return floor if floor == moment else floor + step
