"""Timelines as drawings: bars of phases and tasks over the clocks of the reader. Pure functions over times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.calendar.zones import to_utc, zone_of
from orchestrator.management.implementation_plans.queries import ShownPlan
from orchestrator.management.planned_releases.model import Phase, PlannedRelease

WIDTH, LEFT, RIGHT, ROW, HEAD = 1000, 190, 24, 26, 34
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = (
    5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY,
    14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY,
)  # fmt: skip
MOST_TICKS = 9
LONGEST_NAME = 26
MOST_ROWS = 200
"""How many rows are drawn. The table beside a drawing has all of them."""
STATE_CLASSES = {
    "done": "done",
    "skipped": "done",
    "in-progress": "run",
    "ready": "wait",
    "needs-help": "bad",
    "failed": "bad",
    "aborted": "bad",
}
PHASE_CLASSES = {"completed": "done", "active": "run"}


@dataclass(frozen=True)
class Bar:
    """A time that is drawn: `outline` for what was planned first, otherwise the class of what it is *about*."""

    start: datetime
    end: datetime
    css_class: str
    about: str


@dataclass(frozen=True)
class TimelineRow:
    """A line of a drawing: its *name*, its *bars*, and *marks*, which are moments with a class and a name."""

    name: str
    bars: tuple[Bar, ...]
    marks: tuple[tuple[datetime, str, str], ...] = ()

    @property
    def short_name(self) -> str:
        """Its name as far as there is room."""
        return self.name if len(self.name) <= LONGEST_NAME else f"{self.name[: LONGEST_NAME - 1]}…"

    @property
    def moments(self) -> list[datetime]:
        """Every moment that is drawn."""
        times = [moment for bar in self.bars for moment in (bar.start, bar.end)]
        return [*times, *(at for at, _, _ in self.marks)]


@dataclass(frozen=True)
class Timeline:
    """The *rows* from *first* to *last*, on the clocks of *zone*, at *now*. The template draws it."""

    rows: tuple[TimelineRow, ...]
    first: datetime
    last: datetime
    now: datetime
    zone: str

    @property
    def height(self) -> int:
        """The height of the drawing."""
        return HEAD + ROW * len(self.rows) + 6

    @property
    def has_now(self) -> bool:
        """Whether the current time is in the drawing."""
        return self.first <= self.now <= self.last

    def x(self, moment: datetime) -> float:
        """The place of *moment* from the left."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * ((moment - self.first) / (self.last - self.first)), 1)

    def width(self, bar: Bar) -> float:
        """The width of *bar*, which can always be seen."""
        return max(3.0, round(self.x(bar.end) - self.x(bar.start), 1))

    def top(self, place: int) -> int:
        """Where the row with this *place* starts."""
        return HEAD + ROW * place

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The places and texts of the axis: whole hours or days on the clocks of the zone."""
        length = self.last - self.first
        step = next((step for step in STEPS if length / step <= MOST_TICKS), STEPS[-1] * 4)
        form = "%d %b" if step >= DAY else "%H:%M" if length <= DAY else "%d %b %H:%M"
        return [(self.x(at), f"{at.astimezone(zone_of(self.zone)):{form}}") for at in self._each_tick(step)]

    def _each_tick(self, step: timedelta) -> Iterator[datetime]:
        wall = self.first.astimezone(zone_of(self.zone)).replace(tzinfo=None)
        tick = datetime.combine(wall.date(), datetime.min.time())
        while (at := to_utc(tick, self.zone)) <= self.last:
            if at >= self.first:
                yield at
            tick += step


def timeline(rows: Sequence[TimelineRow], now: datetime, zone: str) -> Timeline | None:
    """The drawing of *rows*; None without any. It includes *now* if that is near."""
    moments = [moment for row in rows for moment in row.moments]
    if not moments:
        return None
    first, last = min(moments), max(moments)
    edge = max((last - first) / 30, MINUTE)
    if first - (last - first) <= now <= last + (last - first):
        first, last = min(first, now), max(last, now)
    return Timeline(tuple(rows[:MOST_ROWS]), first - edge, last + edge, now, zone)


def phase_rows(release: PlannedRelease) -> list[TimelineRow]:
    """A row for each phase of *release*, and one for its freeze time and its release time."""
    marks = ((release.freeze_at, "freeze", "freeze time"), (release.release_at, "due", "release time"))
    return [
        TimelineRow("freeze and release time", (), marks),
        *(TimelineRow(phase.name, tuple(_phase_bars(phase))) for phase in release.phases),
    ]


def _phase_bars(phase: Phase) -> Iterator[Bar]:
    if phase.span != phase.planned:
        yield Bar(phase.planned.start, phase.planned.end, "outline", f"{phase.name}, as planned first")
    css, about = PHASE_CLASSES.get(phase.progress, "plan"), f"{phase.name}, {phase.progress}"
    yield Bar(phase.start, max(phase.end, phase.start), css, about)


def schedule_lines(releases: Sequence[PlannedRelease]) -> list[TimelineRow]:
    """A row for each of *releases*, with all of its phases."""
    return [
        TimelineRow(
            f"{release.id} {release.title}",
            tuple(_release_bars(release)),
            ((release.freeze_at, "freeze", "freeze time"), (release.release_at, "due", "release time")),
        )
        for release in releases
    ]


def _release_bars(release: PlannedRelease) -> Iterator[Bar]:
    for phase in release.phases:
        css, about = PHASE_CLASSES.get(phase.progress, "plan"), f"{release.id} {phase.name}, {phase.progress}"
        yield Bar(phase.start, max(phase.end, phase.start), css, about)


def task_rows(shown: ShownPlan) -> list[TimelineRow]:
    """A row for each task of a plan: when it was planned first, and when it was done or is expected."""
    rows = []
    for task in shown.plan.tasks:
        span, critical = shown.schedule.expected[task.name], task.name in shown.schedule.critical
        css = STATE_CLASSES.get(task.state.value, "plan")
        about = f"{task.name}, {task.state}{', on the critical path' if critical else ''}"
        bar = Bar(span.start, span.end, f"{css} critical" if critical and not shown.plan.has_ended else css, about)
        planned = Bar(task.planned.start, task.planned.end, "outline", f"{task.name}, as planned first")
        rows.append(TimelineRow(task.name, (planned, bar)))
    return rows
