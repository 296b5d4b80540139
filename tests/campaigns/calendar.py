"""The calendar against a second, naive implementation: `python -m tests.campaigns.calendar --examples 5000 --seed 1`.

The naive one counts days, looks for wall-clock times minute by minute, and evaluates at every boundary. It has none of
our code: it reads the rules as data.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.verdict import Calendar, CalendarQuestion, Closed, LineStop, calendar_verdict
from orchestrator.domain.moments import Now
from orchestrator.domain.risk.kinds import ChangeKind

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "UTC")
AROUND = (
    date(2027, 3, 28),
    date(2027, 10, 31),
    date(2028, 2, 29),
    date(2027, 3, 14),
    date(2027, 4, 4),
    date(2026, 12, 31),
)
"""Days near which rules start: changes of clocks, a leap day, and the end of a year."""
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
Pair = tuple[datetime, datetime]
REACH = timedelta(days=60)
"""How far the naive implementation looks for the next change."""


# -- the naive implementation --------------------------------------------------------------------------------------


@lru_cache(maxsize=100_000)
def moment_of(wall: datetime, zone: str, last: bool) -> datetime:
    """The first (or *last*) minute at which clocks show *wall*; where they never do, the first one after it."""
    place, at = ZoneInfo(zone), wall.replace(tzinfo=UTC) - timedelta(hours=15)
    shown, after = list[datetime](), list[datetime]()
    for number in range(30 * 60):
        minute = at + number * MINUTE
        clock = minute.astimezone(place).replace(tzinfo=None)
        if clock == wall:
            shown.append(minute)
        elif clock > wall:
            after.append(minute)
    return (shown[-1] if last else shown[0]) if shown else min(after)


def fits(day: date, start: datetime, parts: dict[str, str]) -> bool:
    """Whether a rule that starts at *start* has an occurrence on *day*, not counting its end."""
    if "BYMONTH" in parts and day.month not in {int(month) for month in parts["BYMONTH"].split(",")}:
        return False
    return {"DAILY": _daily, "WEEKLY": _weekly, "MONTHLY": _monthly, "YEARLY": _yearly}[parts["FREQ"]](
        day, start.date(), int(parts.get("INTERVAL", "1")), parts
    )


def _daily(day: date, first: date, interval: int, parts: dict[str, str]) -> bool:
    return (day - first).days % interval == 0 and DAYS[day.weekday()] in parts.get("BYDAY", ",".join(DAYS))


def _weekly(day: date, first: date, interval: int, parts: dict[str, str]) -> bool:
    weeks = (day - day.weekday() * DAY - first + first.weekday() * DAY).days // 7
    return weeks % interval == 0 and DAYS[day.weekday()] in parts.get("BYDAY", DAYS[first.weekday()])


def _monthly(day: date, first: date, interval: int, parts: dict[str, str]) -> bool:
    length = ((day.replace(day=28) + 4 * DAY).replace(day=1) - DAY).day
    if ((day.year - first.year) * 12 + day.month - first.month) % interval:
        return False
    if "BYDAY" in parts:
        return any(_is_nth(day, length, text) for text in parts["BYDAY"].split(","))
    numbers = [int(text) for text in parts.get("BYMONTHDAY", str(first.day)).split(",")]
    return any(day.day == (number if number > 0 else length + 1 + number) for number in numbers)


def _yearly(day: date, first: date, interval: int, _parts: dict[str, str]) -> bool:
    return (day.year - first.year) % interval == 0 and (day.month, day.day) == (first.month, first.day)


def _is_nth(day: date, length: int, text: str) -> bool:
    nth, name = int(text[:-2] or 0), text[-2:]
    from_start, from_end = (day.day - 1) // 7 + 1, (length - day.day) // 7 + 1
    return DAYS[day.weekday()] == name and (nth in {0, from_start} or -nth == from_end)


def starts_of(rule: dict[str, Any], until: datetime) -> Iterator[datetime]:
    """Wall-clock starts of the series up to *until*, by counting days."""
    start = datetime.fromisoformat(rule["start"])
    if rule["rule"] is None:
        yield start
        return
    parts = dict(part.split("=") for part in rule["rule"].split(";"))
    found, day = 0, start.date()
    last = datetime.strptime(parts["UNTIL"], "%Y%m%dT%H%M%S") if "UNTIL" in parts else until  # noqa: DTZ007
    while datetime.combine(day, start.time()) <= min(until, last):
        if fits(day, start, parts):
            found += 1
            if found > int(parts.get("COUNT", "1000000")):
                return
            yield datetime.combine(day, start.time())
        day += DAY


def intervals_of(rule: dict[str, Any], until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The moments of each occurrence, half-open."""
    start, end = datetime.fromisoformat(rule["start"]), datetime.fromisoformat(rule["end"])
    moved = {datetime.fromisoformat(each["original"]): each for each in rule["moved"]}
    left_out = {datetime.fromisoformat(each) for each in rule["except_"]} | moved.keys()
    series = [each for each in starts_of(rule, until) if each not in left_out]
    also = [each for text in rule["also"] if (each := datetime.fromisoformat(text)) not in left_out]
    walls = {(each, each + (end - start)) for each in (*series, *also)}
    walls |= {(datetime.fromisoformat(m["start"]), datetime.fromisoformat(m["end"])) for m in moved.values()}
    closes = rule["kind"] != "window"
    for opens, ends in walls:
        first, last = moment_of(opens, rule["zone"], False), moment_of(ends, rule["zone"], closes)
        if first < last:
            yield first, last


