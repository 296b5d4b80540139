"""What a cell of the matrix answers: whether a release is deployed, is being deployed, and is broken; and its marks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from orchestrator.domain.text import ago, counted, few
from orchestrator.web.pages.drawn_signs import sign_svg

DEPLOYED = {"current": "yes", "verified": "no, another release runs", "rolled back": "no, rolled back", "absent": "no"}


@dataclass(frozen=True)
class Mark:
    """One mark of a release: its *name*, the *sign* that it has, and what it means in words."""

    name: str
    sign: str
    text: str


def marks(cell: Mapping[str, Any]) -> tuple[Mark, ...]:
    """The marks *declared*, *seen* and *serves* of a release that the journal has on a host; nothing without one."""
    found = cell["marks"]
    whole = cell["state"] in {"current", "standby"}
    return _marks(found["declared"], found["seen"], found["serves"], cell["of"], whole) if found["declared"] else ()


def _marks(declared: int, seen: int, serves: int | None, of: int, whole: bool) -> tuple[Mark, ...]:
    return (
        Mark("declared", "good" if whole else "warn", f"the journal has it on {declared} of {counted(of, 'host')}"),
        Mark("seen", _sign(seen, declared, "none"), f"{seen} of {counted(declared, 'host')} reported it"),
        Mark("serves", "none", "no service was queried")
        if serves is None
        else Mark(
            "serves",
            _sign(serves, declared, "bad"),
            f"the services of {serves} of {counted(declared, 'host')} report it",
        ),
    )


def marks_tag(cell: Mapping[str, Any]) -> Markup:
    """The marks of a cell as a page has them."""
    found = cell["marks"]
    if not found["declared"]:
        return Markup()
    whole = cell["state"] in {"current", "standby"}
    return _tag(found["declared"], found["seen"], found["serves"], cell["of"], whole)


@lru_cache(4096)
def _tag(declared: int, seen: int, serves: int | None, of: int, whole: bool) -> Markup:
    """The marks of these numbers. Each is made once: a large page has hundreds of cells."""
    one = Markup('<span title="{}">{}{}</span>')
    every = (
        one.format(each.text, sign_svg(each.sign, each.text, False), each.name)
        for each in _marks(declared, seen, serves, of, whole)
    )
    return Markup('<span class="marks">{}</span>').format(Markup().join(every))


def _sign(number: int, declared: int, none: str) -> str:
    return "good" if number == declared else "warn" if number else none


def answers(cell: Mapping[str, Any]) -> str:
    """The answers to the three questions about a release in an environment, as one line."""
    return f"Deployed: {_deployed(cell)}. Being deployed: {cell['activity'] or 'no'}. Broken: {_broken(cell) or 'no'}."


def _deployed(cell: Mapping[str, Any]) -> str:
    on = len(cell["hosts"])
    return DEPLOYED.get(cell["state"]) or (f"on {on} of {counted(cell['of'], 'host')}" if on else "no")


def _broken(cell: Mapping[str, Any]) -> str:
    if cell["problem"]:
        return f"{cell['problem']} needs intervention"
    if cell["activity"] == "interrupted":
        return f"{cell['open_run']} is interrupted"
    return f"{few(cell['drifted'])} drifted" if cell["drifted"] else ""


def drift_tag(cell: Mapping[str, Any]) -> Markup:
    """What the newest check of drift has found, with its age; nothing where none was made since the release came."""
    mark = cell["drift"]
    if mark is None:
        return Markup()
    text, sign = _drift(mark)
    passed = ago(datetime.fromisoformat(mark["at"]), datetime.now(UTC))
    return Markup('<small class="drift" title="{}">{}{}, {}</small>').format(
        mark["at"], sign_svg(sign, text, True), text, passed
    )


def _drift(mark: Mapping[str, Any]) -> tuple[str, str]:
    """What was found, in words, and the sign of it."""
    if mark["differences"]:
        return f"drift: {counted(mark['differences'], 'difference')}", "bad"
    if mark["unknown"]:
        return f"drift: {mark['unknown']} unknown", "warn"
    return "no drift", "good"


def cell_class(cell: Mapping[str, Any]) -> str:
    """The class of the cell: what needs attention, or is under way, has a background."""
    if cell["problem"] or cell["activity"] == "interrupted":
        return " is-bad"
    if cell["activity"]:
        return " is-run"
    found = cell["drift"]
    has_drift = found is not None and bool(found["differences"])
    return " is-warn" if cell["drifted"] or has_drift or cell["state"] == "partly" else ""
