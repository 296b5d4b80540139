"""The schedule of planned releases as a picture: an SVG file, and an HTML page with it that needs no server."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from html import escape

from orchestrator.domain.moments import minute_text
from orchestrator.management.planned_releases.model import Phase, PlannedRelease

WIDTH, LEFT, RIGHT, ROW, HEAD = 1100, 190, 20, 22, 46
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEPS = (HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY)
MOST_TICKS = 12
STYLE = """
:root { color-scheme: light dark; }
svg.schedule, .schedule-page { --ink: #1d2430; --soft: #5b6472; --line: #d5dae1; --bar: #3867b3; --plan: #8a94a3;
  --done: #2e7d4f; --late: #b3541e; --page: #ffffff; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg.schedule, .schedule-page { --ink: #e6eaf0; --soft: #a5afbd; --line: #39424f;
  --bar: #7da6ee; --plan: #8a94a3; --done: #6cc491; --late: #e79a63; --page: #12161d; } }
svg.schedule text { fill: var(--ink); } svg.schedule .soft { fill: var(--soft); }
svg.schedule .page { fill: var(--page); } svg.schedule .grid { stroke: var(--line); }
svg.schedule .plan { fill: none; stroke: var(--plan); stroke-dasharray: 3 2; }
svg.schedule .bar { fill: var(--bar); } svg.schedule .completed { fill: var(--done); }
svg.schedule .freeze { stroke: var(--late); stroke-dasharray: 4 3; stroke-width: 2; }
svg.schedule .due { stroke: var(--ink); stroke-width: 2; } svg.schedule .now { stroke: var(--late); }
.schedule-page { margin: 24px; background: var(--page); color: var(--ink); } .schedule-page .wide { overflow-x: auto; }
.schedule-page table { border-collapse: collapse; } .schedule-page th, .schedule-page td { padding: 4px 12px 4px 0;
  text-align: left; border-bottom: 1px solid var(--line); }
"""


class _Scale:
    """Where moments are drawn."""

    def __init__(self, releases: Sequence[PlannedRelease], now: datetime) -> None:
        spans = [phase.planned for release in releases for phase in release.phases]
        phases = [phase for release in releases for phase in release.phases]
        moments = [now, *(s.start for s in spans), *(s.end for s in spans)]
        moments += [m for p in phases for m in (p.start, p.end, p.span.start, p.span.end)]
        moments += [m for r in releases for m in (r.freeze_at, r.release_at)]
        self.first, last = min(moments), max(moments)
        self.length = max(last - self.first, HOUR)
        self.last = self.first + self.length

    def x(self, moment: datetime) -> float:
        """The place of *moment* from the left."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * ((moment - self.first) / self.length), 1)

    def ticks(self) -> Iterator[datetime]:
        """The moments of the axis: whole hours or days, at most a dozen."""
        step = next((step for step in STEPS if self.length / step <= MOST_TICKS), STEPS[-1] * 10)
        day = self.first.replace(hour=0, minute=0, second=0, microsecond=0)
        tick = day + ((self.first - day) // step) * step
        while tick <= self.last:
            if tick >= self.first:
                yield tick
            tick += step


def timeline_svg(releases: Sequence[PlannedRelease], now: datetime) -> str:
    """The timeline of *releases* at *now* as an SVG document."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_picture(releases, now, style=True)}\n'


def timeline_html(releases: Sequence[PlannedRelease], now: datetime) -> str:
    """A page with the timeline of *releases* and a table of their phases. It needs no other file."""
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in schedule_rows(releases)
    )
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in SCHEDULE_HEADS)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Planned releases</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body class="schedule-page">\n<h1>Planned releases</h1>\n<p>At {escape(minute_text(now))}</p>\n'
        '<div class="wide" tabindex="0" role="region" aria-label="Timeline">\n'
        f"{_picture(releases, now, style=False)}\n</div>\n<h2>Phases</h2>\n"
        '<div class="wide" tabindex="0" role="region" aria-label="Phases">\n'
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n</body>\n</html>\n"
    )


SCHEDULE_HEADS = ("release", "state", "phase", "progress", "planned", "now planned", "actual", "environment", "user")


def schedule_rows(releases: Iterable[PlannedRelease]) -> Iterator[list[str]]:
    """A row for each phase of *releases*."""
    for release in releases:
        for phase in release.phases:
            moved = str(phase.replanned) if phase.replanned and phase.replanned != phase.planned else "–"
            place, user = phase.environment or "–", phase.responsible or release.owner
            times = [str(phase.planned), moved, _actual(phase)]
            yield [release.id, release.state.value, phase.name, phase.progress, *times, place, user]


def _actual(phase: Phase) -> str:
    if phase.started_at is None:
        return "–"
    end = f" to {minute_text(phase.completed_at)}" if phase.completed_at else ""
    return f"{minute_text(phase.started_at)}{end}"


def _picture(releases: Sequence[PlannedRelease], now: datetime, *, style: bool) -> str:
    height = HEAD + ROW * sum(len(release.phases) + 2 for release in releases) + ROW
    about = f"Timeline of {len(releases)} planned releases"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="schedule" role="img" aria-label="{about}" width="{WIDTH}" '
        f'height="{height}" viewBox="0 0 {WIDTH} {height}">'
    )
    parts = [head, f"<title>{about}</title>", f"<style>{STYLE}</style>" if style else ""]
    parts.append(f'<rect class="page" width="{WIDTH}" height="{height}"/>')
    if releases:
        parts += _drawn(releases, _Scale(releases, now), now, height)
    return "\n".join(part for part in [*parts, "</svg>"] if part)


def _drawn(releases: Sequence[PlannedRelease], scale: _Scale, now: datetime, height: int) -> Iterator[str]:
    hours = next(scale.ticks(), now) + DAY > scale.last
    for tick in scale.ticks():
        x, text = scale.x(tick), f"{tick:%H:%M}" if hours else f"{tick:%Y-%m-%d}"
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{HEAD - 16}" y2="{height}"/>'
        yield f'<text class="soft" x="{x + 3}" y="{HEAD - 20}">{text}</text>'
    top = HEAD
    for release in releases:
        yield from _release(release, scale, top)
        top += ROW * (len(release.phases) + 2)
    x = scale.x(now)
    yield f'<line class="now" x1="{x}" x2="{x}" y1="{HEAD - 16}" y2="{height}"><title>{minute_text(now)}</title></line>'


def _release(release: PlannedRelease, scale: _Scale, top: int) -> Iterator[str]:
    title = f"{release.id} {release.title} ({release.state})"
    yield f'<text x="4" y="{top + 15}" font-weight="600">{escape(title)}</text>'
    bottom = top + ROW * (len(release.phases) + 1)
    for css, moment, name in (("freeze", release.freeze_at, "freeze"), ("due", release.release_at, "release")):
        x = scale.x(moment)
        text = f"{release.id} {name}: {minute_text(moment)}"
        line = f'<line class="{css}" x1="{x}" x2="{x}" y1="{top + ROW - 2}" y2="{bottom}">'
        yield f"{line}<title>{text}</title></line>"
    for place, phase in enumerate(release.phases, 1):
        yield from _phase(phase, scale, top + ROW * place)


def _phase(phase: Phase, scale: _Scale, top: int) -> Iterator[str]:
    yield f'<text class="soft" x="16" y="{top + 15}">{escape(phase.name)}</text>'
    if phase.span != phase.planned:
        x = scale.x(phase.planned.start)
        width = max(2, round(scale.x(phase.planned.end) - x, 1))
        yield f'<rect class="plan" x="{x}" y="{top + 2}" width="{width}" height="{ROW - 5}"/>'
    x = scale.x(phase.start)
    width = max(2, round(scale.x(max(phase.end, phase.start)) - x, 1))
    css = "completed" if phase.progress == "completed" else "bar"
    where = f" in {phase.environment}" if phase.environment else ""
    about = f"{phase.name} {phase.progress}{where}: {minute_text(phase.start)} to {minute_text(phase.end)}"
    bar = f'<rect class="{css}" x="{x}" y="{top + 5}" width="{width}" height="{ROW - 11}" rx="2">'
    yield f"{bar}<title>{escape(about)}</title></rect>"
