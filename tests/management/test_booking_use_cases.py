"""Bookings on a register in memory: who may change them, and that admission lets the holder pass and nobody else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestrator.app.acting import Acting
from orchestrator.app.admission import Promotion, check_promotion, why
from orchestrator.app.calendar import verdicts
from orchestrator.app.entrance import RunEntrance
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Absence, Actor, Binding, User
from orchestrator.domain.approval.policy import Requirement
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ABSENCES, BINDINGS, OUTBOX, REQUESTS, USERS
from orchestrator.domain.release import PackageRef
from orchestrator.management.bookings import decisions, queries
from orchestrator.management.bookings.admission import RegisterBookings
from orchestrator.management.bookings.duties import AdvanceBookings, advance_bookings
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.ports import Use
from orchestrator.management.bookings.queries import BookingFilter
from orchestrator.management.bookings.store import BOOKINGS
from tests.app.desk import ENVIRONMENTS, NOON, Desk
from tests.management.sources import BookingFacts

HOUR = timedelta(hours=1)
SHOP = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'1' * 64}")
SOURCES = BookingFacts()


def acting(desk: Desk, name: str) -> Acting:
    """The user *name* at the register, with bookings in the calendar."""
    found = desk.acting(name)
    return Acting(found.register, found.actor, found.clock, ENVIRONMENTS, bookings=RegisterBookings(SOURCES.depends_on))


def system(desk: Desk) -> Acting:
    return Acting(desk.register, SYSTEM_ACTOR, desk.clock, ENVIRONMENTS, bookings=RegisterBookings(SOURCES.depends_on))


def book(
    desk: Desk, name: str, start: datetime = NOON, hours: float = 4, environment: str = "staging", *, wait: bool = False,
    **fields: object,
) -> EnvironmentBooking:  # fmt: skip
    draft: Any = {"environment": environment, "start": start, "end": start + hours * HOUR, "purpose": "load test"}
    draft |= fields
    return decisions.book(acting(desk, name), draft, SOURCES, wait=wait)


def messages(desk: Desk) -> list[tuple[str, str]]:
    found = desk.register.reading(lambda records: records.all(OUTBOX))
    return [(message.to, message.text) for message in found]


def refused(desk: Desk, name: str, environment: str = "staging") -> str:
    """Why *name* may not promote there now; empty if nothing of the calendar prevents it."""
    found = why(acting(desk, name), Promotion(environment, SHOP))
    return "; ".join(condition.reason for condition in found.missing if condition.kind.value == "booking")


def test_the_holder_promotes_and_others_see_who_and_until_when() -> None:
    """While an environment is booked, a promotion of another user is refused with the holder, the end and the purpose."""
    desk = Desk()
    desk.write(USERS, User(name="operator", team="red"), User(name="release-manager", team="blue"))
    book(desk, "operator")
    text = "booked by operator until 2026-11-29 16:00 UTC: load test"
    assert (refused(desk, "operator"), refused(desk, "release-manager")) == ("", text)
    assert refused(desk, "release-manager", "production") == ""
    with pytest.raises(OrchestratorError, match="booked by operator until") as error:
        check_promotion(acting(desk, "release-manager"), Promotion("staging", SHOP))
    assert error.value.code == "A301"
    decisions.hand_over_booking(acting(desk, "operator"), "B-1", "team:blue", SOURCES)
    assert (refused(desk, "release-manager"), "booked by team:blue" in refused(desk, "operator")) == ("", True)
    verdict = verdicts(acting(desk, "viewer"))["staging"]
    assert not verdict.is_open


@pytest.mark.parametrize("holder", ["operator", "release-manager"])
def test_a_request_of_another_user_decides_no_direct_promotion(holder: str) -> None:
    """The holder promotes although another user has requested the same release, and no user passes by a request of the holder."""
    desk = Desk()
    desk.write(BINDINGS, Binding(role="release-manager", to="user:operator"))
    (other,) = {"operator", "release-manager"} - {holder}
    book(desk, holder)
    entrance = RunEntrance(desk.register, desk.clock, tuple, RegisterBookings(SOURCES.depends_on))
    about = {"id": "abc123-staging", "project": "shop", "environment": "staging", "package": SHOP.digest}
    made = {"plan": SHOP.digest, "rendered": SHOP.digest, "requirement": {}, "requested_at": moment_text(NOON)}
    for requester in (holder, other):
        desk.write(
            REQUESTS, RunRequest.from_json({**about, **made, "requested_by": {"name": requester}, "name": "shop"})
        )
        check_promotion(acting(desk, holder), Promotion("staging", SHOP))
        with pytest.raises(OrchestratorError, match=f"booked by {holder} until"):
            check_promotion(acting(desk, other), Promotion("staging", SHOP))
        for by, closed in ((holder, ""), (other, f"booked by {holder}")):
            run = Run(id="x-staging", root="x", kind="promotion", environment="staging", release=SHOP, by=by)
            assert entrance.closed(run)[: len(closed) or None] == closed


def test_a_run_of_the_holder_is_the_check_in() -> None:
    """The entrance refuses a run of another user, and records the first run of the holder as the use of the booking."""
    desk = Desk()
    book(desk, "release-manager")
    entrance = RunEntrance(desk.register, desk.clock, tuple, RegisterBookings(SOURCES.depends_on))

    def run(by: str) -> Run:
        return Run(id=f"{by}-staging", root=by, kind="promotion", environment="staging", release=SHOP, by=by)

    assert entrance.closed(run("operator")).startswith("booked by release-manager")
    assert entrance.closed(run("release-manager")) == ""
    bookings = RegisterBookings(SOURCES.depends_on)
    bookings.use(system(desk), run("operator"))
    assert queries.show_booking(desk.acting("viewer"), "B-1").used_at is None
    for _ in range(2):
        bookings.use(system(desk), run("release-manager"))
    used = queries.show_booking(desk.acting("viewer"), "B-1")
    assert (used.state, used.run) == ("active", "release-manager-staging")


def test_a_dependency_keeps_others_out_as_well() -> None:
    """A booking of an environment covers what it depends on: another environment with the same database is closed."""
    desk = Desk()
    book(desk, "release-manager", environment="production")
    assert refused(desk, "operator") == ""
    shared = BookingFacts(depends={"staging": ("database",), "production": ("database",)})
    found = RegisterBookings(shared.depends_on)
    closed = desk.register.reading(lambda records: found.booked(records, desk.acting("viewer").now(records)))
    for name in ("staging", "production"):
        one = desk.register.reading(lambda r, n=name: found.booked(r, desk.acting("viewer").now(r), (n,)))  # type: ignore[misc]
        assert one == tuple(each for each in closed if each.environment == name)
    assert [(each.environment, each.purpose) for each in closed] == [
        ("staging", "production: load test"), ("production", "load test"),
    ]  # fmt: skip


def test_a_taken_time_is_refused_with_the_next_free_slot_or_waits() -> None:
    """A booked time is refused with its booking and the next free slot; with *wait* it is confirmed once it is free."""
    desk = Desk()
    book(desk, "operator", NOON + HOUR)
    with pytest.raises(OrchestratorError, match="staging cannot be booked: booked: B-1 of staging") as error:
        book(desk, "release-manager", NOON + 2 * HOUR, 2)
    assert error.value.hint == "the next free slot is 2026-11-29 17:00 UTC to 2026-11-29 19:00 UTC"
    assert book(desk, "release-manager", NOON + 2 * HOUR, 2, wait=True).state == "waiting"
    decisions.hand_over_booking(acting(desk, "operator"), "B-1", "user:viewer", SOURCES, "on leave")
    assert ("release-manager", "B-1 was handed over to user:viewer; B-2 waits for it") in messages(desk)
    decisions.cancel_booking(acting(desk, "operator"), "B-1", SOURCES)
    assert queries.show_booking(desk.acting("viewer"), "B-2").state == "confirmed"
    assert ("release-manager", "B-2 is confirmed: its time became free") in messages(desk)
    with pytest.raises(OrchestratorError, match="not possible"):
        decisions.end_booking(acting(desk, "release-manager"), "B-2", SOURCES)


def test_a_time_without_approvers_cannot_be_booked() -> None:
    """Where approvals are needed, a time in which every approver and deputy is absent is refused, and a later one is not."""
    desk, sources = Desk(), BookingFacts(approvals={"staging": 1})
    for name, deputy in (
        ("approver", "viewer"),
        ("viewer", "approver"),
        ("release-manager", "viewer"),
        ("root", "viewer"),
    ):
        desk.write(ABSENCES, Absence(user=name, deputy=deputy, start=NOON - HOUR, end=NOON + 9 * HOUR))

    def booked(start: datetime) -> EnvironmentBooking:
        draft: Any = {"environment": "staging", "start": start, "end": start + 4 * HOUR, "purpose": "load test"}
        return decisions.book(acting(desk, "operator"), draft, sources)

    with pytest.raises(
        OrchestratorError, match="staging needs 1 approval, and these are absent with their deputies: ap"
    ):
        booked(NOON)
    assert booked(NOON + 8 * HOUR).state == "confirmed"


def test_each_booking_that_waits_is_named_when_its_time_is_handed_over() -> None:
    """A user with two bookings that wait for the same time gets a message about each of them."""
    desk = Desk()
    book(desk, "operator", hours=8)
    for hour in (1, 4):
        book(desk, "release-manager", NOON + hour * HOUR, 2, wait=True)
    decisions.hand_over_booking(acting(desk, "operator"), "B-1", "user:viewer", SOURCES)
    text = "B-1 was handed over to user:viewer; {} waits for it"
    assert {("release-manager", text.format(each)) for each in ("B-2", "B-3")} <= set(messages(desk))


def test_a_booking_is_extended_into_free_time_only() -> None:
    """An extension into the next booking is refused, one into free time is done, and an earlier end is none."""
    desk = Desk()
    book(desk, "operator")
    book(desk, "release-manager", NOON + 6 * HOUR)
    with pytest.raises(OrchestratorError, match="booked: B-2"):
        decisions.extend_booking(acting(desk, "operator"), "B-1", NOON + 7 * HOUR, SOURCES)
    with pytest.raises(OrchestratorError, match="already"):
        decisions.extend_booking(acting(desk, "operator"), "B-1", NOON + HOUR, SOURCES)
    assert decisions.extend_booking(acting(desk, "operator"), "B-1", NOON + 6 * HOUR, SOURCES).end == NOON + 6 * HOUR
    with pytest.raises(OrchestratorError, match="the time ended"):
        book(desk, "operator", NOON - 5 * HOUR)


def test_only_owner_holder_and_managers_change_a_booking() -> None:
    """Another operator cannot cancel a booking; a release manager can, and an unknown holder is refused by name."""
    desk = Desk()
    book(desk, "platform-engineer")
    with pytest.raises(OrchestratorError, match="bookings:manage"):
        decisions.cancel_booking(acting(desk, "operator"), "B-1", SOURCES)
    with pytest.raises(OrchestratorError, match="there is no team green"):
        decisions.hand_over_booking(acting(desk, "platform-engineer"), "B-1", "team:green", SOURCES)
    assert decisions.cancel_booking(acting(desk, "release-manager"), "B-1", SOURCES).has_ended


def test_an_unused_booking_expires_and_frees_its_time() -> None:
    """After its grace time an unused booking closes nothing, the system ends it once, and the next one is confirmed."""
    desk = Desk()
    book(desk, "operator")
    book(desk, "release-manager", NOON + HOUR, 2, wait=True)
    duty = AdvanceBookings(system(desk), SOURCES)
    assert duty.due(system(desk).register.reading(system(desk).now))
    assert list(advance_bookings(system(desk), SOURCES)) == ["B-1: operator was reminded that it starts"]
    desk.clock.sleep(31 * 60)
    assert refused(desk, "release-manager") == ""
    done = advance_bookings(system(desk), SOURCES)
    assert done[0] == "B-1 has expired: not used within 30 minutes"
    assert "B-2 is confirmed" in done
    assert advance_bookings(system(desk), SOURCES) == ("B-2: release-manager was reminded that it starts",)
    assert advance_bookings(system(desk), SOURCES) == ()
    assert ("operator", "B-1 has expired: not used within 30 minutes") in messages(desk)


def test_a_booking_that_cannot_be_confirmed_keeps_no_other_from_its_turn() -> None:
    """While the facts of one environment cannot be read, bookings of another one expire and are confirmed, and the failure names the one that waits."""

    class Unread(BookingFacts):
        """The project no longer has staging."""

        def approvals_needed(self, environment: str) -> int:
            if environment == "staging":
                raise OrchestratorError("R103", "there is no environment staging")
            return super().approvals_needed(environment)

    desk = Desk()
    desk.write(ABSENCES, Absence(user="viewer", deputy="operator", start=NOON - HOUR, end=NOON + HOUR))
    book(desk, "operator", NOON + HOUR)
    book(desk, "release-manager", NOON + HOUR, wait=True)
    book(desk, "operator", environment="production")
    book(desk, "release-manager", NOON + HOUR, 2, environment="production", wait=True)
    desk.clock.sleep(31 * 60)
    with pytest.raises(OrchestratorError, match="B-2: there is no environment staging") as error:
        advance_bookings(system(desk), Unread())
    assert error.value.code == "R103"
    found = desk.register.reading(lambda records: records.all(BOOKINGS))
    assert {each.id: each.state.value for each in found} == {
        "B-1": "confirmed",
        "B-2": "waiting",
        "B-3": "expired",
        "B-4": "confirmed",
    }


def test_a_hand_over_passes_no_quota() -> None:
    """A booking is not handed over to a team whose quota it would exceed; within the same team the hours stay the same."""
    desk = Desk()
    desk.write(USERS, *(User(name=name, team="red") for name in ("operator", "viewer")))
    decisions.set_quota(acting(desk, "release-manager"), "red", "staging", 4)
    book(desk, "operator", NOON, 4)
    book(desk, "platform-engineer", NOON + 5 * HOUR, 2)
    for holder in ("team:red", "user:operator"):
        with pytest.raises(OrchestratorError, match="the quota of team red is 4 h") as error:
            decisions.hand_over_booking(acting(desk, "platform-engineer"), "B-2", holder, SOURCES)
        assert error.value.code == "G301"
    assert queries.show_booking(desk.acting("viewer"), "B-2").holder == "user:platform-engineer"
    assert decisions.hand_over_booking(acting(desk, "operator"), "B-1", "user:viewer", SOURCES).state == "confirmed"


def test_lists_and_quotas() -> None:
    """Bookings are listed by their end, for an environment and for a user; a quota limits a team and is removed again."""
    desk = Desk()
    desk.write(USERS, User(name="operator", team="red"))
    for hour in (3, 1, 2):
        book(desk, "operator", NOON + 24 * hour * HOUR, 1)
    book(desk, "release-manager", NOON + HOUR, 1, environment="production")
    viewer = desk.acting("viewer")
    assert [each.number for each in queries.list_bookings(viewer).items] == [4, 2, 3, 1]
    first = queries.list_bookings(viewer, BookingFilter("staging"), limit=2)
    rest = queries.list_bookings(viewer, BookingFilter("staging"), first.cursor, limit=2)
    assert [each.number for page in (first, rest) for each in page.items] == [2, 3, 1]
    assert rest.cursor is None
    assert [
        b.number for b in queries.list_bookings(desk.acting("release-manager"), BookingFilter(mine=True)).items
    ] == [4]
    decisions.set_quota(acting(desk, "release-manager"), "red", "staging", 3.5)
    with pytest.raises(OrchestratorError, match=r"the quota of team red is 3.5 h"):
        book(desk, "operator", NOON + 30 * HOUR, 2)
    decisions.set_quota(acting(desk, "release-manager"), "red", "staging", None)
    assert book(desk, "operator", NOON + 30 * HOUR, 2).state == "confirmed"
    slots = queries.find_slots(viewer, "production", 2 * HOUR, 24 * HOUR, SOURCES, 2)
    assert [slot.start - NOON for slot in slots] == [2 * HOUR, 4 * HOUR]
    assert queries.show_contention(viewer, SOURCES, 1)


@pytest.mark.parametrize(
    ("length", "within"), [(timedelta(), HOUR), (HOUR, timedelta()), (HOUR, timedelta(days=10**6))]
)
def test_free_slots_have_a_length_and_are_searched_for_in_a_year_at_most(length: timedelta, within: timedelta) -> None:
    """A slot without a length, and a search over no time or over more than a year, are refused."""
    with pytest.raises(OrchestratorError, match="at least 1 minute and at most 366 days") as refused:
        queries.find_slots(acting(Desk(), "viewer"), "production", length, within, SOURCES)
    assert refused.value.code == "N110"


@dataclass
class CountedFacts(BookingFacts):
    """Facts that count the environments whose runs are read."""

    read: list[str] = field(default_factory=list)

    def uses(self, environments: tuple[str, ...], since: datetime) -> Mapping[str, tuple[Use, ...]]:
        del since
        self.read.extend(environments)
        return {name: (Use(name, "ann", NOON - HOUR, NOON, NOON + HOUR),) for name in environments}


def test_contention_reads_the_runs_of_booked_environments_once() -> None:
    """The runs of an environment are read once, and only if it has bookings: a project with many environments is fast."""
    desk = Desk()
    assert book(desk, "operator").state == "confirmed"
    facts = CountedFacts()
    weeks = queries.show_contention(desk.acting("viewer"), facts, 4)
    assert facts.read == ["staging"]
    assert {each.environment for each in weeks} == set(ENVIRONMENTS)
    assert sum(each.booked for each in weeks if each.environment == "staging") == 4
    assert sum(each.used for each in weeks if each.environment == "staging") == 1


def test_contention_counts_the_wait_of_requests_before_their_runs() -> None:
    """A run request waits for a booking of another holder from when it is ready, before it has a run and while it has none."""
    desk = Desk()
    book(desk, "operator", NOON - 3 * HOUR, 8)
    digests = {name: f"sha256:{letter * 64}" for name, letter in (("package", "a"), ("plan", "b"), ("rendered", "c"))}
    fields: dict[str, Any] = {"project": "demo", "environment": "staging", "name": "shop", "version": "1.0.0", **digests,
              "requirement": Requirement(), "requested_by": Actor(name="ann"), "requested_at": NOON - 3 * HOUR}  # fmt: skip
    started = RunRequest(id="staging", state=RequestState.STARTED, run="staging", **fields)
    waiting = RunRequest(id="a2-staging", state=RequestState.READY, start=NOON - HOUR / 2, **fields)
    desk.write(REQUESTS, started, waiting)

    class OneRun(BookingFacts):
        """The run of the first request, which got the environment two hours later."""

        def uses(self, environments: tuple[str, ...], since: datetime) -> Mapping[str, tuple[Use, ...]]:
            del since
            return {name: (Use(name, "ann", NOON - HOUR, NOON - HOUR, NOON, "staging"),) for name in environments}

    weeks = queries.show_contention(desk.acting("viewer"), OneRun(), 4)
    assert sum(each.waited for each in weeks) == 2.0 + 0.5


def test_only_bookings_that_have_changed_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The duty reads all bookings once; later it reads those that changed, advances those that are due, and tries those that wait once a minute."""
    desk = Desk()
    book(desk, "operator")
    book(desk, "release-manager", NOON + 5 * HOUR, 2)
    duty, read = AdvanceBookings(system(desk), SOURCES), list[str]()
    reading = type(desk.register.reading(lambda records: records))
    every = reading.all

    def noted(self: Any, kind: Any, part: str | None = None) -> Any:
        read.append(kind.name)
        return every(self, kind, part)

    monkeypatch.setattr(reading, "all", noted)

    def passes() -> tuple[list[str], int]:
        """What the duty does now, and how often it reads all bookings."""
        read.clear()
        now = system(desk).register.reading(system(desk).now)
        found = list(duty.do(system(desk), now)) if duty.due(now) else []
        return found, read.count("bookings")

    found, count = passes()
    assert (found, count > 0) == (["B-1: operator was reminded that it starts"], True)
    assert [passes() for _ in range(2)] == [([], 0)] * 2
    decisions.cancel_booking(acting(desk, "release-manager"), "B-2", SOURCES)
    book(desk, "platform-engineer", NOON + HOUR / 2, 1, wait=True)
    found, count = passes()
    assert (found, count > 0) == ([], True), "a booking that waits is tried when something was recorded"
    assert passes() == ([], 0)
    desk.clock.sleep(61)
    assert passes()[1] > 0
    desk.clock.sleep(30 * 60)
    assert "B-1 has expired: not used within 30 minutes" in passes()[0]
