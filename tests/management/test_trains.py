"""Release trains: states, boarding and the cut-off, departures, and the set that goes together or not at all."""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.adapters.memory.store import ManualClock, MemoryStore
from orchestrator.app.application import Application
from orchestrator.app.package_uses import refuse_used
from orchestrator.app.scheduler import Scheduler
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.moments import moment_text, parse_moment
from orchestrator.domain.register import OUTBOX, REQUESTS
from orchestrator.domain.release import PackageRef
from orchestrator.management.bookings import decisions as bookings
from orchestrator.management.bookings.admission import RegisterBookings
from orchestrator.management.bookings.duties import advance_bookings
from orchestrator.management.bookings.model import BookingDraft, EnvironmentBooking
from orchestrator.management.bookings.queries import show_booking
from orchestrator.management.package_uses import RegisterPackageUses
from orchestrator.management.trains import decisions, departure, line_decisions, queries
from orchestrator.management.trains.decisions import TrainChange
from orchestrator.management.trains.duties import DriveTrains
from orchestrator.management.trains.executions import ApplicationTrains
from orchestrator.management.trains.lines import departures
from orchestrator.management.trains.model import Train, TrainRun
from orchestrator.management.trains.ports import RunReport
from orchestrator.management.trains.state import (
    BOARDING_TABLE,
    TRAIN_RUN_TABLE,
    TRAIN_TABLE,
    BoardingState,
    TrainEvent,
    TrainRunState,
    TrainState,
)
from orchestrator.management.trains.store import TRAINS
from orchestrator.register_ports import Register
from tests.app.desk import NOON
from tests.contracts.test_register import opened, register
from tests.management.trains import HOUR, NAMES, DiedError, Station, draft, dying_at, ref

__all__ = ["opened", "register"]  # the fixtures
AT = moment_text(NOON)


@given(st.lists(st.sampled_from(TrainEvent), max_size=20))
def test_a_train_has_only_states_of_the_table(events: list[TrainEvent]) -> None:
    """After any events the state is one of the table, a refused event changes nothing, and an end stays an end."""
    about = {"number": 1, "stops": [{"environments": ["staging"]}], "departs_at": AT, "boarding_closes_at": AT}
    made = {"conductor": {"name": "ann"}, "created_at": AT, "created_by": "ann"}
    train = Train.from_json({**about, **made})
    for event in events:
        if TRAIN_TABLE.allows(train.state, event):
            assert not train.has_ended
            train = train.after_event(event)
        else:
            with pytest.raises(OrchestratorError, match="not possible"):
                train.after_event(event)
    assert set(TRAIN_TABLE.moves) == set(TrainState)
    assert set(BOARDING_TABLE.moves) == set(BoardingState)
    assert set(TRAIN_RUN_TABLE.moves) == set(TrainRunState)


def test_a_line_departs_by_its_rule_and_its_dates() -> None:
    """Departures follow the clocks on the wall of the line's zone, with single dates among them, and without an end twice."""
    line = draft(
        zone="Europe/Zurich", start="2026-12-01T10:00", rule="FREQ=WEEKLY;BYDAY=TU", dates=["2026-12-03T10:00"]
    )
    found = departures(line, datetime(2026, 11, 30, tzinfo=UTC), 3)
    assert [f"{each:%d %H:%M}" for each in found] == ["01 09:00", "03 09:00", "08 09:00"]
    once = draft(start=None, rule=None, dates=["2026-12-03T10:00"])
    assert departures(once, datetime(2026, 12, 3, 10, tzinfo=UTC)) == ()
    for wrong in (
        {"start": None, "rule": None},
        {"start": None},
        {"stops": [{"environments": ["staging"]}] * 2},
        {"stops": [{"environments": ["staging"], "after_s": 60}, {"environments": ["production"]}]},
    ):
        with pytest.raises(ValueError, match=r"departure|first|twice|earlier"):
            draft(**wrong)


