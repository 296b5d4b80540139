"""The calendar of a user: windows, freezes, bookings, planned runs and trains that the user may view."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.calendar import rules_of
from orchestrator.domain.access.actions import Action
from orchestrator.domain.calendar.feed import CalendarFeed, FeedItem
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.register import CALENDAR_RULES, OPEN, REQUESTS, RecordKind, T
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.trains.store import TRAINS

SHOWN_FOR = timedelta(minutes=30)
"""How long a start or a departure is in the calendar."""


def read_feed(acting: Acting, declared: Iterable[CalendarRule], stamp: datetime) -> CalendarFeed:
    """What the actor may view of the calendar, with the entries that files have *declared*.

    *stamp* is a time that does not change: the same calendar is the same text. Raises A101.
    """

    def work(view: View) -> CalendarFeed:
        visible = {name for name in acting.environments if view.verdict(Action.VIEW, name).allowed}
        rules = (rule for rule in rules_of(view, declared).rules if any(map(rule.applies_to, visible)))
        items = (*_bookings(view), *_starts(view), *_trains(view))
        shown = tuple(item for item in items if visible & set(item.environments))
        return CalendarFeed(tuple(_versioned(view, rule) for rule in rules), shown, stamp)

    return read_register(acting, Action.VIEW, work)


def _sequence(view: View, kind: RecordKind[T], key: str) -> int:
    """How often the record was changed since it was made."""
    return max(view.records.version(kind, key) - 1, 0)


def _versioned(view: View, rule: CalendarRule) -> CalendarRule:
    """*rule* with the sequence of its record, if that is higher than its own."""
    changes = _sequence(view, CALENDAR_RULES, rule.id)
    return rule.model_copy(update={"sequence": max(rule.sequence, changes)})


def _uid(view: View, name: str, id_: str) -> str:
    return f"{name}-{id_}.{view.acting.project}@orchestrator"


def _bookings(view: View) -> Iterator[FeedItem]:
    for each in view.records.all(BOOKINGS, OPEN):
        yield FeedItem(
            _uid(view, "booking", each.id),
            _sequence(view, BOOKINGS, each.id),
            f"{each.environment} booked: {each.purpose}",
            each.start,
            each.end,
            f"{each.id} of {each.holder} is {each.state}",
            (each.environment,),
        )


def _starts(view: View) -> Iterator[FeedItem]:
    """The promotions that start at a time."""
    for each in view.records.all(REQUESTS, OPEN):
        if each.start is not None:
            yield FeedItem(
                _uid(view, "run", each.id),
                _sequence(view, REQUESTS, each.id),
                f"promote {each.release} to {each.environment}",
                each.start,
                each.start + SHOWN_FOR,
                f"{each.id} of {each.requester} is {each.state}",
                each.environments,
            )


def _trains(view: View) -> Iterator[FeedItem]:
    for each in view.records.all(TRAINS, OPEN):
        places = tuple(name for stop in each.stops for name in stop.environments)
        yield FeedItem(
            _uid(view, "train", each.id),
            _sequence(view, TRAINS, each.id),
            f"train {each.id} departs{f': {each.line}' if each.line else ''}",
            each.departs_at,
            each.departs_at + SHOWN_FOR,
            f"{each.id} is {each.state}; boarding closes at {each.boarding_closes_at:%Y-%m-%d %H:%M} UTC",
            places,
        )
