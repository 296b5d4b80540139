"""The calendar as a drawing: its days, and where each entry is. Pure functions over entries and a time zone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from orchestrator.domain.calendar.rules import Occurrence
from orchestrator.domain.calendar.zones import to_utc, zone_of

COLUMNS = 56
"""The columns of a week (3 hours each) and of a timeline (12 hours each)."""
NARROWEST = 2
"""The columns of the narrowest link: one has 16 pixels, and a link needs 24 (WCAG 2.2, 2.5.8)."""
LANES = 8
MOST_IN_DAY = 5
VIEWS = ("month", "week", "timeline")
DAYS = {"week": 7, "timeline": 28}
LOOKS = {"window": "window", "hard-freeze": "freeze", "soft-freeze": "freeze", "holiday": "freeze"}


@dataclass(frozen=True)
class Entry:
    """One thing with a time: a window, freeze, booking or run. *css_class* is how it is drawn, *path* its page."""

    kind: str
    title: str
    start: datetime
    end: datetime
    environments: tuple[str, ...]
    path: str = ""

    @property
    def css_class(self) -> str:
        """The class of its drawing."""
        return LOOKS.get(self.kind, self.kind)


@dataclass(frozen=True)
class Span:
    """The days that are drawn, from *first* on, in *zone*."""

    view: str
    first: date
    days: int
    zone: str
    shown: date
    """A day of the month or week that was chosen."""

    @property
    def start(self) -> datetime:
        """The first moment."""
        return to_utc(datetime.combine(self.first, datetime.min.time()), self.zone)

    @property
    def end(self) -> datetime:
        """The moment after the last one."""
        return to_utc(datetime.combine(self.first + timedelta(self.days), datetime.min.time()), self.zone)

    @property
    def all_days(self) -> list[date]:
        """Each day."""
        return [self.first + timedelta(number) for number in range(self.days)]

    @property
    def before(self) -> date:
        """A day of the drawing before."""
        return (self.shown.replace(day=1) if self.view == "month" else self.first) - timedelta(
            1 if self.view == "month" else self.days
        )

    @property
    def after(self) -> date:
        """A day of the drawing after."""
        if self.view == "month":
            return (self.shown.replace(day=1) + timedelta(32)).replace(day=1)
        return self.first + timedelta(self.days)


def span_of(view: str, day: date, zone: str) -> Span:
    """The days of *view* that contain *day*: whole weeks from Monday on."""
    if view == "month":
        start = day.replace(day=1)
        end = (start + timedelta(32)).replace(day=1)
        first = start - timedelta(start.weekday())
        return Span(view, first, -(-(end - first).days // 7) * 7, zone, day)
    return Span(view, day - timedelta(day.weekday()), DAYS[view], zone, day)


def entries_of(occurrences: Iterable[Occurrence]) -> Iterator[Entry]:
    """The windows, freezes and holidays as entries."""
    for each in occurrences:
        rule = each.rule
        yield Entry(rule.kind.value, rule.title, each.interval.start, each.interval.end, rule.environments)


@dataclass(frozen=True)
class Drawn:
    """An *entry* in a row: its first column, its width in columns, and its lane."""

    entry: Entry
    column: int
    width: int
    lane: int


@dataclass
class Row:
    """An environment with what is drawn in its row; *hidden* entries did not fit."""

    name: str
    drawn: list[Drawn] = field(default_factory=list)
    hidden: int = 0


def rows_of(span: Span, names: Iterable[str], found: dict[str, list[Entry]]) -> list[Row]:
    """The rows of a week or timeline. Windows have the first lane; others the first one that is free."""
    rows = []
    for name in names:
        row, free = Row(name), [0] * (LANES + 1)
        for entry in found.get(name, ()):
            windows = entry.css_class == "window"
            column, width = _place(span, entry, 1 if windows else NARROWEST)
            lane = 1 if windows else next((n for n in range(2, LANES + 1) if free[n] <= column), 0)
            if not lane:
                row.hidden += 1
                continue
            free[lane] = column + width
            row.drawn.append(Drawn(entry, column, width, lane))
        rows.append(row)
    return rows


def _place(span: Span, entry: Entry, narrowest: int) -> tuple[int, int]:
    """The first column of *entry*, from 1, and its width, which is at least *narrowest*, by the clocks of the zone."""
    first = datetime.combine(span.first, datetime.min.time())
    whole = timedelta(span.days)

    def column(moment: datetime) -> float:
        wall = moment.astimezone(zone_of(span.zone)).replace(tzinfo=None)
        return min(max((wall - first) / whole, 0.0), 1.0) * COLUMNS

    start, end = int(column(entry.start)), column(entry.end)
    start = min(start, COLUMNS - narrowest)
    return start + 1, max(narrowest, min(COLUMNS - start, round(end) - start))


@dataclass(frozen=True)
class Day:
    """A day of a month or an agenda: its *entries*, of which a month shows the first ones."""

    day: date
    entries: list[Entry]

    @property
    def more(self) -> int:
        """How many a month does not show."""
        return max(0, len(self.entries) - MOST_IN_DAY)


def days_of(span: Span, entries: Iterable[Entry]) -> list[Day]:
    """Each day with the entries that have a moment in it."""
    found: dict[date, list[Entry]] = {day: [] for day in span.all_days}
    place = zone_of(span.zone)
    for entry in entries:
        start = max(entry.start, span.start).astimezone(place).date()
        last = (min(entry.end, span.end) - timedelta(milliseconds=1)).astimezone(place).date()
        while start <= last:
            if start in found:
                found[start].append(entry)
            start += timedelta(1)
    return [Day(day, each) for day, each in found.items()]


def drawing(span: Span, names: tuple[str, ...], entries: list[Entry], now: datetime) -> dict[str, Any]:
    """Everything that the page draws of the *entries* in *span*."""
    inside = sorted(
        (each for each in entries if each.start < span.end and each.end > span.start),
        key=lambda each: (each.start, each.end, each.title),
    )
    found: dict[str, list[Entry]] = {name: [] for name in names}
    for entry in inside:
        for name in entry.environments:
            if name in found:
                found[name].append(entry)
    return {
        "span": span,
        "views": VIEWS,
        "today": now.astimezone(zone_of(span.zone)).date(),
        "days": days_of(span, inside),
        "rows": rows_of(span, names, found) if span.view != "month" else [],
        "per_day": COLUMNS // span.days if span.view != "month" else 1,
    }