def test_packages_board_until_the_cut_off(register: Register) -> None:
    """On every adapter: packages board in an order, another version takes the place, and after the cut-off only with a reason."""
    found = Station(register)
    assert [member.version for member in found.board("shop", "database", version="3.0.0").aboard] == [
        "2.0.0",
        "3.0.0",
        "2.0.0",
    ]
    assert found.refused(lambda: found.board("database", "website")) == "G604"
    assert found.refused(lambda: found.board("database", "database")) == "G604"
    assert found.refused(lambda: decisions.board_train(found.acting(), "T-1", "shop-9", found.facts)) == "G603"
    decisions.leave_train(found.acting(), "T-1", "website", "not ready")
    assert found.tick(3 * HOUR) == ["T-1 is closed"]
    assert found.refused(lambda: found.board("website")) == "G605"
    train = found.board("website", late="the fix of the outage")
    assert (train.state, train.aboard[-1].late) == ("closed", "the fix of the outage")
    texts = [e.detail for e in register.reading(lambda r: r.audit()) if e.detail.get("event") == "board late"]
    assert [(each["package"], each["late"]) for each in texts] == [("website 2.0.0", "the fix of the outage")]


def test_a_package_aboard_is_kept_until_the_end() -> None:
    """A package aboard is not removed, and the error has how it leaves: by a command before the departure, then by the end of the train."""
    found = Station()

    def refuse(package: PackageRef) -> None:
        found.desk.register.reading(lambda records: refuse_used(records, RegisterPackageUses(), package))

    def hint() -> str | None:
        with pytest.raises(OrchestratorError, match="is aboard T-1") as error:
            refuse(ref("shop"))
        return error.value.hint

    assert hint() == "orchestrator train leave T-1 shop"
    refuse(ref("shop", "3.0.0"))
    found.desk.clock.jump(4 * 3600)
    departure.depart(found.acting(), "T-1", found.facts)
    assert hint() == "wait for the end of T-1: orchestrator train show T-1"
    found.tick()
    assert found.train.has_ended
    refuse(ref("shop"))


def test_the_scheduler_makes_the_next_train_of_a_line() -> None:
    """A line has a train for its next departure, made once; one without trains is removed, others are archived."""
    found = Station(aboard=False)
    assert found.tick() == []
    assert [text for text in found.tick(5 * HOUR) if "T-2" in text] == ["T-2 of weekly is boarding"]
    assert found.tick() == []
    line_decisions.add_line(found.acting(), draft(name="other"))
    assert found.refused(lambda: line_decisions.add_line(found.acting(), draft())) == "G601"
    line_decisions.edit_line(found.acting(), "other", {"boarding_s": 60})
    assert found.refused(lambda: line_decisions.edit_line(found.acting(), "other", {"start": None})) == "G601"
    assert not line_decisions.remove_line(found.acting(), "other").is_archived
    assert line_decisions.remove_line(found.acting(), "weekly").is_archived
    assert queries.list_lines(found.acting("viewer")) == ()
    assert [line.name for line in queries.list_lines(found.acting("viewer"), archived=True)] == ["weekly"]
    assert found.refused(lambda: decisions.create_train(found.acting(), "weekly")) == "G601"


def test_a_departure_gets_one_train_from_the_scheduler() -> None:
    """A cancelled train is not made again for its departure, and a train for a later one keeps no earlier one away."""
    found = Station(aboard=False)
    decisions.cancel_train(found.acting(), "T-1", "the shop stays as it is")
    assert found.tick() == []
    later = decisions.create_train(found.acting(), "weekly", NOON + 52 * HOUR)
    assert (later.id, found.tick()) == ("T-2", [])
    assert found.tick(5 * HOUR) == ["T-3 of weekly is boarding"]
    assert queries.show_train(found.acting("viewer"), "T-3").departs_at == NOON + 28 * HOUR
    decisions.edit_train(found.acting(), "T-3", decisions.TrainChange(departs_at=NOON + 40 * HOUR), "later that day")
    assert found.tick() == []


@pytest.mark.parametrize(
    "moves",
    [(72,), (30,), (72, 40, 100), (2,), (100, 2)],
    ids=["past-two", "past-the-next", "several", "earlier", "later-and-earlier"],
)
@pytest.mark.parametrize("end", ["", "cancel"])
def test_a_moved_train_leaves_no_gap(moves: tuple[int, ...], end: str) -> None:
    """Wherever a train is moved, and also if it is then cancelled, the line makes no train for the departure that it was made for."""
    found = Station(aboard=False)
    for hours in moves:
        decisions.edit_train(found.acting(), "T-1", TrainChange(NOON + hours * HOUR), "the hall is not free")
        assert found.tick() == []
    assert found.train.planned_at == NOON + 4 * HOUR
    if end == "cancel":
        decisions.cancel_train(found.acting(), "T-1", "the shop stays as it is")
    assert [text for text in found.tick(3 * HOUR) if "T-2" in text] == []
    assert [text for text in found.tick(2 * HOUR) if "T-2" in text] == ["T-2 of weekly is boarding"]


