"""The prognosis of every stop of a train: its time, and what closes an environment to a package at that time."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.access.principals import Absence
from orchestrator.domain.admission.may_start import PathFacts
from orchestrator.domain.approval.policy import Quorum, Requirement
from orchestrator.domain.calendar.verdict import Calendar, CalendarQuestion, Closed, calendar_verdict
from orchestrator.domain.moments import Now
from orchestrator.domain.register import ABSENCES, CALENDAR_RULES, REQUIREMENT_REPORTS
from orchestrator.domain.requirements.check import Check, CheckedHost, RequirementReport
from orchestrator.management.bookings.admission import RegisterBookings
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.state import BookingState
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.planned_releases.model import PlannedRelease, ScopePackage
from orchestrator.management.planned_releases.phases import standard_phases
from orchestrator.management.planned_releases.state import ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.trains import departure, queries
from orchestrator.management.trains.prognosis import Obstacle, Prognosis
from orchestrator.management.trains.reasons import StayReason
from tests.app.desk import ENVIRONMENTS, NOON
from tests.management.test_train_prognosis import rule
from tests.management.trains import HOUR, NAMES, Station, ref

DEPARTURE = NOON + 4 * HOUR


def station(after_s: int = 0) -> Station:
    """A station whose bookings count, and whose second stop starts some seconds after the departure."""
    stops = [{"environments": ["staging"]}, {"environments": ["production"], "after_s": after_s}]
    found = Station(stops=stops)
    bookings = RegisterBookings(found.facts.depends_on)
    acting = found.acting
    found.acting = lambda name="release-manager": replace(acting(name), bookings=bookings)  # type: ignore[method-assign]
    return found


def predicted(found: Station, at: datetime | None = None) -> Prognosis:
    return queries.show_prognosis(found.acting("viewer"), "T-1", found.facts, at)


def obstacles(told: Prognosis, name: str) -> list[Obstacle]:
    return [each for member in told.members if member.package.name == name for each in member.obstacles]


def plan_later(found: Station, hours: int) -> None:
    """A planned release brings `shop` into production some hours after noon."""
    start = NOON + hours * HOUR
    phases = standard_phases(NOON, start - HOUR, start, "production")
    phases = tuple(p.model_copy(update={"booking": "B-1"}) if p.name == "deploy" else p for p in phases)
    shop = ref("shop")
    release = PlannedRelease(
        number=1, title="Advent", environment="production", owner="root", freeze_at=start - HOUR, release_at=start,
        phases=phases, created_at=NOON, created_by="root", state=ReleaseState.SCHEDULED,
        packages=(ScopePackage(name=shop.name, version=shop.version, digest=shop.digest),),
    )  # fmt: skip
    found.desk.write(PLANNED_RELEASES, release)
    about = {"environment": "production", "purpose": "REL-1 deploy", "owner": "root", "created_at": NOON}
    times = {"start": start, "end": start + 4 * HOUR, "state": BookingState.CONFIRMED, "grace_minutes": 1440}
    booking = EnvironmentBooking.model_validate({**about, **times, "number": 1, "holder": release.holder})
    found.desk.write(BOOKINGS, booking)


def test_a_package_waits_for_its_planned_release_at_a_later_stop() -> None:
    """A package of a planned release leaves, and waits for its time at the later stop; the first stop is not affected."""
    found = station()
    plan_later(found, 30)
    told = predicted(found)
    assert [(o.reason, o.stop, o.waits, o.until) for o in obstacles(told, "shop")] == [
        (StayReason.PLANNED, 2, True, NOON + 30 * HOUR)
    ]
    assert len(told.leaving) == 3
    assert [(stop.at, stop.until) for stop in told.stops] == [(DEPARTURE, None), (DEPARTURE, NOON + 30 * HOUR)]


def test_a_package_stays_if_its_planned_release_is_later_than_a_request_can_wait() -> None:
    """A package that would wait longer at a later stop than its run request lives stays, and so delays no stop."""
    found = station()
    plan_later(found, 24 * 120)
    told = predicted(found)
    why = obstacles(told, "shop")[0]
    assert (why.reason, why.waits, "expires after 90 days" in why.text) == (StayReason.PLANNED, False, True)
    assert [stop.until for stop in told.stops] == [None, None]
    departed = departure.depart(found.acting(), "T-1", found.facts)
    stayed = departed.member("shop")
    assert stayed is not None
    assert (stayed.state, stayed.reason) == ("stayed", StayReason.PLANNED)


def test_a_wait_at_one_stop_moves_the_next_one() -> None:
    """Approvers who are absent at the first stop delay the second one, where the windows and freezes of the later time count."""
    found = station(3600)
    found.facts.requirement = Requirement(quorums=(Quorum(count=1, roles=("approver",)),))
    found.desk.write(CALENDAR_RULES, rule("hard-freeze", "production", 9, 12))
    assert StayReason.FREEZE not in {each.reason for each in obstacles(predicted(found), "shop")}
    back = NOON + 10 * HOUR
    found.desk.write(ABSENCES, Absence(user="approver", deputy="viewer", start=NOON, end=back))
    found.desk.write(ABSENCES, Absence(user="viewer", deputy="operator", start=NOON, end=back))
    told = predicted(found)
    seen = [(o.reason, o.stop, o.waits, o.until) for o in obstacles(told, "shop")]
    assert seen == [
        (StayReason.APPROVERS, 1, True, back),
        (StayReason.APPROVAL, 2, True, None),
        (StayReason.FREEZE, 2, True, NOON + 12 * HOUR),
    ]
    assert [(stop.at, stop.until) for stop in told.stops] == [(DEPARTURE, back), (back, NOON + 12 * HOUR)]


def test_the_time_since_the_package_was_verified_counts_from_the_stop_before() -> None:
    """A package that is verified on the way waits at the next stop for the time that its environment requires since then."""
    found = station()
    wait = timedelta(hours=5)
    for name in NAMES:
        found.facts.paths["production", name] = PathFacts(previous="staging", promote_after=wait)
    told = predicted(found)
    seen = [(o.reason, o.stop, o.waits, o.until) for o in obstacles(told, "website")]
    assert seen == [(StayReason.TOO_EARLY, 2, True, DEPARTURE + wait)]
    assert (len(told.leaving), told.stops[1].until) == (3, DEPARTURE + wait)


def test_a_package_whose_requirements_the_hosts_did_not_meet_stays() -> None:
    """A package stays if the last check of a stop found that its hosts do not have what it requires."""
    found = station()
    short = Check(what="memory", required=">= 8G", measured="4G", state="not met")
    website = ref("website")
    report = RequirementReport(
        environment="production", release=str(website), digest=website.digest, at=NOON,
        hosts=(CheckedHost(host="web1", checks=(short,)),),
    )  # fmt: skip
    found.desk.write(REQUIREMENT_REPORTS, report)
    told = predicted(found)
    seen = [(o.reason, o.stop, o.waits) for o in obstacles(told, "website")]
    assert seen == [(StayReason.REQUIREMENTS, 2, False)]
    assert "web1: memory is 4G, required is >= 8G" in obstacles(told, "website")[0].text
    assert [each.package.name for each in told.leaving] == ["database", "shop"]


HOURS = st.integers(0, 40)
SPANS = st.tuples(HOURS, st.integers(1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))
ENTRIES = st.lists(
    st.tuples(st.sampled_from(("hard-freeze", "window")), st.sampled_from(ENVIRONMENTS), SPANS), max_size=5
)


@settings(max_examples=60, deadline=None)
@given(ENTRIES, st.integers(0, 30), st.integers(0, 12), st.booleans())
def test_what_closes_each_stop_is_what_the_calendar_has_at_its_time(
    entries: list[tuple[str, str, tuple[int, int]]], departs: int, after: int, planned: bool
) -> None:
    """At every stop, and only there, a package has a reason if the calendar closes its environment at the time of the stop."""
    found = station(after * 3600)
    rules = [
        rule(kind, place, *hours).model_copy(update={"id": f"{kind}-{number}"})
        for number, (kind, place, hours) in enumerate(entries)
    ]
    found.desk.write(CALENDAR_RULES, *rules)
    if planned:
        plan_later(found, 20)
    before = (found.desk.entries, found.train)
    at = NOON + departs * HOUR
    told = predicted(found, at)
    calendar = Calendar(rules=tuple(rules))
    assert (found.desk.entries, found.train) == before
    assert [stop.at for stop in told.stops] == sorted(stop.at for stop in told.stops)
    assert all(stop.at >= at + timedelta(hours=after * (stop.number - 1)) for stop in told.stops)
    for stop in told.stops:
        verdict = calendar_verdict(calendar, CalendarQuestion(stop.environments[0]), Now.at(stop.at))
        causes = {closing.cause.value for closing in verdict.closings} if isinstance(verdict, Closed) else set()
        for name in NAMES:
            mine = {o.reason.value for o in obstacles(told, name) if o.stop == stop.number} - {
                "booked",
                "planned-later",
            }
            assert mine == {"freeze" if cause == "hard-freeze" else cause for cause in causes}, (stop, name)
        is_open = not causes or stop.number > 1
        assert bool(told.leaving) <= is_open
    waits = {o.until for member in told.leaving for o in member.obstacles if o.stop == 2 and o.until is not None}
    assert told.stops[1].until is None or told.stops[1].until >= max(waits, default=at)
