"""When an environment is open, with values and against an hour-by-hour implementation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.calendar.entries import CalendarEntry
from orchestrator.domain.calendar.fit import Basis, Fit, estimate, fit, next_slot
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.calendar.verdict import (
    Booking,
    Calendar,
    CalendarQuestion,
    Cause,
    Closed,
    LineStop,
    Open,
    calendar_verdict,
)
from orchestrator.domain.moments import Now, parse_moment
from orchestrator.domain.risk.kinds import ChangeKind

START = datetime(2026, 11, 27, tzinfo=UTC)


def rule(kind: str, start: int, end: int, **fields: Any) -> CalendarRule:
    begin, finish = (START.replace(tzinfo=None) + timedelta(hours=hours) for hours in (start, end))
    return CalendarRule.from_json({
        "id": f"{kind}-{start}", "kind": kind, "title": "year end", "zone": "UTC",
        "start": begin.isoformat(), "end": finish.isoformat(), **fields,
    })  # fmt: skip


def at(hour: float) -> Now:
    return Now.at(START + timedelta(hours=hour))


def ask(calendar: Calendar, now: Now, **fields: Any) -> Open | Closed:
    return calendar_verdict(calendar, CalendarQuestion("prod", **fields), now)


def test_an_environment_without_windows_is_open() -> None:
    """Nothing closes it, and no close is known."""
    assert ask(Calendar(), at(0)) == Open()


def test_windows_are_half_open() -> None:
    """The first moment of a window is open; its last moment is closed."""
    calendar = Calendar(rules=(rule("window", 10, 12),))
    before, first, end = ask(calendar, at(9)), ask(calendar, at(10)), ask(calendar, at(12))
    assert isinstance(before, Closed)
    assert before.next_open == START + timedelta(hours=10)
    assert before.reason == "outside of its windows until 2026-11-27 10:00 UTC"
    assert isinstance(first, Open)
    assert first.next_close == START + timedelta(hours=12)
    assert isinstance(end, Closed)
    assert end.next_open is None
    assert end.reason == "outside of its windows, and no later window is known"


def test_a_freeze_takes_precedence_over_a_window() -> None:
    """Where both apply the environment is closed; it opens when the freeze ends inside the window."""
    calendar = Calendar(rules=(rule("window", 10, 20), rule("hard-freeze", 12, 14, owner="ann")))
    assert ask(calendar, at(11)).to_json()["next_close"] == "2026-11-27T12:00:00.000Z"
    frozen = ask(calendar, at(13))
    assert isinstance(frozen, Closed)
    assert frozen.held_by == ("ann",)
    assert frozen.next_open == START + timedelta(hours=14)
    assert frozen.reason == "hard freeze 'year end' by ann until 2026-11-27 14:00 UTC"


def test_emergency_changes_pass_soft_freezes_and_no_hard_ones() -> None:
    """A soft freeze lets the kinds through that it names."""
    soft = Calendar(rules=(rule("soft-freeze", 0, 5), rule("holiday", 0, 5)))
    assert not ask(soft, at(1)).is_open
    assert ask(soft, at(1), change=ChangeKind.EMERGENCY).is_open
    hard = Calendar(rules=(rule("hard-freeze", 0, 5),))
    assert not ask(hard, at(1), change=ChangeKind.EMERGENCY).is_open
    assert not ask(
        Calendar(rules=(rule("soft-freeze", 0, 5, allows=["standard"]),)), at(1), change=ChangeKind.EMERGENCY
    ).is_open


def test_a_rollback_is_always_open() -> None:
    """No window, freeze, line stop or booking holds a rollback."""
    stop = LineStop(id="s", environment="*", stopped_at=START, stopped_by="bob", reason="incident")
    booking = Booking(id="b", environment="prod", start=START, end=START + timedelta(hours=9), holder="eve")
    everything = Calendar(
        rules=(rule("window", 100, 101), rule("hard-freeze", 0, 50)), line_stops=(stop,), bookings=(booking,)
    )
    assert ask(everything, at(1), action="rollback") == Open()
    closed = ask(everything, at(1))
    assert isinstance(closed, Closed)
    assert [each.cause for each in closed.closings] == [
        Cause.LINE_STOPPED,
        Cause.HARD_FREEZE,
        Cause.BOOKED,
        Cause.OUTSIDE_WINDOWS,
    ]
    assert closed.held_by == ("bob", "eve")
    assert closed.until is None
    assert closed.next_open is None
    overridden = ask(everything, at(1), overridden=frozenset({"s", "b", "windows", "hard-freeze-0"}))
    assert overridden.is_open


def test_a_stopped_line_opens_when_it_is_resumed_or_over() -> None:
    """A stop with an end ends then, or when it is resumed before."""
    stop = LineStop(
        id="s",
        environment="prod",
        stopped_at=START,
        stopped_by="bob",
        reason="incident",
        until=START + timedelta(hours=4),
    )
    assert ask(Calendar(line_stops=(stop,)), at(3)).to_json()["next_open"] == "2026-11-27T04:00:00.000Z"
    assert ask(Calendar(line_stops=(stop,)), at(4)).is_open
    resumed = stop.model_copy(update={"resumed_at": START + timedelta(hours=1), "resumed_by": "bob"})
    assert ask(Calendar(line_stops=(resumed,)), at(2)).is_open
    assert calendar_verdict(Calendar(line_stops=(stop,)), CalendarQuestion("staging"), at(1)).is_open


def test_a_booking_closes_for_others_only() -> None:
    """The holder and its members use the environment."""
    booking = Booking(
        id="b", environment="prod", start=START, end=START + timedelta(hours=9), holder="web", members=("ann",)
    )
    calendar = Calendar(bookings=(booking,))
    assert ask(calendar, at(1), actor="ann").is_open
    assert not ask(calendar, at(1), actor="bob").is_open


def test_a_window_never_opens_earlier_by_a_clock_that_jumps() -> None:
    """With an uncertain clock the environment is open only if it is open at every possible moment."""
    calendar = Calendar(rules=(rule("window", 10, 12),))
    early, late = START + timedelta(hours=9), START + timedelta(hours=11)
    assert not ask(calendar, Now(early, late)).is_open
    assert not ask(calendar, Now(late, START + timedelta(hours=12))).is_open
    assert ask(calendar, Now(late, late + timedelta(minutes=1))).is_open


RULES = st.lists(
    st.tuples(
        st.sampled_from(["window", "hard-freeze", "soft-freeze"]), st.integers(0, 40), st.integers(1, 12), st.booleans()
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(RULES, st.integers(0, 47), st.sampled_from(ChangeKind))
def test_verdicts_are_as_an_hour_by_hour_count(
    drawn: list[tuple[str, int, int, bool]], now: int, change: ChangeKind
) -> None:
    """Each hour is open or closed by itself; the next change is the first hour that differs."""
    rules = tuple(
        rule(kind, start, start + length, id=str(number), environments=["prod" if mine else "other"])
        for number, (kind, start, length, mine) in enumerate(drawn)
    )
    windows = [(s, s + n) for kind, s, n, mine in drawn if mine and kind == "window"]
    freezes = [
        (s, s + n)
        for kind, s, n, mine in drawn
        if mine and (kind == "hard-freeze" or (kind == "soft-freeze" and change is not ChangeKind.EMERGENCY))
    ]

    def is_open(hour: int) -> bool:
        allowed = not windows or any(s <= hour < e for s, e in windows)
        return allowed and not any(s <= hour < e for s, e in freezes)

    verdict = ask(Calendar(rules=rules), at(now), change=change)
    assert verdict.is_open is is_open(now)
    differs = next((hour for hour in range(now, 100) if is_open(hour) is not is_open(now)), None)
    expected = None if differs is None else START + timedelta(hours=differs)
    assert (verdict.next_close if isinstance(verdict, Open) else verdict.next_open) == expected


def test_an_estimate_counts_what_was_measured() -> None:
    """p90 of the last 20 with 5 runs or more, twice the median with fewer, hosts and steps with none."""
    many = estimate([600.0 + 60 * n for n in range(10)] + [9e9] * 0, steps=3, hosts=2)
    assert (many.basis, many.expected_s, many.counts_s) == (Basis.MEASURED, 870.0, 1080.0)
    assert estimate([60.0] * 20 + [9e9] * 20, steps=1, hosts=1).counts_s == 60.0
    few = estimate([100.0, 300.0], steps=3, hosts=2)
    assert (few.basis, few.expected_s, few.counts_s) == (Basis.FEW_RUNS, 200.0, 400.0)
    assert estimate([], steps=3, hosts=2, batches=2).basis is Basis.NO_RUNS


def test_a_promotion_that_does_not_fit_is_reported_before_it_starts() -> None:
    """It ends by the close, or is refused; without a measured run that is a warning."""
    calendar = Calendar(rules=(rule("hard-freeze", 18, 30),))
    measured = estimate([840.0] * 4 + [1320.0] * 6, steps=1, hosts=1)
    assert measured.counts_s == 1320.0
    verdict = ask(calendar, at(17))
    assert fit(verdict, measured, at(17)).fit is Fit.FITS
    late = at(17.7)
    found = fit(ask(calendar, late), measured, late)
    assert found.fit is Fit.DOES_NOT_FIT
    assert found.latest_start == parse_moment("2026-11-27T17:38:00Z")
    assert "would run into 2026-11-27 18:00 UTC (hard freeze 'year end' until" in str(found)
    assert fit(ask(calendar, late), estimate([], steps=60, hosts=1), late).fit is Fit.MAY_NOT_FIT


def test_the_next_slot_is_open_free_and_long_enough() -> None:
    """Windows that are too short, a freeze inside of one, and the expected end of a lease are taken into account."""
    calendar = Calendar(rules=(rule("window", 2, 3), rule("window", 5, 12), rule("hard-freeze", 6, 7)))
    question, two = CalendarQuestion("prod"), timedelta(hours=2)
    lease = Interval(START, START + timedelta(hours=8))
    assert next_slot(calendar, question, two, at(0)) == Interval(START + timedelta(hours=7), START + timedelta(hours=9))
    assert next_slot(calendar, question, two, at(0), [lease]) == Interval(lease.end, lease.end + two)
    assert next_slot(calendar, question, timedelta(hours=6), at(0)) is None


def test_windows_as_code_become_rules_of_their_environment() -> None:
    """An entry of a file is checked as a rule, and is identified by its place."""
    fields = {"title": "evenings", "start": "2026-11-02T18:00:00", "end": "2026-11-02T22:00:00", "zone": "Europe/Zurich",
              "rule": "FREQ=DAILY", "except": ["2026-12-24T18:00:00"]}  # fmt: skip
    entry = CalendarEntry.from_json(fields)
    made = entry.to_rule("prod", 3)
    assert (made.id, made.environments, made.source, len(made.except_)) == ("file:prod:3", ("prod",), "file", 1)
    assert CalendarEntry.from_json(entry.to_json()) == entry
    with pytest.raises(ValueError, match="does not give"):
        CalendarEntry.from_json({**fields, "rule": "FREQ=WEEKLY;BYDAY=SU"})
    with pytest.raises(ValueError, match="environments"):
        CalendarEntry.from_json({**fields, "environments": ["other"]})


def test_a_package_that_a_booking_awaits_is_closed_until_its_start() -> None:
    """A package is closed until the booking that it is planned for, open in it, and another one is the other way round."""
    booking = Booking(
        id="B-1", environment="prod", start=START + timedelta(hours=4), end=START + timedelta(hours=8), holder="release:REL-1",
        purpose="REL-1 deploy: Advent", packages=("sha256:a",), awaited=("sha256:a",),
    )  # fmt: skip
    calendar = Calendar(bookings=(booking,))

    def reason(package: str, hours: int, overridden: frozenset[str] = frozenset()) -> str:
        found = ask(calendar, at(hours), package=package, overridden=overridden)
        return "" if found.is_open else found.reason

    assert reason("sha256:a", 0).startswith("planned for ")
    assert reason("sha256:a", 0).endswith(": REL-1 deploy: Advent")
    assert (reason("sha256:a", 0, frozenset({"release:REL-1"})), reason("sha256:a", 4), reason("sha256:b", 0)) == (
        "",
    ) * 3
    assert reason("sha256:b", 4).startswith("booked by release:REL-1")


def test_a_booking_that_waits_closes_the_environment_for_its_packages_alone() -> None:
    """Until its start a package that awaits it is closed, another one is open; in its time nobody is kept out by it."""
    booking = Booking(
        id="B-1", environment="prod", start=START + timedelta(hours=4), end=START + timedelta(hours=8), holder="release:REL-1",
        awaited=("sha256:a",), waits=True,
    )  # fmt: skip
    open_at = {
        package: [
            hour for hour in (0, 4, 6, 9) if ask(Calendar(bookings=(booking,)), at(hour), package=package).is_open
        ]
        for package in ("sha256:a", "sha256:b")
    }
    assert open_at == {"sha256:a": [4, 6, 9], "sha256:b": [0, 4, 6, 9]}


def test_an_earlier_booking_of_the_holder_opens_for_an_awaited_package() -> None:
    """A package is open in each booking that carries it, and closed in the times between them until the one that it awaits."""
    times = {"B-1": (2, 3), "B-2": (5, 8)}
    bookings = tuple(
        Booking(
            id=name, environment="prod", start=START + timedelta(hours=start), end=START + timedelta(hours=end),
            holder="release:REL-1", packages=("sha256:a",), awaited=("sha256:a",) if name == "B-2" else (),
        )
        for name, (start, end) in times.items()
    )  # fmt: skip
    open_at = [hour for hour in range(10) if ask(Calendar(bookings=bookings), at(hour), package="sha256:a").is_open]
    assert open_at == [2, 5, 6, 7, 8, 9]
