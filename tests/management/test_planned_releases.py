"""Planned releases by values: states, phases, what a slip moves, and what runs and time require."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.domain.release import PackageRef
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.state import ChangeState
from orchestrator.management.planned_releases.model import Mode, Phase, PlannedRelease, ScopePackage, Span
from orchestrator.management.planned_releases.phases import (
    check_phases,
    overdue_phases,
    phase_order,
    slip,
    standard_phases,
    timed,
    with_moves,
)
from orchestrator.management.planned_releases.ports import PackagePlace, PlaceState
from orchestrator.management.planned_releases.progress import ReleaseFacts, Step, next_step
from orchestrator.management.planned_releases.scope import not_ready, scope_package
from orchestrator.management.planned_releases.state import PLANNED_RELEASE_TABLE, ReleaseEvent, ReleaseState

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FREEZE, RELEASE = MONDAY + 2 * DAY, MONDAY + 4 * DAY
SHOP = PackageRef(name="shop", version="1.5.0", digest=f"sha256:{'1' * 64}")


def planned(number: int = 1, state: ReleaseState = ReleaseState.SCHEDULED, **fields: object) -> PlannedRelease:
    """A release into production: build on Monday, freeze on Wednesday, deploy on Friday."""
    about: dict[str, object] = {
        "title": "Advent", "environment": "production", "owner": "ann", "freeze_at": FREEZE, "release_at": RELEASE,
        "phases": standard_phases(MONDAY, FREEZE, RELEASE, "production"), "created_at": MONDAY - DAY, "created_by": "ann",
        "packages": (ScopePackage(name="shop", version="1.5.0", digest=SHOP.digest),), **fields,
    }  # fmt: skip
    return PlannedRelease.model_validate({"number": number, "state": state, **about})


def phase(release: PlannedRelease, name: str) -> Phase:
    found = release.phase(name)
    assert found is not None
    return found


def later(release: PlannedRelease, name: str, by: timedelta) -> Phase:
    """The phase *name* with an end that is later."""
    found = phase(release, name)
    return timed(found, Span(start=found.span.start, end=found.span.end + by), replan=True)


@given(st.lists(st.sampled_from(list(ReleaseEvent)), max_size=20))
def test_no_sequence_of_events_leaves_the_table(events: list[ReleaseEvent]) -> None:
    """After any events the state is one of the table, a refused event changes nothing, and an end stays an end."""
    found = planned(state=ReleaseState.DRAFT)
    for event in events:
        if PLANNED_RELEASE_TABLE.allows(found.state, event):
            assert not found.has_ended
            before, found = found, found.after(event)
            assert PLANNED_RELEASE_TABLE.moves[before.state][event] is found.state
        else:
            with pytest.raises(OrchestratorError, match="not possible"):
                found.after(event)
    assert set(PLANNED_RELEASE_TABLE.moves) == set(ReleaseState)


def test_a_slip_moves_what_depends_on_it_in_every_release() -> None:
    """A phase that ends later moves its dependents by what they lack, also those of another release, and keeps lengths."""
    first = planned()
    gap = standard_phases(RELEASE + 8 * HOUR, RELEASE + DAY, RELEASE + 2 * DAY, "production")
    other = planned(2, phases=(gap[0].model_copy(update={"after": ("REL-1:deploy",)}), *gap[1:]),
                    freeze_at=RELEASE + DAY, release_at=RELEASE + 2 * DAY)  # fmt: skip
    releases = {"REL-1": first, "REL-2": other}
    moves = slip(releases, "REL-1", later(first, "test", 5 * HOUR))
    assert [(m.release.id, m.phase.name, m.after.start - m.before.start) for m in moves] == [
        ("REL-1", "test", timedelta(0)), ("REL-1", "deploy", 5 * HOUR), ("REL-1", "close", 5 * HOUR),
        ("REL-2", "build", HOUR), ("REL-2", "test", HOUR), ("REL-2", "deploy", HOUR), ("REL-2", "close", HOUR),
    ]  # fmt: skip
    changed = with_moves(releases, moves)
    assert phase(changed["REL-1"], "deploy").planned == phase(first, "deploy").planned
    assert phase(changed["REL-1"], "deploy").span.end - phase(changed["REL-1"], "deploy").span.start == 4 * HOUR
    with pytest.raises(OrchestratorError, match="after its release time") as error:
        changed["REL-1"].check_dates()
    assert error.value.code == "G206"
    by_completion = first.model_copy(update={"mode": Mode.COMPLETION}).with_phases([phase(changed["REL-1"], "deploy")])
    assert by_completion.release_at == RELEASE + 5 * HOUR


def test_what_has_started_or_ended_does_not_move() -> None:
    """A slip leaves a phase that has started where it is, and moves nothing to an earlier time."""
    started = phase(planned(), "test").model_copy(update={"started_at": FREEZE})
    release = planned().with_phases([started])
    assert [m.phase.name for m in slip({"REL-1": release}, "REL-1", later(release, "build", DAY))] == ["build"]
    shorter = timed(phase(release, "build"), Span(start=MONDAY, end=MONDAY + HOUR), replan=True)
    assert [m.phase.name for m in slip({"REL-1": release}, "REL-1", shorter)] == ["build"]


@given(st.integers(0, 3), st.integers(1, 100), st.booleans())
def test_after_a_slip_no_phase_starts_before_what_it_depends_on_ends(at: int, hours: int, two: bool) -> None:
    """Whatever phase ends later, every pending phase still starts after those that it comes after."""
    first = planned()
    releases = {"REL-1": first}
    if two:
        phases = standard_phases(RELEASE, RELEASE + DAY, RELEASE + 2 * DAY, "staging")
        releases["REL-2"] = planned(
            2, phases=(*phases[:3], phases[3].model_copy(update={"after": ("deploy", "REL-1:test")})),
            freeze_at=RELEASE + DAY, release_at=RELEASE + 9 * DAY,
        )  # fmt: skip
    name = first.phases[at].name
    moves = slip(releases, "REL-1", later(first, name, hours * HOUR))
    changed = {**releases, **with_moves(releases, moves)}
    for release in changed.values():
        check_phases(changed, release)


def test_wrong_dependencies_are_refused() -> None:
    """An unknown phase, a cycle and a start that is too early are refused with G205, and the nearest name is the hint."""
    release = planned()
    for after, text in (
        ("biuld", "comes after biuld"),
        ("REL-9:test", "does not exist"),
        ("deploy", "before deploy ends"),
    ):
        changed = release.with_phases([phase(release, "test").model_copy(update={"after": (after,)})])
        with pytest.raises(OrchestratorError, match=text) as error:
            check_phases({"REL-1": release}, changed)
        assert error.value.code == "G205"
    circle = release.with_phases([phase(release, "build").model_copy(update={"after": ("close",)})])
    with pytest.raises(OrchestratorError, match="depend on each other"):
        phase_order({"REL-1": circle})
    assert [each.name for _, each in overdue_phases([release], FREEZE)] == ["build"]


def test_dates_have_their_order() -> None:
    """A freeze after the release, two phases of one name and a phase without a length are no plan."""
    for wrong in ({"freeze_at": RELEASE + HOUR}, {"phases": (planned().phases[0],) * 2}):
        with pytest.raises(ValueError, match=r"after the release time|named twice"):
            planned(**wrong)
    with pytest.raises(ValueError, match="ends before it starts"):
        Span(start=MONDAY, end=MONDAY)


def test_a_package_is_named_with_its_version() -> None:
    """A built package has its digest, another one is taken by name and version, and a text without a version is refused."""
    assert scope_package("shop-1.5.0", [SHOP]).digest == SHOP.digest
    assert scope_package("web-shop-2.0.0", [SHOP]) == ScopePackage(name="web-shop", version="2.0.0")
    with pytest.raises(OrchestratorError, match="does not name a package with its version") as error:
        scope_package("shop", [SHOP])
    assert error.value.code == "G207"


def request(number: int, *packages: str, state: ChangeState = ChangeState.PLANNED) -> ChangeRequest:
    about = {"title": "x", "number": number, "reporter": "ann", "created_at": MONDAY, "packages": packages}
    return ChangeRequest.model_validate({**about, "state": state, "release": "REL-1"})


def test_what_is_not_ready_has_its_reason() -> None:
    """A package that is not built, and requests that need it, or one that is not in the scope, are not ready."""
    packages = (*planned().packages, ScopePackage(name="bank", version="2.0.0"))
    release = planned(packages=packages, requests=("R-1", "R-2", "R-3", "R-4", "R-5"))
    requests = {each.id: each for each in (request(1, "shop"), request(2, "shop", "bank"), request(3, "web"),
                                           request(4, "shop", state=ChangeState.ACCEPTED))}  # fmt: skip
    assert not_ready(release, requests) == {
        "bank 2.0.0": "it is not built", "R-2": "bank 2.0.0 is not built", "R-3": "web is not in the scope",
        "R-4": "it is accepted", "R-5": "it does not exist",
    }  # fmt: skip


def due(release: PlannedRelease, place: PackagePlace | None = None, at: datetime = MONDAY) -> Step | None:
    facts = ReleaseFacts({str(SHOP): SHOP}, {"shop": place} if place else {})
    return next_step(release, facts, Now.at(at))


def test_runs_and_time_require_each_step_once() -> None:
    """A build is bound, the freeze is at its time, and new runs start, release and roll back; an old run does nothing."""
    running, verified = PackagePlace(PlaceState.RUNNING, "a"), PackagePlace(PlaceState.VERIFIED, "a")
    back = PackagePlace(PlaceState.ROLLED_BACK, "b")
    unbuilt = planned(packages=(ScopePackage(name="shop", version="1.5.0"),))
    assert (due(unbuilt), due(planned())) == (Step.BIND, None)
    assert (due(planned(), at=FREEZE), due(planned(frozen_at=FREEZE), at=FREEZE)) == (Step.FREEZE, None)
    assert due(planned(), running) is Step.START
    going = planned(state=ReleaseState.IN_PROGRESS)
    assert (due(going, running), due(going, verified)) == (None, Step.FREEZE)
    frozen = going.model_copy(update={"frozen_at": FREEZE})
    assert (due(frozen, verified), due(frozen, back)) == (Step.RELEASE, Step.ROLL_BACK)
    ran = (ScopePackage(name="shop", version="1.5.0", digest=SHOP.digest, run="b"),)
    assert due(frozen.model_copy(update={"packages": ran}), back) is None
    done = planned(state=ReleaseState.RELEASED, frozen_at=FREEZE)
    assert (due(done, verified), due(done, back)) == (None, Step.ROLL_BACK)
    for state in (ReleaseState.DRAFT, ReleaseState.ON_HOLD, ReleaseState.ROLLED_BACK, ReleaseState.CLOSED):
        assert due(planned(state=state), verified, FREEZE) is None


def test_a_completion_driven_release_is_frozen_when_everything_is_ready() -> None:
    """At its freeze time a completion-driven release waits for what is not ready, and a timeline-driven one does not."""
    packages = (*planned().packages, ScopePackage(name="bank", version="2.0.0"))
    for mode, step in ((Mode.COMPLETION, None), (Mode.TIMELINE, Step.FREEZE)):
        assert due(planned(mode=mode, packages=packages), at=FREEZE) is step
    assert due(planned(mode=Mode.COMPLETION), at=FREEZE) is Step.FREEZE
