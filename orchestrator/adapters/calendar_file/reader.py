"""Read a calendar file: each event becomes a calendar rule, or the whole file is refused with the line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from icalendar import Calendar, Component
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON
from pydantic import ValidationError

from orchestrator.domain.calendar.import_options import ImportOptions
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.zones import wall_clock, zone_names, zone_of
from orchestrator.domain.errors import OrchestratorError, Where

MAX_BYTES = 1024 * 1024
MAX_EVENTS = 1000
KIND, ENVIRONMENTS = "X-ORCHESTRATOR-KIND", "X-ORCHESTRATOR-ENVIRONMENTS"
_BEGIN = re.compile(r"^BEGIN:VEVENT\s*$", re.IGNORECASE)
_END = re.compile(r"^END:VEVENT\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class _Event:
    """An event with its lines in the file, the first one counting from 1."""

    component: Component
    lines: tuple[str, ...]
    first: int
    options: ImportOptions

    def fail(self, name: str, message: str) -> OrchestratorError:
        """The error about the property called *name*, at its line."""
        found = (at for at, line in enumerate(self.lines) if re.match(rf"{name}[;:]", line, re.IGNORECASE))
        offset = next(found, 0)
        where = Where(self.options.file, self.first + offset, 1, self.lines[offset] if self.lines else None)
        return OrchestratorError("A303", message, where=where)

    def text(self, name: str) -> str:
        """The text of a property; empty if it is absent."""
        return str(self.component.get(name, "")).strip()

    def moment(self, name: str) -> date:
        """The date or time of a property."""
        value: Any = self.component[name]
        found = getattr(value, "dt", None)
        if not isinstance(found, date):
            raise self.fail(name, f"{name} is not one date or time")
        return found

    def params(self, name: str) -> Any:
        """The parameters of a property."""
        value: Any = self.component[name]
        return getattr(value, "params", {})

    def many(self, name: str) -> list[Any]:
        """Every value of a property."""
        found = self.component.get(name)
        return found if isinstance(found, list) else [] if found is None else [found]


def read_calendar(text: str, options: ImportOptions) -> tuple[CalendarRule, ...]:
    """The rules of the calendar file *text*. Raises A303, with the line, if any component is invalid.

    Events of one UID are one rule: those with a RECURRENCE-ID move or cancel a date of it. Alarms are ignored.
    """
    events = list(_events(text, options))
    series: dict[str, _Event] = {}
    single: list[_Event] = []
    for event in events:
        uid = event.text("UID")
        if event.component.errors:
            name, problem = event.component.errors[0]
            raise event.fail(str(name or ""), f"{name}: {problem}")
        if not uid:
            raise event.fail("UID", "the event has no UID")
        if "RECURRENCE-ID" in event.component:
            single.append(event)
        elif uid in series:
            raise event.fail("UID", f"two events have the UID {uid}")
        else:
            series[uid] = event
    for event in single:
        if event.text("UID") not in series:
            raise event.fail("RECURRENCE-ID", "the event moves a date of a series that the file does not have")
    return tuple(
        _rule(event, [other for other in single if other.text("UID") == uid])
        for uid, event in series.items()
        if event.text("STATUS").upper() != "CANCELLED"
    )


def _events(text: str, options: ImportOptions) -> Iterator[_Event]:
    if len(text.encode()) > MAX_BYTES:
        raise OrchestratorError("A303", f"{options.file} is larger than {MAX_BYTES} bytes")
    lines = text.splitlines()
    try:
        calendar = Calendar.from_ical(text)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise OrchestratorError("A303", f"not a calendar file: {error}", where=Where(options.file, 1)) from None
    places = _places(lines)
    components = calendar.walk("VEVENT")
    if len(components) != len(places):
        raise OrchestratorError("A303", "the events of the file are not separate lines", where=Where(options.file, 1))
    if len(components) > MAX_EVENTS:
        raise OrchestratorError("A303", f"{options.file} has more than {MAX_EVENTS} events")
    for component, (first, last) in zip(components, places, strict=True):
        yield _Event(component, tuple(lines[first:last]), first + 1, options)


def _places(lines: list[str]) -> list[tuple[int, int]]:
    """The first line of each event, and the line after it, counting from 0."""
    starts = [at for at, line in enumerate(lines) if _BEGIN.match(line)]
    ends = [at + 1 for at, line in enumerate(lines) if _END.match(line)]
    return list(zip(starts, ends, strict=False))


def _rule(event: _Event, single: list[_Event]) -> CalendarRule:
    data = _rule_data(event, single)
    try:
        return CalendarRule.from_json(data)
    except ValidationError as error:
        problem = error.errors()[0]
        field = str(problem["loc"][0]) if problem["loc"] else ""
        name = {"rule": "RRULE", "zone": "DTSTART", "kind": KIND, "environments": ENVIRONMENTS}.get(field, "DTSTART")
        raise event.fail(name, f"the event {problem['msg'].removeprefix('Value error, ')}") from None


def _rule_data(event: _Event, single: list[_Event]) -> dict[str, object]:
    """The fields of the rule that *event* is, with what *single* events move or cancel of it."""
    start, end, zone = _times(event, event.options.zone)
    recurrence = _recurrence(event)
    cancelled = [other for other in single if other.text("STATUS").upper() == "CANCELLED"]
    moved = [other for other in single if other not in cancelled]
    left_out = [*_dates(event, "EXDATE", zone, start), *(_original(other, zone, start) for other in cancelled)]
    environments = [name.strip() for name in event.text(ENVIRONMENTS).split(",") if name.strip()]
    return {
        "id": f"ics:{event.text('UID')}"[:200],
        "kind": event.text(KIND).lower() or event.options.kind.value,
        "title": event.text("SUMMARY")[:200] or "untitled",
        "environments": environments or list(event.options.environments),
        "start": start.isoformat(),
        "end": end.isoformat(),
        "zone": zone,
        "rule": recurrence,
        "except_": sorted({each.isoformat() for each in left_out}),
        "also": sorted({each.isoformat() for each in _dates(event, "RDATE", zone, start)}),
        "moved": [_moved(other, zone, start) for other in moved],
        "owner": event.options.owner,
        "source": "ics",
        "uid": event.text("UID"),
        "sequence": max((int(other.component.get("SEQUENCE", 0)) for other in (event, *single)), default=0),
    }


def _recurrence(event: _Event) -> str | None:
    """The text of the rule by which *event* is repeated."""
    rules = event.many("RRULE")
    if len(rules) > 1 or "EXRULE" in event.component:
        raise event.fail("RRULE" if len(rules) > 1 else "EXRULE", "an event has at most one rule, and no EXRULE")
    return rules[0].to_ical().decode() if rules else None


def _times(event: _Event, default: str) -> tuple[datetime, datetime, str]:
    """The start and the end of an event as wall-clock times in its zone, and the zone."""
    if "DTSTART" not in event.component:
        raise event.fail("DTSTART", "the event has no DTSTART")
    begin = event.moment("DTSTART")
    zone = _zone(event, "DTSTART", default)
    start = _wall(begin, zone)
    if "DTEND" in event.component:
        return start, _wall(event.moment("DTEND"), _zone(event, "DTEND", default), into=zone), zone
    if "DURATION" in event.component:
        length = getattr(event.component["DURATION"], "dt", None)
        if not isinstance(length, timedelta):
            raise event.fail("DURATION", "DURATION is not a duration")
        return start, start + length, zone
    if isinstance(begin, datetime):
        raise event.fail("DTSTART", "the event has neither DTEND nor DURATION")
    return start, start + timedelta(days=1), zone


def _zone(event: _Event, name: str, default: str) -> str:
    """The zone of a property, by the name that the time zone database has for it."""
    return _named_zone(event, event.params(name), name, event.moment(name), default)


def _named_zone(event: _Event, params: Any, name: str, moment: date, default: str) -> str:
    given = str(params.get("TZID", "")).strip('"')
    if not given:
        return "UTC" if isinstance(moment, datetime) and moment.tzinfo is not None else default
    zone = given if given in zone_names() else WINDOWS_TO_OLSON.get(given, "")
    if zone not in zone_names():
        raise event.fail(name, f"unknown time zone {given}")
    return zone


def _wall(moment: date, zone: str, *, into: str = "") -> datetime:
    """A date or time of a file, written in *zone*, as a wall-clock time in the zone *into* (by default the same)."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time())
    written = moment.replace(tzinfo=None)
    if not into or into == zone:
        return written
    return wall_clock(written.replace(tzinfo=zone_of(zone)).astimezone(UTC), into)