class Naive:
    """The naive calendar of one environment for one kind of change."""

    def __init__(self, rules: list[dict[str, Any]], stops: list[Pair], change: str, until: datetime) -> None:
        passes = {"soft-freeze", "holiday"}
        self.windows = [rule for rule in rules if rule["kind"] == "window"]
        self.open_in = [each for rule in self.windows for each in intervals_of(rule, until)]
        closing = [r for r in rules if r["kind"] != "window" and not (r["kind"] in passes and change in r["allows"])]
        self.closed_in = [each for rule in closing for each in intervals_of(rule, until)] + stops

    def is_open(self, at: datetime) -> bool:
        """Whether nothing closes the environment at this moment."""
        if any(first <= at < last for first, last in self.closed_in):
            return False
        return not self.windows or any(first <= at < last for first, last in self.open_in)

    def next_change(self, at: datetime) -> datetime | None:
        """The first moment after *at* at which it is as it is not now; None if there is none within reach."""
        edges = sorted({edge for pair in (*self.closed_in, *self.open_in) for edge in pair if at < edge <= at + REACH})
        return next((edge for edge in edges if self.is_open(edge) != self.is_open(at)), None)


# -- the comparison ------------------------------------------------------------------------------------------------

TIMES = st.sampled_from([(0, 0), (1, 30), (2, 0), (2, 30), (3, 0), (9, 0), (18, 0), (23, 30)])
LENGTHS = st.sampled_from([30, 60, 90, 480, 1440, 2880])
RULES = st.one_of(
    st.none(),
    st.builds(lambda n, days: f"FREQ=DAILY;INTERVAL={n}{days}", st.integers(1, 3), st.sampled_from(["", ";BYDAY=MO,WE,SU"])),
    st.builds(
        lambda n, days: f"FREQ=WEEKLY;INTERVAL={n}" + (f";BYDAY={','.join(sorted(days))}" if days else ""),
        st.integers(1, 3),
        st.sets(st.sampled_from(DAYS), max_size=3),
    ),
    st.builds(lambda n, day: f"FREQ=MONTHLY;INTERVAL={n}{day}", st.integers(1, 2),
              st.sampled_from(["", ";BYDAY=-1SU", ";BYDAY=2TU", ";BYMONTHDAY=31", ";BYMONTHDAY=-1", ";BYDAY=FR"])),
    st.builds(lambda n: f"FREQ=YEARLY;INTERVAL={n}", st.sampled_from([1, 4])),
)  # fmt: skip
ENDS = st.sampled_from(["", ";COUNT=1", ";COUNT=5", ";COUNT=40"])


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any] | None:
    """A rule as data; None if the calendar refuses it (its first date is none of its rule)."""
    hour, minute = draw(TIMES)
    day = draw(st.sampled_from(AROUND)) + draw(st.integers(-3, 3)) * DAY
    start = datetime.combine(day, datetime.min.time()).replace(hour=hour, minute=minute)
    length, text = timedelta(minutes=draw(LENGTHS)), draw(RULES)
    data: dict[str, Any] = {
        "id": f"r{draw(st.integers(0, 10**9))}",
        "kind": draw(st.sampled_from(["window", "hard-freeze", "soft-freeze", "holiday"])),
        "title": "x",
        "start": start.isoformat(),
        "end": (start + length).isoformat(),
        "zone": draw(st.sampled_from(ZONES)),
        "rule": None if text is None else text + draw(ENDS),
        "allows": draw(st.sampled_from([["emergency"], ["emergency", "standard"], []])),
    }
    other = start + draw(st.integers(0, 15)) * DAY
    if draw(st.booleans()):
        data["except_"] = [other.isoformat()]
    if draw(st.booleans()):
        data["also"] = [(start + 9 * DAY + 90 * MINUTE).isoformat()]
    if draw(st.booleans()):
        original = start + draw(st.integers(0, 15)) * DAY
        away = original + 5 * 60 * MINUTE
        data["moved"] = [
            {"original": original.isoformat(), "start": away.isoformat(), "end": (away + length).isoformat()}
        ]
    try:
        return CalendarRule.from_json(data).to_json()
    except ValidationError:
        return None


