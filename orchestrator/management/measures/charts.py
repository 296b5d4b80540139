"""The measures as pictures and as an HTML report that opens in a browser without a server."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from orchestrator.domain.moments import minute_text
from orchestrator.management.measures.model import Measure, MeasuredRun, Measures, WeekMeasures

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 460, 150, 64, 14, 22
MOST_DATES = 6
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
STYLE = """
:root { color-scheme: light dark; }
body.measures { --ink: #1d2430; --soft: #5b6472; --line: #d5dae1; --bar: #3867b3; --bad: #b3541e; --page: #ffffff;
  margin: 24px auto; max-width: 1120px; padding: 0 16px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { body.measures { --ink: #e6eaf0; --soft: #a5afbd; --line: #39424f; --bar: #7da6ee;
  --bad: #e79a63; --page: #12161d; } }
.measures .wide { overflow-x: auto; } .measures table { border-collapse: collapse; }
.measures th, .measures td { padding: 4px 16px 4px 0; text-align: left; border-bottom: 1px solid var(--line); }
.measures td:nth-child(-n+3) { white-space: nowrap; }
.measures .trends { display: flex; flex-wrap: wrap; gap: 16px 32px; } .measures figure { margin: 0; }
.measures .soft { color: var(--soft); }
svg.trend text { fill: var(--soft); font: 12px system-ui, sans-serif; } svg.trend .grid { stroke: var(--line); }
svg.trend .week { fill: var(--bar); }
"""


def value_text(measure: Measure) -> str:
    """The value in words: `0.43 a day`, `2 h 5 m`, `12 %`; `–` without one."""
    value = measure.value
    if value is None:
        return "–"
    if measure.unit == "per day":
        return f"{value:.2f} a day"
    if measure.unit == "seconds":
        return length_text(value)
    return f"{100 * value:.1f} %" if measure.unit == "share" else f"{value:.0f}"


def count_text(measure: Measure) -> str:
    """How many runs are behind the value, and of how many: `3 of 40`."""
    return f"{measure.count} of {measure.of}"


def length_text(seconds: float) -> str:
    """A length of time in two units at most: `45 s`, `12 m 5 s`, `2 h 5 m`, `3 d 4 h`."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    units = ((DAY, HOUR, "d", "h"), (HOUR, MINUTE, "h", "m"), (MINUTE, 1.0, "m", "s"))
    whole, part, first, second = next(unit for unit in units if seconds >= unit[0])
    return f"{seconds // whole:.0f} {first} {seconds % whole // part:.0f} {second}"


TRENDS: tuple[tuple[str, Callable[[WeekMeasures], float | None], Callable[[float], str]], ...] = (
    ("Deployments a week", lambda week: float(week.deployments), lambda value: f"{value:g}"),
    ("Lead time, median", lambda week: week.lead_s, length_text),
    ("Change failure rate", lambda week: week.failure_share, lambda value: f"{100 * value:.0f} %"),
    ("Recovery time, median", lambda week: week.recovery_s, length_text),
    ("Rework rate", lambda week: week.rework_share, lambda value: f"{100 * value:.0f} %"),
)


def trends(measures: Measures) -> Iterator[tuple[str, str]]:
    """The title and the SVG picture of the trend of each of the five measures, by week."""
    for title, value_of, text_of in TRENDS:
        yield title, _trend(title, measures.weeks, [value_of(week) for week in measures.weeks], text_of)


def _trend(
    title: str, weeks: Sequence[WeekMeasures], values: Sequence[float | None], text_of: Callable[[float], str]
) -> str:
    most = max((value for value in values if value is not None), default=0.0)
    about = f"{title}, by week" if most else f"{title}, by week: no values"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="trend" role="img" aria-label="{escape(about)}" '
        f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
    )
    axis = HEIGHT - BOTTOM
    parts = [head, f"<title>{escape(about)}</title>"]
    for y, value in ((axis, 0.0), (TOP, most)):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}"/>')
        if most or y == axis:
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{escape(text_of(value))}</text>')
    parts += _bars(weeks, values, most or 1.0, text_of)
    return "\n".join([*parts, "</svg>"])


def _bars(
    weeks: Sequence[WeekMeasures], values: Sequence[float | None], most: float, text_of: Callable[[float], str]
) -> Iterator[str]:
    wide, axis = (WIDTH - LEFT) / max(1, len(weeks)), HEIGHT - BOTTOM
    every = -(-len(weeks) // MOST_DATES)
    for place, (week, value) in enumerate(zip(weeks, values, strict=True)):
        x, day = LEFT + wide * place, f"{week.week:%Y-%m-%d}"
        if place % every == 0:
            yield f'<text x="{x:.1f}" y="{HEIGHT - 6}">{week.week:%m-%d}</text>'
        if value is None:
            continue
        tall = max(1.0, (axis - TOP) * value / most)
        bar = f'<rect class="week" x="{x + 1:.1f}" y="{axis - tall:.1f}" width="{max(1.0, wide - 2):.1f}"'
        yield f'{bar} height="{tall:.1f}"><title>week from {day}: {escape(text_of(value))}</title></rect>'


def measures_report(project: str, measures: Measures) -> str:
    """The report as an HTML page. It needs no other file."""
    title = f"Measures of {project}"
    figures = "\n".join(
        f"<figure><figcaption>{escape(name)}</figcaption>\n{picture}\n</figure>" for name, picture in trends(measures)
    )
    table = _table(
        "Measures",
        ("measure", "value", "runs", "definition"),
        ([m.title, value_text(m), count_text(m), m.formula] for m in measures.measures),
    )
    lists = "\n".join(_runs(measure) for measure in measures.measures)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body class="measures">\n<h1>{escape(title)}</h1>\n<p class="soft">{escape(about_text(measures))}</p>\n'
        f'{table}\n<h2>Trends</h2>\n<div class="trends">\n{figures}\n</div>\n<h2>Runs</h2>\n{lists}\n</body>\n</html>\n'
    )


def about_text(measures: Measures) -> str:
    """The environments and the period, in one sentence."""
    places = ", ".join(measures.environments) or "no environment"
    return f"Of {places}, from {minute_text(measures.since)} to {minute_text(measures.until)}."


def _runs(measure: Measure) -> str:
    heads, rows = ("run", "environment", "release", "ended", "value"), map(_row, _with_unit(measure))
    body = _table(f"Runs of {measure.title}", heads, rows) if measure.runs else "<p>No runs.</p>"
    return f"<details><summary>{escape(measure.title)}: {measure.count} runs</summary>\n{body}\n</details>"


def _with_unit(measure: Measure) -> Iterator[tuple[MeasuredRun, str]]:
    for run in measure.runs:
        yield run, length_text(run.value) if measure.unit == "seconds" else f"{run.value:g}"


def _row(counted: tuple[MeasuredRun, str]) -> list[str]:
    run, value = counted
    return [run.run, run.environment, str(run.release), minute_text(run.at), value]


def _table(label: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">\n'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )
