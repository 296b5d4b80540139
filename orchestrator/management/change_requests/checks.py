"""The assessment of a change request: checks that run again until each of them holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.verdict import Calendar, CalendarQuestion, open_times
from orchestrator.domain.moments import Now
from orchestrator.domain.text import few
from orchestrator.management.change_requests.model import ChangeRequest, Check


@dataclass(frozen=True)
class Surroundings:
    """What an assessment compares with: the *environments* and *packages* that exist, and the *calendar*."""

    environments: tuple[str, ...]
    packages: frozenset[str]
    calendar: Calendar


def assessment(request: ChangeRequest, found: Surroundings, now: Now) -> tuple[Check, ...]:
    """Every check of *request*, in the order in which they are shown."""
    return tuple(_checks(request, found, now))


def _checks(request: ChangeRequest, found: Surroundings, now: Now) -> Iterator[Check]:
    text = "it has a reason" if request.reason else "the reason is missing"
    yield Check(name="reason", holds=bool(request.reason), text=text)
    yield _exist("environments", request.environments, found.environments)
    yield _exist("packages", request.packages, found.packages)
    if request.due is not None:
        yield from _due(request, found, now)


def _exist(what: str, named: tuple[str, ...], known: tuple[str, ...] | frozenset[str]) -> Check:
    missing = [name for name in named if name not in known]
    if not named:
        return Check(name=what, holds=False, text=f"no {what} are named")
    text = f"not in the project: {few(missing)}" if missing else few(named)
    return Check(name=what, holds=not missing, text=text)


def _due(request: ChangeRequest, found: Surroundings, now: Now) -> Iterator[Check]:
    assert request.due is not None
    day = datetime.combine(request.due, time(), UTC)
    end = day + timedelta(days=1)
    if now.may_have_reached(end):
        yield Check(name="date", holds=False, text=f"{request.due} is past")
        return
    lasts = Interval(max(day, now.latest), end)
    closed = [
        name
        for name in request.environments
        if name in found.environments and not open_times(found.calendar, CalendarQuestion(name), lasts)
    ]
    text = f"{few(closed)} closed on {request.due}" if closed else f"open on {request.due}"
    yield Check(name="date", holds=not closed, text=text)
