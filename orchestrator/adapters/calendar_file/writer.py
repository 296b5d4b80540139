"""Write calendar rules as a calendar file (RFC 5545), with the time zones that they use."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from icalendar import Calendar, Event, vRecur

from orchestrator.adapters.calendar_file.reader import ENVIRONMENTS, KIND
from orchestrator.domain.calendar.feed import CalendarFeed, FeedItem
from orchestrator.domain.calendar.recurrence import rule_in_utc
from orchestrator.domain.calendar.rules import CalendarRule, MovedDate
from orchestrator.domain.calendar.zones import zone_of


def write_calendar(rules: Iterable[CalendarRule], at: datetime) -> str:
    """The *rules* as a calendar file that was made at the moment *at*."""
    return _text(event for rule in rules for event in _events(rule, at))


def write_feed(feed: CalendarFeed) -> str:
    """The *feed* as a calendar file. The same feed is the same text."""
    ruled = (event for rule in feed.rules for event in _events(rule, feed.stamp))
    return _text((*ruled, *(_item(each, feed.stamp) for each in feed.items)))


def _text(events: Iterable[Event]) -> str:
    calendar = Calendar()
    calendar.add("prodid", "-//Orchestrator//Calendar//EN")
    calendar.add("version", "2.0")
    for event in events:
        calendar.add_component(event)
    calendar.add_missing_timezones()
    return str(calendar.to_ical().decode())


def _item(item: FeedItem, at: datetime) -> Event:
    event = Event()
    event.add("uid", item.uid)
    event.add("dtstamp", at)
    event.add("sequence", item.sequence)
    event.add("summary", item.title)
    event.add("description", item.description)
    event.add("dtstart", item.start)
    event.add("dtend", item.end)
    event.add(ENVIRONMENTS, ",".join(item.environments))
    return event


def _events(rule: CalendarRule, at: datetime) -> Iterator[Event]:
    event = _event(rule, rule.start, rule.end, at)
    if rule.rule is not None:
        event.add("rrule", vRecur.from_ical(rule_in_utc(rule.rule, rule.zone)))
    place = zone_of(rule.zone)
    for start in rule.except_:
        event.add("exdate", start.replace(tzinfo=place))
    for start in rule.also:
        event.add("rdate", start.replace(tzinfo=place))
    yield event
    for date in rule.moved:
        yield _moved(rule, date, at)


def _event(rule: CalendarRule, start: datetime, end: datetime, at: datetime) -> Event:
    event = Event()
    place = zone_of(rule.zone)
    event.add("uid", rule.uid or f"{rule.id}@orchestrator")
    event.add("dtstamp", at)
    event.add("sequence", rule.sequence)
    event.add("summary", rule.title)
    event.add("dtstart", start.replace(tzinfo=place))
    event.add("dtend", end.replace(tzinfo=place))
    event.add(KIND, rule.kind.value)
    event.add(ENVIRONMENTS, ",".join(rule.environments))
    return event


def _moved(rule: CalendarRule, date: MovedDate, at: datetime) -> Event:
    event = _event(rule, date.start, date.end, at)
    event.add("recurrence-id", date.original.replace(tzinfo=zone_of(rule.zone)))
    return event
