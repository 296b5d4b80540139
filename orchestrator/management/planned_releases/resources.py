"""What the phases of a release need: environments, which are booked, users, who must not be absent, and hosts."""

from collections.abc import Iterable, Iterator

from orchestrator.app.acting import Change, View
from orchestrator.domain.access.actions import Action
from orchestrator.domain.calendar.intervals import Interval, subtracted
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import minute_text
from orchestrator.domain.register import ABSENCES, REQUIREMENT_REPORTS
from orchestrator.domain.requirements.check import report_key
from orchestrator.management.bookings.conflicts import ConflictKind, conflicts
from orchestrator.management.bookings.decisions import booking_facts, confirm_waiting, make_booking, stop_booking
from orchestrator.management.bookings.model import LONGEST, BookingDraft, EnvironmentBooking
from orchestrator.management.bookings.ports import BookingSources
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.planned_releases.model import Phase, PlannedRelease

GRACE_MINUTES = 24 * 60
"""A booking of a phase expires if no package of the release was promoted within a day of its start."""
CAN_WAIT = frozenset({ConflictKind.BOOKED, ConflictKind.DEPENDENCY_BOOKED})
"""The conflicts that end automatically: a booking can wait for them."""


def resource_conflicts(
    view: View,
    needs: Iterable[tuple[PlannedRelease, Phase]],
    sources: BookingSources,
    ignored: frozenset[str] = frozenset(),
    *,
    wait: bool = False,
) -> tuple[str, ...]:
    """Why environments, users or hosts are not available to the phases, a phrase each.

    *ignored* are bookings that are given up. With *wait* a booked environment is not a conflict.
    """
    needed = tuple(needs)
    places = {phase.environment for _, phase in needed if phase.environment is not None}
    facts = booking_facts(view, sources, tuple(places))
    free = tuple(each for each in facts.bookings if each.id not in ignored)
    found: list[str] = []
    for release, phase in needed:
        found += _absences(view, release, phase)
        if phase.environment is None or view.now.may_have_reached(phase.end):
            continue
        found += _requirements(view, release, phase.environment, phase.name)
        wanted = _booking(view, release, phase)
        for each in conflicts(wanted, type(facts)(**{**vars(facts), "bookings": free})):
            if not (wait and each.kind in CAN_WAIT):
                found.append(f"{release.id} {phase.name} in {phase.environment}: {each.text}")
    return tuple(found)


def _absences(view: View, release: PlannedRelease, phase: Phase) -> Iterator[str]:
    """Who is responsible for *phase*, and absent for its whole time."""
    user = phase.responsible or release.owner
    away = [absence for absence in view.records.all(ABSENCES) if absence.user == user]
    if away and not subtracted([Interval(phase.start, phase.end)], [Interval(a.start, a.end) for a in away]):
        until = minute_text(max(absence.end for absence in away))
        yield f"{release.id} {phase.name}: {user} is absent until {until}"


def _requirements(view: View, release: PlannedRelease, environment: str, phase: str) -> Iterator[str]:
    """What hosts did not have of the requirements of the packages, when they were checked last."""
    for digest in (each.digest for each in release.packages if each.digest):
        report = view.records.get(REQUIREMENT_REPORTS, report_key(environment, digest))
        if report is not None and not report.is_met:
            yield f"{release.id} {phase} in {environment}: {report.unmet}"


def _booking(view: View, release: PlannedRelease, phase: Phase) -> EnvironmentBooking:
    draft = booking_draft(release, phase)
    return EnvironmentBooking.model_validate(
        {**draft, "number": 10**9, "owner": str(view.acting.actor), "created_at": view.now.earliest}
    )


def booking_draft(release: PlannedRelease, phase: Phase) -> BookingDraft:
    """The booking of *phase*. Raises G206 if it is longer than a booking can be."""
    if phase.end - phase.start > LONGEST:
        text = f"{release.id} {phase.name} is longer than {LONGEST.days} days, and uses {phase.environment}"
        raise OrchestratorError("G206", text)
    return {
        "environment": phase.environment,
        "start": phase.start,
        "end": phase.end,
        "purpose": f"{release.id} {phase.name}: {release.title}"[:200],
        "holder": release.holder,
        "grace_minutes": GRACE_MINUTES,
    }


def check_resources(found: tuple[str, ...], release: PlannedRelease) -> None:
    """Raise G203 with each conflict in *found*, if there is one."""
    if found:
        raise OrchestratorError("G203", f"{release.id} cannot have what it needs: {'; '.join(found)}")


def with_booking(
    task: Change, release: PlannedRelease, phase: Phase, sources: BookingSources, *, wait: bool = False
) -> Phase:
    """*phase* with a booking of its environment, if it uses one and its end is not past. Raises A101 and G301."""
    if phase.environment is None or phase.progress == "completed" or task.now.may_have_reached(phase.end):
        return phase
    task.require(Action.BOOK, phase.environment)
    made = make_booking(task, booking_draft(release, phase), sources, wait=wait)
    return phase.model_copy(update={"booking": made.id})


def give_up(task: Change, phases: Iterable[Phase], reason: str) -> frozenset[str]:
    """End the bookings of *phases*. Their ids, of those that had not ended. See `confirm_waiting`."""
    stopped: set[str] = set()
    for phase in phases:
        booking = task.records.get(BOOKINGS, phase.booking) if phase.booking else None
        if booking is not None and not booking.has_ended:
            stop_booking(task, booking, reason)
            stopped.add(booking.id)
    return frozenset(stopped)


def let_others_in(task: Change, sources: BookingSources) -> None:
    """Confirm the bookings whose time became free."""
    confirm_waiting(task, sources)
