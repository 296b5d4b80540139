"""Use cases that change bookings and quotas. Each change has an entry in the audit stream."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.app.acting import Acting, Change, View, change, unknown
from orchestrator.app.calendar import rules_of
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.authorize import Target, users_with_right
from orchestrator.domain.calendar.intervals import Interval
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now, minute_text, moment_text
from orchestrator.domain.register import ABSENCES, ENDED, OPEN, OUTBOX, USERS
from orchestrator.management.bookings.conflicts import (
    WEEK,
    BookingFacts,
    Conflict,
    ConflictKind,
    closed_by,
    conflicts,
    free_slots,
    next_moment,
    team_of,
)
from orchestrator.management.bookings.model import LONGEST, BookingDraft, EnvironmentBooking, Quota
from orchestrator.management.bookings.ports import BookingSources
from orchestrator.management.bookings.state import BookingEvent, BookingState
from orchestrator.management.bookings.store import BOOKINGS, QUOTAS, open_bookings
from orchestrator.management.messages import Subject, message_to, notify_once
from orchestrator.management.numbers import next_number
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.trains.store import TRAINS
from orchestrator.register_ports import each_record

NOUN = "booking"
HORIZON = timedelta(days=90)
"""How far ahead the next free slot of a refused booking is searched."""


@forwarded
def book(acting: Acting, draft: BookingDraft, sources: BookingSources, *, wait: bool = False) -> EnvironmentBooking:
    """Book an environment. With *wait* a booking that is not possible waits until its time is free.

    Raises A110 for an unknown environment or holder, G301 with every conflict and the next free slot, and G302 for a
    time that is past.
    """
    place = str(draft["environment"])

    def work(task: Change) -> EnvironmentBooking:
        return make_booking(task, draft, sources, wait=wait, is_of_phase=False)

    return change(acting, Action.BOOK, work, environment=place)


@forwarded
def cancel_booking(acting: Acting, key: str, sources: BookingSources, reason: str = "") -> EnvironmentBooking:
    """Cancel a booking that was not used, or waits. Those that wait for its time are confirmed. Raises A110, G101."""

    def work(task: Change, booking: EnvironmentBooking) -> EnvironmentBooking:
        after = booking.after(BookingEvent.CANCEL, ended_at=task.now.earliest, note=reason)
        return _freed(task, _put(task, after, BookingEvent.CANCEL), sources)

    return _change_own(acting, key, work, reason)


@forwarded
def end_booking(acting: Acting, key: str, sources: BookingSources, reason: str = "") -> EnvironmentBooking:
    """Release the environment before the end of a booking in use. Raises A110 and G101."""

    def work(task: Change, booking: EnvironmentBooking) -> EnvironmentBooking:
        after = booking.after(BookingEvent.END, ended_at=task.now.earliest, note=reason)
        return _freed(task, _put(task, after, BookingEvent.END), sources)

    return _change_own(acting, key, work, reason)


@forwarded
def extend_booking(acting: Acting, key: str, end: datetime, sources: BookingSources) -> EnvironmentBooking:
    """Let a booking end at *end*. Raises A110, G101, G301 with every conflict, and G302 for an earlier end."""

    def work(task: Change, booking: EnvironmentBooking) -> EnvironmentBooking:
        if end <= booking.end:
            raise OrchestratorError("G302", f"{booking.id} ends at {minute_text(booking.end)} already")
        if end - booking.start > LONGEST:
            raise OrchestratorError("G302", f"{booking.id} would be longer than {LONGEST.days} days")
        after = booking.after(BookingEvent.EXTEND, end=end)
        facts = booking_facts(task, sources, (after.environment,))
        facts = replace(facts, owners=_release_owners(task, after))
        found = conflicts(after, facts)
        if found:
            raise refused_booking(after, found, facts, task.now)
        return _put(task, after, BookingEvent.EXTEND)

    return _change_own(acting, key, work)


@forwarded
def hand_over_booking(
    acting: Acting, key: str, holder: str, sources: BookingSources, reason: str = ""
) -> EnvironmentBooking:
    """Give a booking with its time to another *holder*. Those who wait for it are notified.

    Raises A110, G101, and G301 if the quota of another team would be exceeded.
    """

    def work(task: Change, booking: EnvironmentBooking) -> EnvironmentBooking:
        before = (*booking.handed_over, booking.holder)
        after = booking.after(BookingEvent.HAND_OVER, holder=holder, handed_over=before, note=reason)
        _check_names(task, after)
        _check_quota(task, booking, after, sources)
        done = _put(task, after, BookingEvent.HAND_OVER)
        for each in _waiting(task, done):
            text = f"{done.id} was handed over to {holder}; {each.id} waits for it"
            _notify(task, each.owner, done, text, about=f" {each.id}")
        return done

    return _change_own(acting, key, work, reason)


@forwarded
def set_quota(acting: Acting, team: str, environment: str, hours: float | None) -> Quota:
    """Let *team* book *environment* for at most *hours* in each week; None removes the quota. Raises A110."""

    def work(task: Change) -> Quota:
        if environment not in task.acting.environments:
            raise unknown("environment", environment, list(task.acting.environments))
        if hours is None:
            found = task.existing(QUOTAS, f"{team} {environment}")
            task.remove(QUOTAS, found)
            return found
        return task.put(QUOTAS, Quota(team=team, environment=environment, hours=hours))

    return change(acting, Action.MANAGE_BOOKINGS, work, environment=environment)


# -- parts, also for admission and the duties of the system ------------------------------------------------------------


def make_booking(
    task: Change, draft: BookingDraft, sources: BookingSources, *, wait: bool = False, is_of_phase: bool = True
) -> EnvironmentBooking:
    """Book an environment within the transaction of *task*; see `book`.

    For a booking that *is_of_phase* the owner of the release does not count.
    """
    owner = str(task.acting.actor)
    about = {"holder": f"user:{owner}", **draft, "number": next_number(task.records, NOUN), "owner": owner}
    made = EnvironmentBooking.model_validate({**about, "created_at": task.now.earliest})
    _check_names(task, made)
    if task.now.may_have_reached(made.end):
        raise OrchestratorError("G302", f"the time ended at {minute_text(made.end)}")
    facts = booking_facts(task, sources, (made.environment,))
    if not is_of_phase:
        facts = replace(facts, owners=_release_owners(task, made))
    found = conflicts(made, facts)
    if found and not wait:
        raise refused_booking(made, found, facts, task.now)
    if found:
        return _put(task, made.after(BookingEvent.WAIT, note=found[0].text), BookingEvent.WAIT)
    confirmed = made.after(BookingEvent.CONFIRM, confirmed_at=task.now.earliest)
    return _put(task, confirmed, BookingEvent.CONFIRM)


def stop_booking(task: Change, booking: EnvironmentBooking, reason: str) -> EnvironmentBooking:
    """End *booking* if it is in use, otherwise cancel it. `confirm_waiting` then confirms those that waited for it."""
    event = BookingEvent.END if booking.state is BookingState.ACTIVE else BookingEvent.CANCEL
    return _put(task, booking.after(event, ended_at=task.now.earliest, note=reason), event)


def booking_facts(view: View, sources: BookingSources, environments: Sequence[str] | None = None) -> BookingFacts:
    """What bookings, or those of *environments* only, are compared with at this moment."""
    depends_on, quotas = sources.depends_on(), view.records.all(QUOTAS)
    bookings = open_bookings(view.records, closed_by(depends_on), environments)
    absences, places = view.records.all(ABSENCES), environments or ()
    needed = {name: sources.approvals_needed(name) for name in places} if absences else {}
    return BookingFacts(
        bookings=tuple(each for each in bookings if each.keeps_out(view.now)),
        past=_past_week(view) if quotas else (),
        calendar=rules_of(view, sources.declared_rules()),
        depends_on=depends_on,
        absences=absences,
        quotas=quotas,
        teams={user.name: user.team for user in view.records.all(USERS) if user.team},
        approvers={name: approvers_in(view, name) for name, count in needed.items() if count},
        needed=needed,
    )


def _release_owners(view: View, booking: EnvironmentBooking) -> dict[str, str]:
    """The owner of the planned release that holds *booking*, by its id; empty if a phase has made it."""
    kind, _, name = booking.holder.partition(":")
    release = view.records.get(PLANNED_RELEASES, name) if kind == "release" else None
    if release is None or any(phase.booking == booking.id for phase in release.phases):
        return {}
    return {booking.id: release.owner}


def approvers_in(view: View, environment: str) -> tuple[str, ...]:
    """The users who may approve in *environment*."""
    target = Target(view.acting.project, environment)
    return users_with_right(Action.APPROVE, target, view.directory, view.now)


def _past_week(view: View) -> tuple[EnvironmentBooking, ...]:
    """The bookings that were completed in the last week."""
    start = moment_text(view.now.earliest - WEEK)
    past = each_record(view.records, BOOKINGS, [ENDED], start=start)
    return tuple(each for each in past if each.state is BookingState.COMPLETED)


def refused_booking(
    booking: EnvironmentBooking, found: tuple[Conflict, ...], facts: BookingFacts, now: Now
) -> OrchestratorError:
    """The error of a booking with conflicts: each of them, and the next free slot of the same length."""
    why = "; ".join(conflict.text for conflict in found)
    length = booking.end - booking.start
    horizon = Interval(max(next_moment(now.latest), booking.start), max(now.latest, booking.start) + HORIZON)
    slot = next(iter(free_slots(booking.environment, length, horizon, facts)), None)
    hint = f"the next free slot is {minute_text(slot.start)} to {minute_text(slot.end)}" if slot else None
    return OrchestratorError("G301", f"{booking.environment} cannot be booked: {why}", hint=hint)


def confirm_waiting(task: Change, sources: BookingSources, near: EnvironmentBooking | None = None) -> None:
    """Confirm the bookings that wait and whose time is free, the oldest first; with *near* those that it blocked."""
    closed, places = closed_by(sources.depends_on()), None if near is None else (near.environment,)
    found = open_bookings(task.records, closed, places)
    waiting = [each for each in found if each.state is BookingState.WAITING]
    if not waiting:
        return
    facts = booking_facts(task, sources, tuple({each.environment for each in waiting}))
    for each in sorted(waiting, key=lambda each: each.number):
        if is_confirmable(task, each, facts):
            facts = replace(facts, bookings=(*facts.bookings, confirm_free(task, each)))


def is_confirmable(view: View, booking: EnvironmentBooking, facts: BookingFacts) -> bool:
    """Whether *booking* waits, and by the *facts* its time is free."""
    is_over = booking.state is not BookingState.WAITING or view.now.may_have_reached(booking.end)
    return not is_over and not conflicts(booking, replace(facts, owners=_release_owners(view, booking)))


def confirm_free(task: Change, booking: EnvironmentBooking) -> EnvironmentBooking:
    """Confirm *booking*, which waited, and notify its owner."""
    after = booking.after(BookingEvent.CONFIRM, confirmed_at=task.now.earliest, note="")
    done = _put(task, after, BookingEvent.CONFIRM)
    _notify(task, done.owner, done, f"{done.id} is confirmed: its time became free")
    return done


def expire(task: Change, booking: EnvironmentBooking, why: str) -> EnvironmentBooking:
    """End *booking*, which was not used or never became free."""
    done = _put(task, booking.after(BookingEvent.EXPIRE, ended_at=task.now.earliest, note=why), BookingEvent.EXPIRE)
    _notify(task, done.owner, done, f"{done.id} has expired: {why}")
    return done


def complete(task: Change, booking: EnvironmentBooking) -> EnvironmentBooking:
    """End *booking*, whose time is over."""
    return _put(task, booking.after(BookingEvent.END, ended_at=booking.end), BookingEvent.END)


def remind_owner(task: Change, booking: EnvironmentBooking, kind: str, text: str) -> None:
    """Notify the owner of *booking* once of something of this *kind*."""
    subject = _subject(booking, kind)
    if task.records.get(OUTBOX, subject.dedup(booking.owner)) is None:
        task.put(OUTBOX, message_to(task, booking.owner, subject, text))


def check_in(task: Change, booking: EnvironmentBooking, run: str) -> EnvironmentBooking:
    """Record the first use of *booking*, by *run*."""
    after = booking.after(BookingEvent.CHECK_IN, used_at=task.now.earliest, run=run)
    return _put(task, after, BookingEvent.CHECK_IN)


def _change_own(
    acting: Acting, key: str, work: Callable[[Change, EnvironmentBooking], EnvironmentBooking], reason: str = ""
) -> EnvironmentBooking:
    """Change a booking as its owner or holder; with the right to manage bookings also another one."""

    def whole(task: Change) -> EnvironmentBooking:
        booking, actor = task.existing(BOOKINGS, key), str(task.acting.actor)
        if actor != booking.owner and f"user:{actor}" != booking.holder:
            task.require(Action.MANAGE_BOOKINGS, booking.environment)
        task.require(Action.BOOK, booking.environment)
        return work(task, booking)

    found = acting.register.reading(lambda records: records.get(BOOKINGS, key))
    return change(acting, Action.BOOK, whole, environment=found.environment if found else None, reason=reason)


def _check_names(view: View, booking: EnvironmentBooking) -> None:
    """Raise A110 for an environment or a holder that there is not."""
    if booking.environment not in view.acting.environments:
        raise unknown("environment", booking.environment, list(view.acting.environments))
    kind, _, name = booking.holder.partition(":")
    users = view.directory.users
    teams = {user.team for user in users.values() if user.team}
    if kind == "team" and name not in teams:
        raise unknown("team", name, sorted(teams))
    if kind == "user" and name not in users and name != str(view.acting.actor):
        raise unknown("user", name, sorted(users))
    if kind == "release":
        view.existing(PLANNED_RELEASES, name)
    if kind == "train":
        view.existing(TRAINS, name)


def _check_quota(view: View, before: EnvironmentBooking, after: EnvironmentBooking, sources: BookingSources) -> None:
    """Raise G301 if *after* has another team than *before*, whose quota it exceeds."""
    facts = booking_facts(view, sources, (after.environment,))
    if team_of(before, facts.teams) == team_of(after, facts.teams):
        return
    found = [each.text for each in conflicts(after, facts) if each.kind is ConflictKind.QUOTA]
    if found:
        raise OrchestratorError("G301", f"{after.id} cannot be handed over to {after.holder}: {'; '.join(found)}")


def _put(task: Change, booking: EnvironmentBooking, event: BookingEvent) -> EnvironmentBooking:
    before = task.records.get(BOOKINGS, booking.id)
    was = before.state.value if before is not None else BookingState.REQUESTED.value
    return task.put(BOOKINGS, booking, event=event.value, was=was, state=booking.state.value)


def _freed(task: Change, booking: EnvironmentBooking, sources: BookingSources) -> EnvironmentBooking:
    confirm_waiting(task, sources, booking)
    return booking


def _waiting(view: View, booking: EnvironmentBooking) -> list[EnvironmentBooking]:
    """The bookings that wait for the time of *booking*."""
    found = each_record(view.records, BOOKINGS, [OPEN], about=booking.environment)
    return [each for each in found if each.state is BookingState.WAITING and each.interval.overlaps(booking.interval)]


def _notify(task: Change, to: str, booking: EnvironmentBooking, text: str, about: str = "") -> None:
    """One message to *to* about this version of *booking*, and *about* another one, unless *to* is the actor."""
    notify_once(task, [to], _subject(booking, f"{task.records.version(BOOKINGS, booking.id)}{about}"), text)


def _subject(booking: EnvironmentBooking, version: object) -> Subject:
    path = f"/bookings/{booking.id}"
    return Subject(NOUN, booking.id, version, path, booking.state.value, booking.environment)