def test_the_next_train_that_a_user_makes_is_not_that_of_a_moved_one() -> None:
    """Without a time `create` passes the departure of a train that was moved away; with this time it makes a train."""
    found = Station(aboard=False)
    decisions.edit_train(found.acting(), "T-1", TrainChange(NOON + 72 * HOUR), "the hall is not free")
    assert decisions.create_train(found.acting(), "weekly").departs_at == NOON + 28 * HOUR
    assert decisions.create_train(found.acting(), "weekly", NOON + 4 * HOUR).departs_at == NOON + 4 * HOUR


def test_a_train_between_two_departures_is_in_place_of_none() -> None:
    """A train that a user makes at a time of its own keeps the line from no departure; one at the time of a departure is its train."""
    found = Station(aboard=False)
    decisions.create_train(found.acting(), "weekly", NOON + 30 * HOUR)
    decisions.create_train(found.acting(), "weekly", NOON + 52 * HOUR)
    assert [text for text in found.tick(5 * HOUR) if "T-4" in text] == ["T-4 of weekly is boarding"]
    assert queries.show_train(found.acting("viewer"), "T-4").departs_at == NOON + 28 * HOUR
    assert [text for text in found.tick(24 * HOUR) if "T-5" in text] == []


def test_a_change_of_the_cadence_makes_trains_for_its_departures_only() -> None:
    """An edited line has trains for its new departures beside those made before, and edited back it makes none a second time."""
    found = Station(aboard=False)
    decisions.edit_train(found.acting(), "T-1", TrainChange(NOON + 72 * HOUR), "the hall is not free")
    start = draft().to_json()["start"]
    line_decisions.edit_line(found.acting(), "weekly", {"start": (NOON + 3 * HOUR).strftime("%Y-%m-%dT%H:%M:%S")})
    assert found.tick() == ["T-2 of weekly is boarding"]
    line_decisions.edit_line(found.acting(), "weekly", {"start": start})
    assert found.tick() == []


def test_a_train_of_an_older_version_is_that_of_the_departure_before_it() -> None:
    """A train that was recorded without the departure it was made for is that of the one before its time, as it was then."""
    found = Station(aboard=False)
    old = found.train.model_copy(update={"planned_at": None, "departs_at": NOON + 20 * HOUR})
    found.desk.write(TRAINS, old)
    assert found.tick() == []


MOVES = st.tuples(st.sampled_from(["move", "cancel", "create", "cadence"]), st.integers(1, 4), st.integers(1, 120))