def _dates(event: _Event, name: str, zone: str, start: datetime) -> Iterator[datetime]:
    """The starts that EXDATE or RDATE name, as wall-clock times in *zone*. A date means the start on that day."""
    for value in event.many(name):
        for each in value.dts:
            if not isinstance(each.dt, date):
                raise event.fail(name, f"{name} with periods is not supported")
            yield _on_day(each.dt, _named_zone(event, value.params, name, each.dt, zone), zone, start)


def _on_day(moment: date, written: str, zone: str, start: datetime) -> datetime:
    if not isinstance(moment, datetime):
        return datetime.combine(moment, start.time())
    return _wall(moment, written, into=zone)


def _original(event: _Event, zone: str, start: datetime) -> datetime:
    """The start in the series of an event with a RECURRENCE-ID."""
    if event.params("RECURRENCE-ID").get("RANGE"):
        raise event.fail("RECURRENCE-ID", "RANGE=THISANDFUTURE is not supported")
    return _on_day(event.moment("RECURRENCE-ID"), _zone(event, "RECURRENCE-ID", zone), zone, start)


def _moved(event: _Event, zone: str, start: datetime) -> dict[str, str]:
    begin, end, written = _times(event, zone)
    if written != zone:
        begin, end = (wall_clock(each.replace(tzinfo=zone_of(written)).astimezone(UTC), zone) for each in (begin, end))
    return {"original": _original(event, zone, start).isoformat(), "start": begin.isoformat(), "end": end.isoformat()}
