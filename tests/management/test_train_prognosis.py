"""The prognosis of trains: what would leave, what stays and why, by the calendar of then, without writing anything."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.admission.may_start import PathFacts
from orchestrator.domain.approval.policy import Quorum, Requirement
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.register import CALENDAR_RULES
from orchestrator.management.bookings.admission import RegisterBookings
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.state import BookingState
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.trains import decisions, departure, queries
from orchestrator.management.trains.ports import ReleaseShape
from orchestrator.management.trains.prognosis import Prognosis
from orchestrator.management.trains.reasons import StayReason
from orchestrator.management.trains.store import TRAINS
from tests.app.desk import ENVIRONMENTS, NOON
from tests.management.trains import HOUR, NAMES, Station, ref


def reasons(found: Prognosis, name: str) -> list[tuple[str, bool]]:
    """The reasons of one package, each with whether it waits for it."""
    member = next(each for each in found.members if each.package.name == name)
    return [(each.reason.value, each.waits) for each in member.obstacles]


def predict(station: Station, after: timedelta | None = None) -> Prognosis:
    at = NOON + after if after is not None else None
    return queries.show_prognosis(station.acting("viewer"), "T-1", station.facts, at)


def rule(kind: str, environment: str, start: int, end: int) -> CalendarRule:
    """A calendar rule from some hours after noon to others."""
    times = {n: (NOON + h * HOUR).strftime("%Y-%m-%dT%H:%M") for n, h in (("start", start), ("end", end))}
    fields = {"id": kind, "kind": kind, "title": kind, "environments": [environment], "zone": "UTC", **times}
    return CalendarRule.from_json(fields)


def test_everything_leaves_in_order() -> None:
    """Without an obstacle every package leaves, in the order of dependencies; the next train is found by its line, too."""
    found = Station()
    assert [each.package.name for each in predict(found).leaving] == list(NAMES)
    again = queries.show_prognosis(found.acting("viewer"), "weekly", found.facts)
    assert (again.train, again.departs_at) == ("T-1", NOON + 4 * HOUR)


FACTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "package-not-kept": ({"shapes": {"shop": None}}, ["package-not-kept"]),
    "stop-not-declared": ({"shapes": {"shop": ReleaseShape(("staging",))}}, ["stop-not-declared"]),
    "irreversible-step": ({"shapes": {"shop": ReleaseShape(ENVIRONMENTS, ("drop",))}}, ["irreversible-step"]),
    "already-deployed": ({"running": {(e, "shop"): ref("shop") for e in ENVIRONMENTS}}, ["already-deployed"]),
    "no-previous-release": ({"running": {("production", "shop"): None}}, ["no-previous-release"]),
    "rolled-back-there": (
        {"paths": {("production", "shop"): PathFacts(previous="staging", rolled_back="was rolled back")}},
        ["rolled-back-there"],
    ),
    "rehearsal-missing": (
        {"paths": {("production", "shop"): PathFacts(previous="staging", needs_rehearsal="no rehearsal")}},
        ["rehearsal-missing"],
    ),
    "not-verified-before": (
        {"paths": {("staging", "shop"): PathFacts(previous="development")}},
        ["not-verified-before"],
    ),
}


@pytest.mark.parametrize("name", FACTS)
def test_each_reason_keeps_a_package_and_what_comes_after(name: str) -> None:
    """A package with a reason stays with it, and so does what comes after, unless it is deployed; the first one leaves."""
    found = Station()
    fields, wanted = FACTS[name]
    for field, value in fields.items():
        setattr(found.facts, field, value)
    told = predict(found)
    assert [each for each, _ in reasons(told, "shop")] == wanted
    stays = [] if name == "already-deployed" else [("dependency-stays", False)]
    assert (reasons(told, "database"), reasons(told, "website")) == ([], stays)
    shown = next(each for each in told.members if each.package.name == "shop")
    assert (shown.leaves, shown.why is not None) == (False, True)


def test_undo_playbooks_in_a_shared_environment_keep_a_package() -> None:
    """A package that shares an environment with one that has an undo playbook stays, because their rollbacks undo each other."""
    found = Station()
    found.facts.shapes["website"] = ReleaseShape(ENVIRONMENTS, has_undo=True)
    told = predict(found)
    assert reasons(told, "shop") == [("undo-in-shared-environment", False)] * 2 + [("dependency-stays", False)]
    assert not told.leaving or [each.package.name for each in told.leaving] == ["website"]


def test_the_calendar_of_the_departure_counts() -> None:
    """A freeze, a window and a booking keep packages at the first stop only if they are at the time of the departure; later stops wait."""
    found = Station()
    found.desk.write(CALENDAR_RULES, rule("hard-freeze", "staging", 3, 5))
    assert [each.waits for each in predict(found).members[0].obstacles] == [False]
    assert reasons(predict(found), "database")[0] == ("freeze", False)
    assert len(predict(found, 6 * HOUR).leaving) == 3
    found.desk.write(CALENDAR_RULES, rule("window", "production", 20, 22))
    told = predict(found, 6 * HOUR)
    assert (reasons(told, "shop"), len(told.leaving)) == ([("outside-windows", True)], 3)
    assert told.members[0].obstacles[0].until == NOON + 20 * HOUR
    assert reasons(predict(found, 20 * HOUR), "shop") == []


def test_bookings_of_the_departure_count_whether_or_not_they_are_used_yet() -> None:
    """A booking of another holder keeps packages in its time, also after its grace time; one of the train lets them pass."""
    found = Station()
    about = {"environment": "staging", "purpose": "load test", "owner": "root", "created_at": NOON}
    times = {"start": NOON + 3 * HOUR, "end": NOON + 6 * HOUR, "state": BookingState.CONFIRMED, "number": 1}
    booked = EnvironmentBooking.model_validate({**about, **times, "holder": "user:root"})
    found.desk.write(BOOKINGS, booked)
    bookings = RegisterBookings(found.facts.depends_on)

    def told() -> Prognosis:
        acting = found.acting("viewer")
        object.__setattr__(acting, "bookings", bookings)
        return queries.show_prognosis(acting, "T-1", found.facts)

    assert reasons(told(), "database") == [("booked", False)]
    found.desk.write(BOOKINGS, booked.model_copy(update={"holder": "train:T-1"}))
    assert len(told().leaving) == 3


def test_missing_approvals_and_rights() -> None:
    """Votes are waited for at each stop; without the right of the conductor a package stays."""
    found = Station()
    found.facts.requirement = Requirement(quorums=(Quorum(count=1),))
    told = predict(found)
    assert (reasons(told, "shop"), len(told.leaving)) == ([("approval-missing", True)] * 2, 3)
    found.desk.write(TRAINS, found.train.model_copy(update={"conductor": Actor(name="operator")}))
    assert [each for each, waits in reasons(predict(found), "shop") if not waits][-1] == "dependency-stays"
    assert ("right-missing", False) in reasons(predict(found), "database")


def test_a_prognosis_writes_nothing_and_ends_with_the_departure() -> None:
    """A prognosis, also of a future departure, leaves the register as it is, audit stream included; a departed train has none."""
    found = Station()
    before = (found.desk.entries, found.train)
    changing = found.desk.register.changing
    found.desk.register.changing = None  # type: ignore[assignment, method-assign]
    predict(found)
    predict(found, 90 * HOUR)
    found.desk.register.changing = changing  # type: ignore[method-assign]
    assert (found.desk.entries, found.train) == before
    departure.depart(found.acting(), "T-1", found.facts)
    assert found.refused(lambda: predict(found)) == "G606"


def test_what_the_prognosis_says_is_what_happens() -> None:
    """At the departure the packages of the prognosis leave, the others stay with the same reason, recorded once."""
    found = Station()
    found.facts.shapes["website"] = None
    told = predict(found, timedelta(0))
    departed = departure.depart(found.acting(), "T-1", found.facts)
    left = [member.name for member in departed.members if member.state == "departed"]
    assert left == [each.package.name for each in told.leaving] == ["database", "shop"]
    stayed = departed.member("website")
    assert stayed is not None
    assert (stayed.state, stayed.reason) == ("stayed", StayReason.NOT_KEPT)
    assert found.refused(lambda: departure.depart(found.acting(), "T-1", found.facts)) == "G101"


def test_a_train_that_no_package_can_leave_with_is_held() -> None:
    """If no package can leave at the departure, the train is held with the reasons, and departs after they are gone."""
    found = Station()
    found.desk.write(CALENDAR_RULES, rule("hard-freeze", "staging", 3, 9))
    found.tick(5 * HOUR)
    assert (found.train.state, "no package can leave" in found.train.note) == ("on-hold", True)
    assert "hard freeze 'hard-freeze'" in found.train.note
    found.desk.clock.jump(5 * 3600)
    decisions.resume_train(found.acting(), "T-1")
    found.tick()
    assert found.train.state == "arrived"