@given(st.lists(st.tuples(MOVES, st.integers(0, 30)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_no_departure_has_two_trains_of_the_scheduler(done: list[tuple[tuple[str, int, int], int]]) -> None:
    """Whatever users do, the scheduler makes a train for the next departure of a line, and for each departure at most once."""
    found = Station(aboard=False)
    for (what, number, hours), wait in done:
        with contextlib.suppress(OrchestratorError):  # a train that does not exist, or has ended, and a past time
            rearrange(found, what, f"T-{number}", parse_moment(found.desk.clock.now()) + hours * HOUR)
        found.tick(wait * HOUR)
        trains = queries.list_trains(found.acting("viewer"), ended=True, limit=1000).items
        made = [train.planned_at for train in trains if train.created_by == str(SYSTEM_ACTOR)]
        assert len(made) == len(set(made)), made
        line, [coming, *_] = queries.show_line(found.acting("viewer"), "weekly")
        assert any(coming in {train.planned_at, train.departs_at} for train in trains), line


def rearrange(found: Station, what: str, key: str, at: datetime) -> None:
    """What a user does with a train, or with the line, that changes what departs *at* a time."""
    match what:
        case "move":
            decisions.edit_train(found.acting(), key, TrainChange(at))
        case "cancel":
            decisions.cancel_train(found.acting(), key, "why")
        case "create":
            decisions.create_train(found.acting(), "weekly", at)
        case _:
            line_decisions.edit_line(found.acting(), "weekly", {"start": at.strftime("%Y-%m-%dT%H:%M:%S")})


def test_a_train_that_cannot_depart_keeps_no_other_in_the_station() -> None:
    """While the facts of one train cannot be read, the trains after it depart, and the failure names it."""
    found = Station()
    line_decisions.add_line(found.acting(), draft(name="other"))
    found.tick()
    decisions.board_train(found.acting(), "T-2", "shop-3.0.0", found.facts)
    found.facts.unread = "database"
    with pytest.raises(OrchestratorError, match="T-1: the project has no environment edge") as error:
        found.tick(4 * HOUR)
    assert error.value.code == "R103"
    states = {key: queries.show_train(found.acting("viewer"), key).state.value for key in ("T-1", "T-2")}
    assert states == {"T-1": "boarding", "T-2": "departed"}


def test_the_times_of_a_train_move() -> None:
    """A departure and a cut-off move before the departure, and boarding opens again; a past time and a taken one are refused."""
    found = Station()
    found.tick(3 * HOUR + timedelta(minutes=1))
    moved = decisions.edit_train(found.acting(), "T-1", TrainChange(NOON + 9 * HOUR))
    assert (moved.state, moved.boarding_closes_at) == ("boarding", NOON + 8 * HOUR)
    assert found.refused(lambda: decisions.edit_train(found.acting(), "T-1", TrainChange(NOON))) == "G602"
    assert found.refused(lambda: decisions.create_train(found.acting(), "weekly", NOON + 9 * HOUR)) == "G602"
    assert found.refused(lambda: decisions.create_train(found.acting(), "weekly", NOON)) == "G602"


def test_a_set_goes_together_to_production() -> None:
    """At its time a train departs with a recorded set, which is promoted in order, verified together, and arrives."""
    found = Station()
    assert "T-1 is departed" in found.tick(4 * HOUR)
    train = found.train
    assert (train.state, train.stops_completed, len({train.set_digest})) == ("arrived", 2, 1)
    assert train.set_digest.startswith("sha256:")
    steps = [f"promotion {{}} {name}" for name in NAMES] + ["verification {}"]
    assert found.runs.order == [each.format(place) for place in ("staging", "production") for each in steps]
    assert {member.state for member in train.members} == {"arrived"}
    assert found.set_in("production") == ["2.0.0"] * 3
    assert found.tick() == []
    assert found.refused(lambda: found.board("shop", version="3.0.0")) == "G101"


def test_when_the_third_package_fails_in_production_all_go_back() -> None:
    """The third package fails in production: all go back in reverse order to the set that was there; staging keeps its set."""
    found = Station()
    found.runs.bad["production", "website"] = "rolled back"
    found.leave_station()
    train = found.train
    assert (train.state, {member.state for member in train.members}) == ("rolled-back", {"rolled-back"})
    assert found.runs.order[-3:] == [f"rollback production {name}" for name in reversed(NAMES)]
    assert (found.set_in("production"), found.set_in("staging")) == (["1.0.0"] * 3, ["2.0.0"] * 3)
    assert "promotion of website to production failed: rolled back" in train.note
    texts = [m.text for m in found.desk.register.reading(lambda records: records.all(OUTBOX))]
    assert any("T-1 failed, and rolls back" in text for text in texts)


@pytest.mark.parametrize("how", ["rejected", "rolled back", "needs-help"])
@pytest.mark.parametrize("name", NAMES)
def test_whichever_package_fails_the_set_that_was_there_is_there(how: str, name: str) -> None:
    """Whichever package fails and however, production has the set of before, and nothing else is promoted to it."""
    found = Station()
    found.runs.bad["production", name] = how
    found.leave_station()
    assert (found.train.state, found.set_in("production")) == ("rolled-back", ["1.0.0"] * 3)


def test_a_set_that_fails_in_staging_does_not_go_to_production() -> None:
    """When the set is not verified together in staging it goes back there, and production is never touched."""
    found = Station()
    found.runs.bad["staging", "verification"] = "a test fails"
    found.leave_station()
    assert (found.train.state, found.set_in("staging")) == ("rolled-back", ["1.0.0"] * 3)
    assert not any("production" in each for each in found.runs.order)


def test_a_rollback_that_fails_needs_intervention() -> None:
    """When a rollback fails the others are still rolled back, the train needs intervention, and a user resolves it with a reason."""
    found = Station()
    found.runs.bad["production", "website"] = "rolled back"
    found.runs.bad["production", "back shop"] = "back fails"
    found.leave_station()
    assert (found.train.state, found.runs.order[-1]) == ("needs-intervention", "rollback production database")
    assert found.refused(lambda: decisions.resolve_train(found.acting(), "T-1", " ")) == "G605"
    assert decisions.resolve_train(found.acting(), "T-1", "restored by hand").state == "rolled-back"


def test_a_rehearsed_set_is_rolled_back_and_promoted_again_in_staging() -> None:
    """A line with a rehearsal promotes, verifies, rolls back in reverse order and promotes the set again at its first stop."""
    found = Station(rehearse=True)
    found.leave_station()
    there = [each for each in found.runs.order if "staging" in each]
    forth, back = [f"promotion staging {n}" for n in NAMES], [f"rollback staging {n}" for n in reversed(NAMES)]
    assert there == [*forth, "verification staging", *back, *forth, "verification staging"]
    assert (found.train.state, found.set_in("production")) == ("arrived", ["2.0.0"] * 3)
    bad = Station(rehearse=True)
    bad.runs.bad["staging", "website"] = "rolled back"
    bad.leave_station()
    assert (bad.train.state, bad.set_in("staging")) == ("rolled-back", ["1.0.0"] * 3)


def test_a_departed_train_that_is_cancelled_goes_back() -> None:
    """A train that waits for votes in production is cancelled: its run ends first, then all go back; before the departure it ends."""
    found = Station()
    found.runs.bad["production", "website"] = "waits"
    found.leave_station()
    assert found.train.state == "departed"
    decisions.cancel_train(found.acting(), "T-1", "the shop is on fire")
    found.tick()
    assert found.train.state == "rolling-back"
    found.runs.bad["production", "website"] = "rejected"
    found.tick()
    assert found.train.state == "rolled-back"
    early = Station()
    assert decisions.cancel_train(early.acting(), "T-1", "no").state == "cancelled"
    assert early.tick(5 * HOUR)[:1] == ["T-2 of weekly is boarding"]


@pytest.mark.parametrize(("bad", "ended"), [("", "arrived"), ("rolled back", "rolled-back"), ("cancel", "cancelled")])
def test_the_bookings_of_a_train_end_with_it(bad: str, ended: str) -> None:
    """When a train arrives, is rolled back or cancelled, its bookings end, and those who wait get the time and are notified."""
    found = Station()
    if bad == "rolled back":
        found.runs.bad["production", "website"] = bad

    def book(name: str, environment: str = "production", **about: Any) -> EnvironmentBooking:
        fields = {"environment": environment, "start": NOON + HOUR, "end": NOON + 50 * HOUR, "purpose": "test", **about}
        return bookings.book(found.acting(name), cast("BookingDraft", fields), found.facts, wait=True)

    used = book("release-manager", "staging", holder="train:T-1")
    unused = book("release-manager", holder="train:T-1", grace_minutes=1440)
    waiting = book("operator")
    assert (used.state, unused.state, waiting.state) == ("confirmed", "confirmed", "waiting")
    found.desk.clock.jump(HOUR.total_seconds())
    aboard = Run(id="a-staging", root="a", kind="promotion", environment="staging", by="root", release=ref("shop"))
    RegisterBookings(found.facts.depends_on).use(found.acting("system"), aboard)
    if bad == "cancel":
        decisions.cancel_train(found.acting(), "T-1", "no")
    else:
        found.leave_station()
    assert found.train.state == ended
    done = [show_booking(found.acting("viewer"), each.id) for each in (used, unused)]
    assert [each.state for each in done] == ["completed", "cancelled"]
    assert {each.ended_at for each in done} == {found.train.ended_at}
    assert advance_bookings(found.acting("system"), found.facts) == (f"{waiting.id} is confirmed",)
    texts = [(m.to, m.text) for m in found.desk.register.reading(lambda records: records.all(OUTBOX))]
    assert ("operator", f"{waiting.id} is confirmed: its time became free") in texts


@pytest.mark.parametrize("ended", [timedelta(minutes=250), timedelta(0), timedelta(days=9), None])
def test_the_times_of_runs_are_those_of_the_journal(ended: timedelta | None) -> None:
    """A run of a train has ended when its journal has it, and not when the worker reads it; never before its start or after now."""
    found = Station()
    found.runs.bad["staging", "database"] = "waits"
    found.tick(4 * HOUR)
    del found.runs.bad["staging", "database"]
    found.runs.ended_at = NOON + ended if ended is not None else None
    found.tick(HOUR)
    first = found.train.runs[0]
    assert first.ended_at is not None
    at = timedelta(hours=5) if ended is None else min(max(ended, timedelta(hours=4)), timedelta(hours=5))
    assert timedelta(0) <= first.ended_at - (NOON + at) < timedelta(seconds=1)


@pytest.mark.parametrize("kind", ["promotion", "rollback"])
def test_the_report_of_a_run_has_the_end_of_its_journal(kind: Any) -> None:
    """What became of a promotion or a rollback of a train has the time at which the journal ended the run."""
    found, store, package = Station(aboard=False), MemoryStore(ManualClock(NOON)), ref("shop")
    fields = {"id": "ab12cd-staging", "environment": "staging"}
    digests = dict.fromkeys(("package", "plan", "rendered"), package.digest)
    made = {"project": "demo", "requirement": Requirement(), "requested_by": Actor(name="ann"), "requested_at": NOON}
    request = {"name": "shop", "version": "2.0.0", "state": RequestState.FINISHED, "run": fields["id"]}
    found.desk.write(REQUESTS, RunRequest.model_validate({**fields, **digests, **made, **request}))
    store.create(Run.model_validate({**fields, "root": "ab12cd", "kind": kind, "release": package, "by": "ann"}))
    about = {"stop": 1, "kind": kind, "environment": "staging", "package": "shop", "root": "ab12cd"}
    run = TrainRun.model_validate({**about, "followed": fields["id"], "started_at": NOON})
    executions = ApplicationTrains(cast("Application", found.desk), store, lambda *_: "")
    assert executions.current(run) == RunReport(fields["id"])
    store.clock.jump(600)
    store.append(fields["id"], [Entry(kind="ended", data={"state": "succeeded", "exit": 0})])
    store.clock.jump(600)
    report = executions.current(run)
    assert (report.ended, report.ended_at is not None) == ("succeeded", True)
    assert report.ended_at == parse_moment(store.run(fields["id"]).ended_at or "")


def test_a_train_that_is_held_does_not_depart() -> None:
    """A train on hold stays at its time, and departs once it is resumed."""
    found = Station()
    decisions.hold_train(found.acting(), "T-1", "incident")
    assert found.refused(lambda: departure.depart(found.acting(), "T-1", found.facts)) == "G101"
    assert not any("T-1" in text for text in found.tick(5 * HOUR))
    decisions.resume_train(found.acting(), "T-1")
    assert [text for text in found.tick() if text.startswith("T-1 is")][:2] == ["T-1 is closed", "T-1 is departed"]


def test_later_stops_wait_for_their_time() -> None:
    """A stop with an earliest start waits for it after the departure."""
    stops = [{"environments": ["staging"]}, {"environments": ["production"], "after_s": 7200}]
    found = Station(stops=stops)
    found.leave_station()
    assert (found.train.stops_completed, found.tick(HOUR)) == (1, [])
    found.tick(HOUR)
    assert found.train.state == "arrived"


@given(st.sets(st.integers(0, 40), max_size=8), st.sampled_from(["", *NAMES]))
@settings(max_examples=60, deadline=None)
def test_whenever_a_process_dies_nothing_is_done_twice(deaths: set[int], bad: str) -> None:
    """The process dies before or after any request: each run is requested once, and the end is as without a death."""
    found, calls = Station(), 0

    def dies(_where: str) -> None:
        nonlocal calls
        calls += 1
        if calls in deaths:
            raise DiedError

    found.runs.dies = dies
    if bad:
        found.runs.bad["production", bad] = "rolled back"
    departure.depart(found.acting(), "T-1", found.facts)
    for _ in range(len(deaths) + 1):
        with contextlib.suppress(DiedError):
            found.tick()
    assert len(found.runs.order) == len(set(found.runs.order)) == len(found.runs.requested)
    wanted: tuple[Any, ...] = ("rolled-back", ["1.0.0"] * 3) if bad else ("arrived", ["2.0.0"] * 3)
    assert (found.train.state, found.set_in("production")) == wanted


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("bad", ["", "website"])
def test_a_death_at_every_write_loses_nothing(bad: str, before: bool) -> None:
    """The process dies before or after each write to the register in turn: each run is requested once, and the end is the same."""
    number, died = 0, True
    while died:
        number, died = number + 1, False
        found = Station()
        register, changing = found.desk.register, found.desk.register.changing
        if bad:
            found.runs.bad["production", bad] = "rolled back"
        departure.depart(found.acting(), "T-1", found.facts)
        register.changing = dying_at(number, changing, before=before)  # type: ignore[method-assign]
        try:
            found.tick()
        except DiedError:
            died = True
        register.changing = changing  # type: ignore[method-assign]
        found.tick()
        wanted: tuple[Any, ...] = ("rolled-back", ["1.0.0"] * 3) if bad else ("arrived", ["2.0.0"] * 3)
        assert (found.train.state, found.set_in("production")) == wanted, number
        assert len(found.runs.order) == len(set(found.runs.order)), number
    assert number > 20


COMMANDS: dict[str, Callable[[Station], object]] = {
    "board": lambda found: found.board("shop", version="3.0.0"),
    "board late": lambda found: found.board("website", late="why"),
    "leave": lambda found: decisions.leave_train(found.acting(), "T-1", "shop"),
    "edit": lambda found: decisions.edit_train(found.acting(), "T-1", TrainChange(NOON + 30 * HOUR)),
    "hold": lambda found: decisions.hold_train(found.acting(), "T-1", "why"),
    "resume": lambda found: decisions.resume_train(found.acting(), "T-1"),
    "cancel": lambda found: decisions.cancel_train(found.acting(), "T-1", "why"),
    "depart": lambda found: departure.depart(found.acting(), "T-1", found.facts),
    "resolve": lambda found: decisions.resolve_train(found.acting(), "T-1", "why"),
    "now": lambda found: found.tick(),
    "later": lambda found: found.tick(2 * HOUR),
}


@given(
    st.lists(st.tuples(st.sampled_from(sorted(COMMANDS)), st.integers(0, 6)), max_size=20),
    st.sampled_from(["", "waits", "rejected", "rolled back", "needs-help"]),
)
@settings(max_examples=60, deadline=None)
def test_no_commands_and_deaths_leave_the_table(commands: list[tuple[str, int]], how: str) -> None:
    """Whatever users and the scheduler do, and wherever their processes die, each recorded move is one of the table."""
    found = Station()
    register, changing = found.desk.register, found.desk.register.changing
    if how:
        found.runs.bad["production", "website"] = how
    for name, death in commands:
        register.changing = dying_at(death, changing, before=death % 2 == 0)  # type: ignore[method-assign]
        with contextlib.suppress(DiedError, OrchestratorError):
            COMMANDS[name](found)
    register.changing = changing  # type: ignore[method-assign]
    moves = [e.detail for e in register.reading(lambda r: r.audit()) if e.object == "train:T-1" and "was" in e.detail]
    for each in moves:
        assert TRAIN_TABLE.moves[TrainState(each["was"])][TrainEvent(each["event"])] == each["state"], each
    if found.train.state == "rolled-back" and not any(each["event"] == "resolve" for each in moves):
        assert found.set_in("production") == ["1.0.0"] * 3
    if found.train.state == "arrived":
        assert all(
            found.runs.places["production", each.name] == each.version
            for each in found.train.members
            if each.state == "arrived"
        )


def test_a_verification_that_takes_longer_than_the_lease_is_begun_once() -> None:
    """While a scheduler verifies for longer than its lease lasts, another one does nothing, and the train arrives."""
    clock, begun = ManualClock(NOON), list[str]()
    found = Station(MemoryRegister(clock=clock))
    found.desk.clock = clock
    duty = DriveTrains(found.acting("system"), found.runs)
    one, other = (
        Scheduler(found.acting("system"), name, (duty,), timedelta(seconds=0.6)) for name in ("one", "another")
    )

    def verify_slowly(where: str) -> None:
        when, _, root = where.partition(" ")
        kinds = [run.kind for run in found.train.runs if run.root == root]
        if when == "before" and kinds == ["verification"]:
            begun.append(root)
            for _ in range(6):
                time.sleep(0.4)
                clock.jump(0.2)
                assert list(other.run()) == []

    departure.depart(found.acting(), "T-1", found.facts)
    found.runs.dies = verify_slowly
    reports = list(one.run())
    assert [each.text for each in reports if each.failed] == []
    assert (found.train.state, len(begun)) == ("arrived", 2)
