"""Signs and times as pages have them. Each is made once: a large page has hundreds, and pages are read again."""

import re
from datetime import datetime
from functools import lru_cache

from markupsafe import Markup, escape

from orchestrator.domain.calendar.zones import zone_of
from orchestrator.domain.moments import utc

SHAPES = {
    "good": '<circle cx="8" cy="8" r="6.2"/><path d="m5.4 8.2 1.8 1.8 3.4-3.8"/>',
    "run": '<circle cx="8" cy="8" r="6.2" opacity=".3"/><path class="turn" d="M8 1.8a6.2 6.2 0 0 1 6.2 6.2"/>',
    "warn": '<path d="M5.5 3 2.5 6l3 3"/><path d="M2.8 6h6.4a4 4 0 0 1 0 8H6"/>',
    "bad": '<path d="M8 1.8 14.4 13H1.6z"/><path d="M8 6.3v3.2M8 11.5v.01"/>',
    "wait": '<circle cx="8" cy="5.2" r="2.7"/><path d="M2.8 14c.5-3 2.6-4.4 5.2-4.4s4.7 1.4 5.2 4.4"/>',
    "cold": '<path d="M8 1.7v12.6M2.5 4.85l11 6.3M13.5 4.85l-11 6.3"/>',
}
"""The drawing of each kind of sign."""
OTHER = '<path d="M4 8h8"/>'
KEPT = 4096
MINUTE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d UTC)")
"""A time in a message: see `minute_text`."""


@lru_cache(KEPT, typed=True)  # text and markup are not the same
def sign_svg(kind: str, label: str, hidden: bool) -> Markup:
    """The sign of *kind*, which reads as *label*; *hidden* from screen readers if it has a text beside it."""
    name = Markup(' aria-hidden="true"') if hidden else Markup(' role="img" aria-label="{}"').format(label)
    shape = Markup(SHAPES.get(kind, OTHER))  # noqa: S704 - one of the drawings above
    return Markup('\n<svg class="i {}" viewBox="0 0 16 16"{}>\n{}\n</svg>\n').format(kind, name, shape)


@lru_cache(KEPT, typed=True)  # text and markup are not the same
def time_in(zone: str, time: str | datetime | None) -> Markup:
    """A time for readers in *zone*, with the exact one; it is the same for each reader of that zone."""
    exact = exact_time(time)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, minute_in(zone, time))


def texts_in(zone: str, text: str) -> Markup:
    """*text* for readers in *zone*: the times in it, which messages have in UTC, as `time_in` shows them."""
    parts = MINUTE.split(str(text))
    shown = [time_in(zone, f"{part.removesuffix(' UTC').replace(' ', 'T')}Z") for part in parts[1::2]]
    rest = [escape(part) for part in parts[::2]]
    return Markup("").join(piece for pair in zip(rest, [*shown, ""], strict=True) for piece in pair)


def minute_in(zone: str, time: str | datetime | None) -> str:
    """A time for readers in *zone*, to the minute."""
    return f"{moment_of(time).astimezone(zone_of(zone)):%d %b %Y %H:%M %Z}" if time else "–"


def exact_time(time: str | datetime | None) -> str:
    """A time in UTC, in ISO 8601 to the second; empty without a time."""
    return f"{moment_of(time):%Y-%m-%dT%H:%M:%SZ}" if time else ""


def moment_of(time: str | datetime) -> datetime:
    """*time* of a record as a moment in UTC."""
    return utc(datetime.fromisoformat(time) if isinstance(time, str) else time)
