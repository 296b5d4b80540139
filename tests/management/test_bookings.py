"""Bookings by values: states, conflicts, free slots, contention and what time requires."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.access.principals import Absence
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.calendar.rules import CalendarRule, RuleKind
from orchestrator.domain.calendar.verdict import Calendar
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.management.bookings.conflicts import BookingFacts, ConflictKind, clashes, conflicts, free_slots
from orchestrator.management.bookings.contention import demand_of
from orchestrator.management.bookings.duties import due_step
from orchestrator.management.bookings.model import EnvironmentBooking, Quota
from orchestrator.management.bookings.ports import Use
from orchestrator.management.bookings.state import BOOKING_TABLE, HOLDING, BookingEvent, BookingState

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DEPENDS = {"staging": ("database",), "testing": ("database",), "database": (), "production": ()}


def booking(number: int = 1, start: float = 8, hours: float = 4, **fields: object) -> EnvironmentBooking:
    """A confirmed booking of staging by ann, from an hour of Monday on."""
    about: dict[str, object] = {
        "environment": "staging", "purpose": "load test", "holder": "user:ann", "owner": "ann",
        "created_at": MONDAY - DAY, "state": BookingState.CONFIRMED, "confirmed_at": MONDAY - DAY,
        "start": MONDAY + start * HOUR, "end": MONDAY + (start + hours) * HOUR, **fields,
    }  # fmt: skip
    return EnvironmentBooking.model_validate({"number": number, **about})


def kinds(wanted: EnvironmentBooking, **facts: Any) -> list[str]:
    return [str(conflict.kind) for conflict in conflicts(wanted, BookingFacts(depends_on=DEPENDS, **facts))]


@given(st.lists(st.sampled_from(list(BookingEvent)), max_size=20))
def test_no_sequence_of_events_leaves_the_table(events: list[BookingEvent]) -> None:
    """After any events the state is one of the table, a refused event changes nothing, and an end stays an end."""
    found = booking(state=BookingState.REQUESTED)
    for event in events:
        if BOOKING_TABLE.allows(found.state, event):
            assert not found.has_ended
            before, found = found, found.after(event)
            assert BOOKING_TABLE.moves[before.state][event] is found.state
        else:
            with pytest.raises(OrchestratorError, match="not possible"):
                found.after(event)
    assert set(BOOKING_TABLE.moves) == set(BookingState)


def test_each_conflict_has_its_kind() -> None:
    """Booked, a booked dependency, a freeze, no window, an absence and a quota each refuse a time, and are named."""
    other = booking(2, start=10, holder="user:bob")
    assert kinds(booking(), bookings=(other,)) == ["booked"]
    assert kinds(booking(), bookings=(booking(2, start=12),)) == []
    assert kinds(booking(), bookings=(booking(2, environment="testing"),)) == ["dependency-booked"]
    assert kinds(booking(), bookings=(booking(2, environment="production"),)) == []
    start, end = datetime(2026, 11, 30), datetime(2026, 12, 1)  # noqa: DTZ001 - wall-clock time
    freeze = CalendarRule(id="c1", kind=RuleKind.HARD_FREEZE, title="eve", start=start, end=end, zone="UTC")
    assert kinds(booking(), calendar=Calendar(rules=(freeze,))) == ["frozen"]
    late = freeze.model_copy(update={"kind": RuleKind.WINDOW, "start": start.replace(hour=20)})
    assert kinds(booking(), calendar=Calendar(rules=(late,))) == ["outside-windows"]
    assert kinds(booking(start=18), calendar=Calendar(rules=(late,))) == []
    away = Absence(user="ann", deputy="bob", start=MONDAY, end=MONDAY + DAY)
    assert kinds(booking(), absences=(away,)) == ["absent"]
    assert kinds(booking(start=23), absences=(away,)) == []
    assert kinds(booking(holder="team:red"), absences=(away,)) == ["absent"]
    assert kinds(booking(holder="train:T-1", owner="bob"), absences=(away,)) == []
    one = {"approvers": {"staging": ("eve",)}, "needed": {"staging": 1}}
    gone = Absence(user="eve", deputy="bob", start=MONDAY, end=MONDAY + DAY)
    nobody = gone.model_copy(update={"user": "bob", "deputy": "ann"})
    assert kinds(booking(), absences=(gone,), **one) == []
    assert kinds(booking(), absences=(gone, nobody), **one) == ["approvers-absent"]
    assert kinds(booking(start=23), absences=(gone, nobody), **one) == []
    assert kinds(booking(), absences=(gone, nobody), approvers={"staging": ("eve",)}) == []
    quota = Quota(team="red", environment="staging", hours=5)
    teams = {"ann": "red"}
    assert kinds(booking(), quotas=(quota,), teams=teams) == []
    earlier = booking(2, start=0, hours=2, state=BookingState.COMPLETED)
    assert kinds(booking(), quotas=(quota,), teams=teams, past=(earlier,)) == ["quota"]
    assert kinds(booking(start=7 * 24), quotas=(quota,), teams=teams, past=(earlier,)) == []
    released = earlier.model_copy(update={"ended_at": MONDAY + HOUR})
    assert kinds(booking(), quotas=(quota,), teams=teams, past=(released,)) == [], "the hours that it was kept count"
    assert [str(kind) for kind in ConflictKind] == [
        "booked", "dependency-booked", "frozen", "outside-windows", "absent", "approvers-absent", "quota",
    ]  # fmt: skip


times = st.tuples(st.integers(0, 60), st.integers(1, 12), st.sampled_from(["staging", "testing", "production"]))


@given(st.lists(times, max_size=8), st.integers(1, 8))
def test_a_free_slot_can_be_booked_and_the_first_one_is_found(found: list[tuple[int, int, str]], hours: int) -> None:
    """Each slot has no conflict, slots do not overlap, and no earlier hour would do: as a search of every hour shows."""
    bookings = tuple(booking(n, start, length, environment=e) for n, (start, length, e) in enumerate(found, 1))
    facts = BookingFacts(bookings=bookings, depends_on=DEPENDS)
    horizon = Interval(MONDAY, MONDAY + 80 * HOUR)
    slots = free_slots("staging", hours * HOUR, horizon, facts, 3)
    for slot in slots:
        assert conflicts(booking(99, (slot.start - MONDAY) / HOUR, hours), facts) == ()
    assert all(not one.overlaps(other) for one in slots for other in slots if one != other)
    naive = next((h for h in range(80 - hours + 1) if not conflicts(booking(99, h, hours), facts)), None)
    assert ((slots[0].start - MONDAY) / HOUR if slots else None) == naive


def test_time_requires_one_step() -> None:
    """A booking is reminded of, expires after its grace time unless it is used, ends, and a late one has its grace time."""
    one = booking()

    def step(found: EnvironmentBooking, hour: float) -> str:
        return due_step(found, Now.at(MONDAY + hour * HOUR))

    assert [step(one, hour) for hour in (6.5, 7.1, 8.4, 8.5, 13)] == ["", "starts", "starts", "expire", "expire"]
    used = one.after(BookingEvent.CHECK_IN, used_at=one.start, run="r1")
    assert [step(used, hour) for hour in (9, 11.8, 12)] == ["", "ends", "end"]
    late = one.model_copy(update={"confirmed_at": MONDAY + 10 * HOUR})
    assert [step(late, hour) for hour in (10.4, 10.5)] == ["starts", "expire"]
    waiting = booking(state=BookingState.WAITING)
    assert [step(waiting, hour) for hour in (8, 12)] == ["", "expire"]
    assert one.keeps_out(Now.at(MONDAY + 8.4 * HOUR))
    assert not one.keeps_out(Now.at(MONDAY + 8.6 * HOUR))
    assert used.keeps_out(Now.at(MONDAY + 11 * HOUR))


def test_contention_has_the_hours_of_bookings_and_runs() -> None:
    """Booked, requested, used and waited hours of a week are those of the bookings and of the runs in them."""
    week = Interval(MONDAY, MONDAY + 7 * DAY)
    ended = booking(1, ended_at=MONDAY + 10 * HOUR, state=BookingState.COMPLETED)
    waiting = booking(2, start=9, hours=2, state=BookingState.WAITING, holder="user:bob")
    expired = booking(3, start=20, state=BookingState.EXPIRED)
    runs = (
        Use("staging", "ann", MONDAY + 8 * HOUR, MONDAY + 8 * HOUR, MONDAY + 9 * HOUR),
        Use("staging", "bob", MONDAY + 9 * HOUR, MONDAY + 11 * HOUR, MONDAY + 12 * HOUR),
    )
    found = demand_of("staging", week, [ended, waiting, expired], runs)
    assert (found.booked, found.requested, found.used, found.waited) == (2.0, 2.0, 1.0, 1.0)
    assert (found.clashes, found.unused) == (("B-2",), ("B-3",))
    assert demand_of("testing", week, [ended, waiting, expired], ()).booked == 0.0


def test_contention_counts_no_wait_of_those_whom_a_booking_lets_pass() -> None:
    """Members of the team and packages of the release or train that hold a booking do not wait for others; other promotions do."""
    week = Interval(MONDAY, MONDAY + 7 * DAY)
    kept = booking(1, holder="team:red", state=BookingState.COMPLETED)
    hours = (MONDAY + 8 * HOUR, MONDAY + 10 * HOUR, MONDAY + 11 * HOUR)
    mine, other = (
        Use("staging", by, *hours, package=package) for by, package in (("bob", "sha256:1"), ("cid", "sha256:2"))
    )
    found = {name: demand_of("staging", week, [kept], [mine, other], {"B-1": frozenset({name})}) for name in
             ("bob", "sha256:1", "sha256:3")}  # fmt: skip
    assert {name: demand.waited for name, demand in found.items()} == {"bob": 2.0, "sha256:1": 2.0, "sha256:3": 4.0}


def test_clashes_are_those_of_shared_environments() -> None:
    """Two bookings clash if their times overlap and they need the same environment."""
    found = [booking(1), booking(2, start=11), booking(3, start=9, environment="testing"), booking(4, start=30)]
    assert list(clashes(found, DEPENDS)) == [("B-1", "B-3"), ("B-1", "B-2"), ("B-3", "B-2")]
    assert {BookingState.CONFIRMED, BookingState.ACTIVE} == HOLDING


def test_a_booking_has_a_length_and_a_holder() -> None:
    """A booking that ends before it starts, lasts too long or has another form of holder is refused."""
    for wrong in ({"end": MONDAY}, {"end": MONDAY + 100 * DAY}, {"holder": "ann"}, {"purpose": " "}):
        with pytest.raises(ValueError, match=r"ends before|longer|pattern|at least 1"):
            booking(**wrong)
