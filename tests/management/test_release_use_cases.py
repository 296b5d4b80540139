"""The use cases of planned releases on a register in memory: what they leave in requests, bookings and messages."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.app.acting import Acting
from orchestrator.app.admission import Promotion, why
from orchestrator.app.requirement_reports import keep_report, requirement_reports
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Absence
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run
from orchestrator.domain.register import ABSENCES, ENDED, OPEN, OUTBOX
from orchestrator.domain.release import PackageRef
from orchestrator.domain.requirements.check import Check, CheckedHost, RequirementReport
from orchestrator.management.bookings import decisions as bookings
from orchestrator.management.bookings.admission import RegisterBookings
from orchestrator.management.bookings.duties import advance_bookings
from orchestrator.management.bookings.model import BookingDraft
from orchestrator.management.bookings.queries import show_booking
from orchestrator.management.bookings.state import BookingState
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.change_requests import decisions as requests
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.queries import show_change
from orchestrator.management.change_requests.state import ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.planned_releases import decisions, phase_decisions, queries
from orchestrator.management.planned_releases.decisions import Scope
from orchestrator.management.planned_releases.duties import FollowReleases, advance_releases
from orchestrator.management.planned_releases.model import Mode, Phase, PlannedRelease, ReleaseDraft, Span
from orchestrator.management.planned_releases.phase_decisions import PhaseChange
from orchestrator.management.planned_releases.phases import standard_phases
from orchestrator.management.planned_releases.ports import PackagePlace, PlaceState
from orchestrator.management.planned_releases.state import PLANNED_RELEASE_TABLE
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from tests.app.desk import ENVIRONMENTS, NOON, Desk
from tests.management.sources import DRAFT, SHOP, ReleaseFacts, Sources

HOUR = timedelta(hours=1)
FREEZE, RELEASE = NOON + 12 * HOUR, NOON + 24 * HOUR
OTHER = PackageRef(name="shop", version="1.4.0", digest=f"sha256:{'2' * 64}")


class Plan:
    """A register with a release manager, the system, and an accepted request."""

    def __init__(self, **scope: Any) -> None:
        self.desk, self.sources = Desk(), ReleaseFacts()
        self.request = requests.add_change(self.acting("operator"), DRAFT, Sources(), submit=True)
        requests.accept_change(self.acting("release-manager"), "R-1", Sources())
        self.draft(**scope)

    def acting(self, name: str) -> Acting:
        found = self.desk.acting(name)
        actor = SYSTEM_ACTOR if name == "system" else found.actor
        return replace(found, actor=actor, bookings=RegisterBookings(self.sources.depends_on))

    def draft(self, scope: Scope | None = None, start: int = 1, **fields: Any) -> PlannedRelease:
        freeze, at = fields.pop("freeze_at", FREEZE), fields.pop("release_at", RELEASE)
        about = {"title": "Advent", "environment": "production", "owner": "operator", "freeze_at": freeze,
                 "release_at": at, "phases": standard_phases(NOON + start * HOUR, freeze, at, "production"), **fields}  # fmt: skip
        draft = ReleaseDraft.model_validate(about)
        wanted = scope or Scope(("R-1",), ("shop-1.5.0",))
        return decisions.plan_release(self.acting("release-manager"), draft, self.sources, wanted)

    def confirm(self, key: str = "REL-1", *, wait: bool = False) -> PlannedRelease:
        return decisions.confirm_release(self.acting("release-manager"), key, self.sources, wait=wait)

    def run(self, state: PlaceState, run: str, name: str = "shop") -> tuple[str, ...]:
        """A run leaves the package in a state, and the system follows."""
        self.sources.places[name] = PackagePlace(state, run, NOON, OTHER)
        return advance_releases(self.acting("system"), self.sources)

    def release(self, key: str = "REL-1") -> PlannedRelease:
        return queries.show_planned_release(self.acting("viewer"), key, self.sources).release

    def state(self, key: str = "R-1") -> tuple[str, str]:
        found = show_change(self.acting("viewer"), key, Sources()).request
        return found.state.value, found.release

    def messages(self, to: str) -> list[str]:
        return [m.text for m in self.desk.register.reading(lambda records: records.all(OUTBOX)) if m.to == to]

    def refused(self, name: str, package: PackageRef) -> str:
        found = why(self.acting(name), Promotion("production", package))
        return "; ".join(condition.reason for condition in found.missing if condition.kind.value == "booking")


def test_a_request_follows_its_release() -> None:
    """A request is planned with the release, released by its run, planned again by a rollback, and closed with it."""
    plan = Plan()
    assert (plan.state(), plan.confirm().state) == (("planned", "REL-1"), "scheduled")
    assert plan.run(PlaceState.RUNNING, "a") == ("REL-1 is in-progress: start",)
    assert plan.run(PlaceState.VERIFIED, "a") == ("REL-1 is in-progress: freeze", "REL-1 is released: release")
    assert (plan.state(), plan.release().packages[0].replaces) == (("released", "REL-1"), OTHER)
    assert plan.run(PlaceState.VERIFIED, "a") == ()
    assert plan.run(PlaceState.ROLLED_BACK, "b") == ("REL-1 is rolled-back: roll back",)
    assert plan.state() == ("planned", "REL-1")
    decisions.resume_release(plan.acting("release-manager"), "REL-1", "corrected")
    assert plan.run(PlaceState.ROLLED_BACK, "b") == ()
    assert plan.run(PlaceState.VERIFIED, "c") == ("REL-1 is released: release",)
    decisions.close_release(plan.acting("release-manager"), "REL-1", plan.sources)
    assert (plan.state(), plan.release().state) == (("closed", "REL-1"), "closed")
    assert "REL-1: shop 1.5.0 was rolled back in production by b" in plan.messages("operator")


def test_a_cancelled_release_gives_everything_back() -> None:
    """When a release is cancelled, its requests are accepted again, its bookings end, and those that waited get the time."""
    plan = Plan()
    plan.confirm()
    draft: BookingDraft = {"environment": "production", "start": RELEASE, "end": RELEASE + HOUR, "purpose": "load test"}
    waiting = bookings.book(plan.acting("operator"), draft, plan.sources, wait=True)
    decisions.cancel_release(plan.acting("release-manager"), "REL-1", plan.sources, "budget")
    assert (plan.state(), plan.release().has_ended) == (("accepted", ""), True)
    assert show_booking(plan.acting("viewer"), waiting.id).state is BookingState.CONFIRMED
    with pytest.raises(OrchestratorError, match="nothing: this is its end"):
        plan.confirm()


def test_promotions_of_the_packages_of_a_release_pass_its_booking() -> None:
    """During the booking of a release its packages are promoted by anyone who may, and others wait; not while on hold."""
    plan = Plan()
    plan.confirm()
    plan.desk.clock.sleep(25 * 3600)
    assert plan.refused("release-manager", SHOP) == ""
    assert plan.refused("release-manager", OTHER).startswith("booked by release:REL-1 until")
    found = RegisterBookings(plan.sources.depends_on)
    about = {"kind": "promotion", "environment": "production", "by": "operator"}
    for ref, used in ((OTHER, None), (SHOP, "x-production")):
        found.use(plan.acting("system"), Run(id="x-production", root="x", release=ref, **about))  # type: ignore[arg-type]
        assert (show_booking(plan.acting("viewer"), "B-1").run or None) == used
    plan.run(PlaceState.RUNNING, "x-production")
    decisions.hold_release(plan.acting("release-manager"), "REL-1", "incident")
    assert "booked by release:REL-1" in plan.refused("release-manager", SHOP)


def test_at_the_freeze_time_what_is_not_ready_is_deferred() -> None:
    """The system defers a package that is not built, with the requests that need it, says why, and freezes the scope."""
    plan = Plan()
    manager = plan.acting("release-manager")
    decisions.add_to_scope(manager, "REL-1", Scope(packages=("bank-2.0.0",)), plan.sources)
    bank = DRAFT.model_copy(update={"packages": ("bank", "shop")})
    plan.desk.write(CHANGE_REQUESTS, ChangeRequest.model_validate(
        {**dict(bank), "number": 2, "reporter": "operator", "created_at": NOON, "state": ChangeState.ACCEPTED}))  # fmt: skip
    decisions.add_to_scope(manager, "REL-1", Scope(("R-2",)), plan.sources)
    plan.confirm()
    duty, now = FollowReleases(plan.acting("system"), plan.sources), plan.desk.register.reading(manager.now)
    assert not duty.due(now)
    plan.desk.clock.sleep(13 * 3600)
    assert duty.due(now)
    assert "REL-1 is scheduled: freeze" in list(duty.do(plan.acting("system"), now))
    release = plan.release()
    assert ([d.item for d in release.deferred], release.requests) == (["bank 2.0.0", "R-2"], ("R-1",))
    assert plan.state("R-2") == ("accepted", "")
    text = "deferred at the freeze of REL-1: bank 2.0.0 is not built"
    assert show_change(manager, "R-2", Sources()).request.note == text
    assert any(told.startswith("R-2") and told.endswith(text) for told in plan.messages("operator"))
    with pytest.raises(OrchestratorError, match="is frozen") as error:
        decisions.add_to_scope(manager, "REL-1", Scope(("R-2",)), plan.sources, "promised")
    assert error.value.code == "G202"
    plan.sources.refs.append(PackageRef(name="bank", version="2.0.0", digest=f"sha256:{'3' * 64}"))
    late = Scope(("R-2",), ("bank-2.0.0",))
    assert decisions.add_to_scope(manager, "REL-1", late, plan.sources, "promised", late=True).requests == (
        "R-1",
        "R-2",
    )


def test_a_slip_moves_bookings_and_says_whom_it_hits() -> None:
    """A phase that is re-planned moves its dependents with their bookings, in other releases too, and notifies the users."""
    plan = Plan()
    packages, freeze = Scope(packages=("shop-1.5.0",)), NOON + 40 * HOUR
    plan.draft(packages, 29, owner="approver", freeze_at=freeze, release_at=NOON + 60 * HOUR, mode=Mode.COMPLETION)
    manager = plan.acting("release-manager")
    phase_decisions.set_phase(manager, "REL-2", PhaseChange("build", after=("REL-1:deploy",)), plan.sources)
    decisions.edit_release(manager, "REL-1", {"release_at": (RELEASE + 9 * HOUR).isoformat(), "mode": "timeline"})
    plan.confirm()
    plan.confirm("REL-2")
    wanted = PhaseChange("test", end=RELEASE + 6 * HOUR)
    seen = phase_decisions.preview_phase(plan.acting("viewer"), "REL-1", wanted, plan.sources)
    assert plan.release().phases[1].replanned is None
    slip = phase_decisions.set_phase(manager, "REL-1", wanted, plan.sources, "a defect")
    assert seen.moved == slip.moved
    assert [(m.release, m.phase, m.affected) for m in slip.moved][:4] == [
        ("REL-1", "test", ("operator",)), ("REL-1", "deploy", ("operator",)), ("REL-1", "close", ("operator",)),
        ("REL-2", "build", ("approver",)),
    ]  # fmt: skip
    deploy = slip.release.phases[2]
    booking = show_booking(plan.acting("viewer"), deploy.booking)
    assert (booking.start, booking.state) == (RELEASE + 6 * HOUR, "confirmed")
    assert show_booking(plan.acting("viewer"), "B-1").state == "cancelled"
    assert any("REL-2 was re-planned (a defect): build is now" in text for text in plan.messages("approver"))
    with pytest.raises(OrchestratorError, match="after its release time") as error:
        phase_decisions.set_phase(manager, "REL-1", PhaseChange("test", end=RELEASE + 10 * HOUR), plan.sources)
    assert error.value.code == "G206"


def test_a_release_that_cannot_be_followed_keeps_no_other_from_it() -> None:
    """A release whose late phase needs an environment that the project no longer has fails by name; another one is frozen."""
    late = Phase(
        name="watch",
        planned=Span(start=RELEASE + 4 * HOUR, end=RELEASE + 8 * HOUR),
        environment="staging",
        after=("deploy",),
    )
    phases = (*standard_phases(NOON + HOUR, FREEZE, RELEASE, "production")[:3], late)
    plan = Plan(phases=phases)
    plan.confirm()
    other = plan.draft(Scope((), ("pay-2.0.0",)), freeze_at=NOON + 29 * HOUR, release_at=NOON + 30 * HOUR)
    plan.confirm(other.id)
    plan.run(PlaceState.RUNNING, "a")
    plan.desk.clock.sleep(29 * 3600)
    plan.sources.places["shop"] = PackagePlace(PlaceState.VERIFIED, "a", NOON + 29 * HOUR, OTHER)
    system = replace(plan.acting("system"), environments=("production",))
    with pytest.raises(OrchestratorError, match="REL-1: there is no environment staging"):
        advance_releases(system, plan.sources)
    assert plan.release(other.id).frozen_at is not None


def test_requirements_that_are_not_met_are_a_conflict() -> None:
    """The newest report of a package in the environment of a phase refuses the plan, until a newer one is met."""
    plan = Plan()
    failed = Check(what="memory", required=">= 2GiB", measured="1GiB", state="not met")
    about = {"environment": "production", "release": str(SHOP), "digest": SHOP.digest, "at": NOON}
    report = RequirementReport.model_validate({**about, "hosts": (CheckedHost(host="web1", checks=(failed,)),)})
    keep_report(plan.acting("operator"), report)
    text = "production: shop 1.5.0 requires web1: memory is 1GiB, required is >= 2GiB, checked"
    (shown,) = queries.show_planned_release(plan.acting("viewer"), "REL-1", plan.sources).conflicts
    assert text in shown
    with pytest.raises(OrchestratorError, match=text) as refused:
        plan.confirm()
    assert refused.value.code == "G203"
    met = failed.model_copy(update={"measured": "4GiB", "state": "met"})
    newer = report.model_copy(update={"hosts": (CheckedHost(host="web1", checks=(met,)),), "at": NOON + HOUR})
    keep_report(plan.acting("operator"), newer)
    assert plan.confirm().state == "scheduled"
    assert requirement_reports(plan.acting("viewer"), "production") == (newer,)
    with pytest.raises(OrchestratorError, match="has no role") as denied:
        keep_report(plan.acting("viewer"), report)
    assert denied.value.code == "A101"


def test_resources_are_checked() -> None:
    """A booked environment and an absent user refuse a plan with each conflict; with *wait* only the booking waits."""
    plan = Plan()
    draft: BookingDraft = {
        "environment": "production",
        "start": RELEASE - HOUR,
        "end": RELEASE + HOUR,
        "purpose": "load test",
    }
    bookings.book(plan.acting("operator"), draft, plan.sources)
    away = Absence(user="operator", deputy="root", start=NOON, end=FREEZE)
    plan.desk.write(ABSENCES, away)
    text = "REL-1 build: operator is absent until .*; REL-1 deploy in production: booked: B-1"
    with pytest.raises(OrchestratorError, match=text) as error:
        plan.confirm()
    assert error.value.code == "G203"
    assert len(queries.show_planned_release(plan.acting("viewer"), "REL-1", plan.sources).conflicts) == 2
    phase_decisions.set_phase(
        plan.acting("release-manager"), "REL-1", PhaseChange("build", responsible="approver"), plan.sources
    )
    assert plan.confirm(wait=True).phases[2].booking == "B-2"
    assert show_booking(plan.acting("viewer"), "B-2").state == "waiting"


def test_the_owner_of_a_release_is_there_for_a_booking_made_by_hand() -> None:
    """A booking by hand for a release is refused, or waits, while the owner is absent; for that of a phase, who carries it out counts."""
    plan = Plan()
    plan.desk.write(ABSENCES, Absence(user="operator", deputy="root", start=RELEASE, end=RELEASE + 6 * HOUR))
    manager = plan.acting("release-manager")

    def by_hand(hours: float) -> BookingDraft:
        start = RELEASE + hours * HOUR
        about: BookingDraft = {"environment": "staging", "start": start, "end": start + HOUR, "purpose": "load test"}
        return {**about, "holder": "release:REL-1"}

    with pytest.raises(OrchestratorError, match="operator is absent until") as error:
        bookings.book(manager, by_hand(1), plan.sources)
    assert error.value.code == "G301"
    waiting = bookings.book(manager, by_hand(1), plan.sources, wait=True)
    assert (waiting.state, "operator is absent" in waiting.note) == (BookingState.WAITING, True)
    assert advance_bookings(plan.acting("system"), plan.sources) == ()
    later = bookings.book(manager, by_hand(5.5), plan.sources)
    assert later.state is BookingState.CONFIRMED
    phase_decisions.set_phase(manager, "REL-1", PhaseChange("deploy", responsible="approver"), plan.sources)
    deploy = plan.confirm().phases[2]
    assert show_booking(plan.acting("viewer"), deploy.booking).state is BookingState.CONFIRMED


def test_phases_start_and_end_in_their_order() -> None:
    """A phase waits for what it depends on; the first one starts the release, and a late end moves the others."""
    plan = Plan()
    plan.confirm()
    manager = plan.acting("release-manager")
    with pytest.raises(OrchestratorError, match="REL-1 test waits for build"):
        phase_decisions.start_phase(manager, "REL-1", "test")
    assert phase_decisions.start_phase(manager, "REL-1", "build").state == "in-progress"
    plan.desk.clock.sleep(14 * 3600)
    assert "REL-1: operator was notified that build is overdue" in advance_releases(plan.acting("system"), plan.sources)
    assert advance_releases(plan.acting("system"), plan.sources) == ()
    slip = phase_decisions.complete_phase(manager, "REL-1", "build", plan.sources)
    assert [(m.phase, round(m.seconds)) for m in slip.moved] == [(name, 7200) for name in ("test", "deploy", "close")]
    for name, code in (("build", "G204"), ("nothing", "G205")):
        with pytest.raises(OrchestratorError) as error:
            phase_decisions.start_phase(manager, "REL-1", name)
        assert error.value.code == code


def test_a_draft_changes_freely_and_an_end_does_not() -> None:
    """A draft gets other fields, phases and contents; a release that has ended or names what does not exist is refused."""
    plan = Plan(scope=Scope())
    manager = plan.acting("release-manager")
    with pytest.raises(OrchestratorError, match="has no package") as error:
        plan.confirm()
    assert error.value.code == "G201"
    added = PhaseChange("load-test", NOON + 2 * HOUR, NOON + 3 * HOUR, "staging", "approver", ("build",))
    with pytest.raises(OrchestratorError, match="would start before build ends"):
        phase_decisions.set_phase(manager, "REL-1", added, plan.sources)
    phase_decisions.set_phase(manager, "REL-1", replace(added, start=FREEZE, end=FREEZE + HOUR), plan.sources)
    assert len(phase_decisions.remove_phase(manager, "REL-1", "close").phases) == 4
    decisions.add_to_scope(manager, "REL-1", Scope(("R-1",), ("shop-1.5.0",)), plan.sources)
    assert decisions.remove_from_scope(manager, "REL-1", Scope(("R-1",), ("shop",))).packages == ()
    assert plan.state() == ("accepted", "")
    for wrong in ({"owner": "eve"}, {"environment": "moon"}):
        with pytest.raises(OrchestratorError, match="there is no"):
            decisions.edit_release(manager, "REL-1", wrong)
    with pytest.raises(OrchestratorError, match="freeze time is after"):
        decisions.edit_release(manager, "REL-1", {"freeze_at": (RELEASE + HOUR).isoformat()})
    with pytest.raises(OrchestratorError, match="not in the scope of REL-1: R-1"):
        decisions.remove_from_scope(manager, "REL-1", Scope(("R-1",)))


COMMANDS = ("confirm", "freeze", "hold", "resume", "cancel", "close", "add", "remove", "slip", "start", "complete", "time",
            "running", "verified", "rolled back")  # fmt: skip


def do(plan: Plan, command: str, step: int) -> None:
    """Do one command, or let a run do something, and let the system follow."""
    manager, sources = plan.acting("release-manager"), plan.sources
    release = plan.release()
    actions: dict[str, Any] = {
        "confirm": lambda: plan.confirm(wait=True),
        "freeze": lambda: decisions.freeze_release(manager, "REL-1"),
        "hold": lambda: decisions.hold_release(manager, "REL-1", "x"),
        "resume": lambda: decisions.resume_release(manager, "REL-1"),
        "cancel": lambda: decisions.cancel_release(manager, "REL-1", sources, "x"),
        "close": lambda: decisions.close_release(manager, "REL-1", sources),
        "add": lambda: decisions.add_to_scope(manager, "REL-1", Scope(("R-1",)), sources, "x", late=step % 2 == 0),
        "remove": lambda: decisions.remove_from_scope(manager, "REL-1", Scope(("R-1",))),
        "slip": lambda: phase_decisions.set_phase(
            manager, "REL-1", PhaseChange("build", end=release.phases[0].end + HOUR), sources, wait=True),
        "start": lambda: phase_decisions.start_phase(manager, "REL-1", "build"),
        "complete": lambda: phase_decisions.complete_phase(manager, "REL-1", "build", sources),
        "time": lambda: plan.desk.clock.sleep(5 * 3600),
    }  # fmt: skip
    try:
        if command in actions:
            actions[command]()
        else:
            plan.sources.places["shop"] = PackagePlace(PlaceState(command), f"{step}", NOON, OTHER)
    except OrchestratorError as error:
        if error.code not in {"G101", "G202", "G203", "G204", "G205", "G206", "G207"}:
            raise
    advance_releases(plan.acting("system"), sources)


def check(plan: Plan, before: PlannedRelease) -> None:
    """What holds after every command: states of the table, and requests and bookings that agree with the release."""
    release = plan.release()
    assert release.state in PLANNED_RELEASE_TABLE.moves
    assert not before.has_ended or release.state is before.state
    state, contained = plan.state()
    expected = {"planned", "released"} if "R-1" in release.requests else {"accepted"}
    ended = {"closed": {"closed", "accepted"}, "cancelled": {"accepted"}}
    assert state in ended.get(release.state.value, expected)
    assert (state == "released") <= (release.state.value == "released")
    assert contained == ("" if state == "accepted" else "REL-1")
    records = plan.desk.register.reading(lambda found: (found.all(BOOKINGS, OPEN), found.all(PLANNED_RELEASES, ENDED)))
    held = {booking.id for booking in records[0]}
    assert held <= {phase.booking for phase in release.phases}
    assert not (release.has_ended and held)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(COMMANDS), max_size=14))
def test_no_sequence_of_commands_and_runs_leaves_the_table(commands: list[str]) -> None:
    """After any commands and runs the release is in a state of its table, and its requests and bookings agree with it."""
    plan = Plan()
    for step, command in enumerate(commands):
        before = plan.release()
        do(plan, command, step)
        check(plan, before)
    assert plan.desk.acting("viewer").environments == ENVIRONMENTS


def looked_late(**fields: Any) -> PlannedRelease:
    """A release whose run began at half past twelve and verified its package at one, seen by a worker hours later."""
    plan = Plan(**fields)
    plan.confirm()
    plan.desk.clock.sleep(5 * 3600)
    plan.sources.places["shop"] = PackagePlace(PlaceState.VERIFIED, "run", NOON + HOUR, OTHER, NOON + HOUR / 2)
    advance_releases(plan.acting("system"), plan.sources)
    return plan.release()


def test_actual_times_are_those_of_the_runs() -> None:
    """A worker that looks late records when the run began and when its package was verified, and not when it looked."""
    release = looked_late()
    deploy = release.phase("deploy")
    assert deploy is not None
    assert (release.started_at, release.released_at) == (NOON + HOUR / 2, NOON + HOUR)
    assert (deploy.started_at, deploy.completed_at) == (NOON + HOUR / 2, NOON + HOUR)


def test_a_release_without_the_phase_deploy_starts_with_its_first_run() -> None:
    """A release without a phase `deploy` has the times of its runs, too: it starts with the earliest one of its packages."""
    rollout = Phase(name="rollout", planned=Span(start=NOON + HOUR, end=NOON + 2 * HOUR))
    release = looked_late(phases=(rollout,))
    assert (release.started_at, release.released_at) == (NOON + HOUR / 2, NOON + HOUR)
    plan = Plan(phases=(rollout,), scope=Scope((), ("shop-1.5.0", "website-1.0.0")))
    website = PackageRef(name="website", version="1.0.0", digest=f"sha256:{'3' * 64}")
    plan.sources.refs.append(website)
    plan.confirm()
    plan.desk.clock.sleep(5 * 3600)
    plan.sources.places["shop"] = PackagePlace(PlaceState.RUNNING, "later", NOON + HOUR, None, NOON + HOUR)
    plan.sources.places["website"] = PackagePlace(PlaceState.RUNNING, "first", NOON + HOUR / 2, None, NOON + HOUR / 2)
    advance_releases(plan.acting("system"), plan.sources)
    started = plan.release()
    assert (started.state.value, started.started_at) == ("in-progress", NOON + HOUR / 2)