CASES = st.tuples(
    st.lists(rules().filter(bool), min_size=1, max_size=4),
    st.sampled_from(AROUND),
    st.integers(-20 * 1440, 40 * 1440),
    st.booleans(),
    st.sampled_from(["normal", "standard", "emergency"]),
    st.sampled_from([None, 30, 600]),
)


def compare(case: tuple[Any, ...]) -> None:
    """Both implementations give the same answer at a moment, and the same moment of the next change within reach."""
    data, day, minutes, at_an_edge, change, stopped = case
    at = datetime.combine(day, datetime.min.time(), UTC) + minutes * MINUTE
    stops = [(at - MINUTE, at + stopped * MINUTE)] if stopped else []
    naive = Naive(data, stops, change, (at + 2 * REACH + 3 * DAY).replace(tzinfo=None))
    if at_an_edge:
        edges = sorted(edge for pair in (*naive.closed_in, *naive.open_in) for edge in pair)
        at = min((edge for edge in edges if abs(edge - at) <= REACH), key=lambda edge: abs(edge - at), default=at)
    line = tuple(
        LineStop(id="s", environment="*", stopped_at=first, stopped_by="ann", reason="x", until=last)
        for first, last in stops
    )
    ours = Calendar(rules=tuple(CalendarRule.from_json(rule) for rule in data), line_stops=line)
    verdict = calendar_verdict(ours, CalendarQuestion("production", change=ChangeKind(change)), Now.at(at))
    assert verdict.is_open == naive.is_open(at), f"{at}: {verdict}"
    change_at = verdict.next_open if isinstance(verdict, Closed) else verdict.next_close
    expected = naive.next_change(at)
    if expected is not None:
        assert change_at == expected, f"{at}: {verdict}, and by the naive implementation {expected}"
    else:
        assert change_at is None or change_at > at + REACH, (
            f"{at}: {verdict}, and no change by the naive implementation"
        )


def main() -> int:
    """Compare; the exit status is 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    chosen = parser.parse_args()
    done = 0

    @seed(chosen.seed)
    @settings(max_examples=chosen.examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(CASES)
    def compared(case: tuple[Any, ...]) -> None:
        nonlocal done
        compare(case)
        done += 1

    began = time.monotonic()
    try:
        compared()
    except AssertionError as error:
        print(f"seed {chosen.seed}: after {done} cases: {error}")
        print(f"{done} passed, 1 failed")
        return 1
    print(f"seed {chosen.seed}: {done} cases in {time.monotonic() - began:.0f} s, each as the naive implementation")
    print(f"{done} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
