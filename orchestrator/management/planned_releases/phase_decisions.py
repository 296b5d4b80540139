"""Use cases that move phases, and record when they start and end. A slip moves what depends on it, in every release."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestrator.app.acting import Acting, Change, View, change, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import Model
from orchestrator.domain.text import few
from orchestrator.management.planned_releases.decisions import check_changeable
from orchestrator.management.planned_releases.model import Phase, PlannedRelease, Span
from orchestrator.management.planned_releases.phases import (
    PhaseMove,
    PhaseMoved,
    check_phases,
    full_key,
    moved,
    slip,
    timed,
    with_moves,
)
from orchestrator.management.planned_releases.ports import ReleaseSources
from orchestrator.management.planned_releases.records import check_names, open_releases, put
from orchestrator.management.planned_releases.resources import (
    check_resources,
    give_up,
    let_others_in,
    resource_conflicts,
    with_booking,
)
from orchestrator.management.planned_releases.state import PLANNED_RELEASE_TABLE, ReleaseEvent, ReleaseState
from orchestrator.management.planned_releases.store import PLANNED_RELEASES


class Slip(Model):
    """What a change of a phase did, or would do: the *release*, every phase that *moved*, and *conflicts*."""

    release: PlannedRelease
    moved: tuple[PhaseMoved, ...] = ()
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhaseChange:
    """What a phase gets; None leaves a field as it is. Without *end* the phase keeps its length."""

    name: str
    start: datetime | None = None
    end: datetime | None = None
    environment: str | None = None
    responsible: str | None = None
    after: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Planned:
    """The releases that *changed*, with their new times; the *moves*, and the *phase* of *name* that caused them."""

    changed: Mapping[str, PlannedRelease]
    moves: tuple[PhaseMove, ...]
    name: str
    phase: str

    def needs(self) -> list[tuple[PlannedRelease, Phase]]:
        """The phases whose environments have to be booked again: those of releases that are not drafts."""
        keys = {(move.release.id, move.phase.name) for move in self.moves} | {(self.name, self.phase)}
        return [
            (release, phase)
            for release in self.changed.values()
            for phase in release.phases
            if (release.id, phase.name) in keys and release.state is not ReleaseState.DRAFT
        ]


@forwarded
def set_phase(
    acting: Acting, key: str, wanted: PhaseChange, sources: ReleaseSources, reason: str = "", *, wait: bool = False
) -> Slip:
    """Add or change a phase. What depends on it moves, also in other releases, and is booked again.

    Raises A110, G202, G203 with every conflict of the new times, G205 and G206. Then nothing was changed.
    """

    def work(task: Change) -> Slip:
        found = _plan(task, task.existing(PLANNED_RELEASES, key), wanted)
        done = _apply(task, found, sources, reason, wait=wait)
        return Slip(release=done, moved=tuple(moved(move) for move in found.moves))

    return change(acting, Action.PLAN_RELEASES, work, reason=reason)


@forwarded
def preview_phase(acting: Acting, key: str, wanted: PhaseChange, sources: ReleaseSources) -> Slip:
    """What `set_phase` would do, with the conflicts that would refuse it. Raises A110, G202, G205 and G206."""

    def work(view: View) -> Slip:
        found = _plan(view, view.existing(PLANNED_RELEASES, key), wanted)
        needs = found.needs()
        ignored = frozenset(phase.booking for _, phase in needs if phase.booking)
        conflicts = resource_conflicts(view, needs, sources, ignored)
        moves = tuple(moved(move) for move in found.moves)
        return Slip(release=found.changed[key], moved=moves, conflicts=conflicts)

    return read_register(acting, Action.VIEW, work)


@forwarded
def remove_phase(acting: Acting, key: str, name: str) -> PlannedRelease:
    """Remove a phase of a draft. Raises A110, G202, and G205 if another phase comes after it."""

    def work(task: Change) -> PlannedRelease:
        release = task.existing(PLANNED_RELEASES, key)
        if release.state is not ReleaseState.DRAFT:
            raise OrchestratorError("G202", f"{release.id} is {release.state}, and its phases are not removed")
        _existing(release, name)
        after = release.model_copy(update={"phases": tuple(p for p in release.phases if p.name != name)})
        if not after.phases:
            raise OrchestratorError("G205", f"{release.id} would have no phase")
        releases = {**open_releases(task), after.id: after}
        for each in releases.values():
            check_phases(releases, each)
        return put(task, after, "edit", removed=[name])

    return change(acting, Action.PLAN_RELEASES, work)


@forwarded
def start_phase(acting: Acting, key: str, name: str) -> PlannedRelease:
    """Record that a phase starts. Raises A110, G101, and G204 unless what it depends on was completed."""

    def work(task: Change) -> PlannedRelease:
        release = task.existing(PLANNED_RELEASES, key)
        phase = _existing(release, name)
        _check_can_start(open_releases(task), release, phase)
        text = f"{release.id} {name} has started"
        return record_phase_start(task, release, phase, text)

    return change(acting, Action.PLAN_RELEASES, work)


@forwarded
def complete_phase(acting: Acting, key: str, name: str, sources: ReleaseSources) -> Slip:
    """Record that a phase ends. One that ends late moves what depends on it. Raises A110, G101 and G204."""

    def work(task: Change) -> Slip:
        release = task.existing(PLANNED_RELEASES, key)
        phase = _existing(release, name)
        if release.state is not ReleaseState.IN_PROGRESS:
            release.after(ReleaseEvent.RELEASE)
        if phase.progress != "active":
            raise OrchestratorError("G204", f"{release.id} {name} is {phase.progress}, and cannot be completed")
        return record_phase_end(task, release, phase, sources)

    return change(acting, Action.PLAN_RELEASES, work)


# -- parts, also for the duty that follows runs ------------------------------------------------------------------------


def since_or_now(task: Change, since: datetime | None) -> datetime:
    """The time to record for what has happened *since*: now if that is not known, and never a later time."""
    now = task.now.earliest
    return now if since is None else min(since, now)


def record_phase_start(
    task: Change, release: PlannedRelease, phase: Phase, text: str = "", since: datetime | None = None
) -> PlannedRelease:
    """Record that *phase* starts, or has *since*; the first one of a scheduled release starts the release."""
    at = since_or_now(task, since)
    started = phase.model_copy(update={"started_at": at})
    after = release.with_phases([started]) if phase.progress == "pending" else release
    if release.state is ReleaseState.SCHEDULED:
        moved_on = after.after(ReleaseEvent.START, started_at=at)
        return put(task, moved_on, ReleaseEvent.START, text, phase=phase.name)
    if release.state is not ReleaseState.IN_PROGRESS:
        release.after(ReleaseEvent.START)
    return put(task, after, "start phase", text, phase=phase.name)


def record_phase_end(
    task: Change, release: PlannedRelease, phase: Phase, sources: ReleaseSources, since: datetime | None = None
) -> Slip:
    """Record that *phase* ends now, or has ended *since*, and give up its booking.

    What it makes late moves, whether or not that fits.
    """
    at = since_or_now(task, since)
    at = max(at, phase.started_at or at)
    ended = phase.model_copy(update={"completed_at": at, "started_at": phase.started_at or at})
    releases = {**open_releases(task), release.id: release}
    moves = slip(releases, release.id, ended)
    give_up(task, [phase], f"{release.id} {phase.name} was completed")
    done = put(task, release.with_phases([ended]), "complete phase", f"{release.id} {phase.name} was completed",
               phase=phase.name)  # fmt: skip
    releases = {**releases, release.id: done}
    found = _Planned(with_moves(releases, moves), moves, release.id, "")
    _book_again(task, found, sources, f"{release.id} {phase.name} ended late", wait=True)
    let_others_in(task, sources)
    return Slip(release=task.existing(PLANNED_RELEASES, release.id), moved=tuple(moved(move) for move in moves))


def _plan(view: View, release: PlannedRelease, wanted: PhaseChange) -> _Planned:
    """What *wanted* changes, checked but for resources."""
    check_changeable(release)
    releases = open_releases(view)
    phase = _changed_phase(release, wanted)
    moves = slip(releases, release.id, phase)
    first = {**releases, release.id: release.with_phases([phase])}
    changed = {release.id: first[release.id], **with_moves(first, moves)}
    together = {**releases, **changed}
    for each in changed.values():
        check_names(view, each)
        check_phases(together, each)
        each.check_dates()
    return _Planned(changed, moves, release.id, phase.name)


def _changed_phase(release: PlannedRelease, wanted: PhaseChange) -> Phase:
    before = release.phase(wanted.name)
    if before is None:
        if wanted.start is None or wanted.end is None:
            text = f"{release.id} has no phase {wanted.name}, and a new one needs a start and an end"
            raise OrchestratorError("G205", text)
        last = release.phases[-1].name
        after = wanted.after if wanted.after is not None else (last,)
        phase = Phase(name=wanted.name, planned=_span(wanted.start, wanted.end), after=after)
    elif before.progress == "completed" or (before.progress == "active" and wanted.start is not None):
        raise OrchestratorError("G202", f"{release.id} {before.name} is {before.progress}, and its time is fixed")
    else:
        start = wanted.start or before.span.start
        end = wanted.end or start + (before.span.end - before.span.start)
        phase = before
        if (start, end) != (before.span.start, before.span.end):
            phase = timed(before, _span(start, end), replan=release.state is not ReleaseState.DRAFT)
        phase = phase.model_copy(update={"after": wanted.after if wanted.after is not None else before.after})
    environment = phase.environment if wanted.environment is None else wanted.environment or None
    responsible = phase.responsible if wanted.responsible is None else wanted.responsible
    return Phase.model_validate({**dict(phase), "environment": environment, "responsible": responsible})


def _span(start: datetime, end: datetime) -> Span:
    if end <= start:
        raise OrchestratorError("G206", "a phase ends after it starts")
    return Span(start=start, end=end)


def _existing(release: PlannedRelease, name: str) -> Phase:
    phase = release.phase(name)
    if phase is None:
        names = few([each.name for each in release.phases])
        raise OrchestratorError("G205", f"{release.id} has no phase {name}", hint=f"it has: {names}")
    return phase


def _check_can_start(releases: Mapping[str, PlannedRelease], release: PlannedRelease, phase: Phase) -> None:
    if phase.progress != "pending":
        raise OrchestratorError("G204", f"{release.id} {phase.name} is {phase.progress}, and cannot be started")
    known = {f"{each.id}:{p.name}": p for each in releases.values() for p in each.phases}
    waits = [key for key in phase.after if _is_open(known.get(full_key(release, key)))]
    if waits:
        raise OrchestratorError("G204", f"{release.id} {phase.name} waits for {few(waits)}")


def _is_open(phase: Phase | None) -> bool:
    return phase is not None and phase.progress != "completed"


def _apply(task: Change, found: _Planned, sources: ReleaseSources, reason: str, *, wait: bool) -> PlannedRelease:
    """Write the changed releases, with their bookings. Raises G203."""
    give_up(task, [phase for _, phase in found.needs()], reason or "re-planned")
    check_resources(resource_conflicts(task, found.needs(), sources, wait=wait), found.changed[found.name])
    _book_again(task, found, sources, reason, wait=wait)
    let_others_in(task, sources)
    return task.existing(PLANNED_RELEASES, found.name)


def _book_again(task: Change, found: _Planned, sources: ReleaseSources, reason: str, *, wait: bool) -> None:
    needs = found.needs()
    give_up(task, [phase for _, phase in needs], reason or "re-planned")
    for release in found.changed.values():
        phases = [phase for owner, phase in needs if owner.id == release.id]
        booked = [with_booking(task, release, _unbooked(phase), sources, wait=wait) for phase in phases]
        after = release.with_phases(booked)
        text = _slip_text(release, [move for move in found.moves if move.release.id == release.id], reason)
        if release.state is ReleaseState.DRAFT:
            put(task, after, "edit", phases=[phase.name for phase in phases])
        elif PLANNED_RELEASE_TABLE.allows(release.state, ReleaseEvent.REPLAN):
            moved_on = after.after(ReleaseEvent.REPLAN, note=reason)
            put(task, moved_on, ReleaseEvent.REPLAN, text, phases=[phase.name for phase in phases])
        else:
            put(task, after, "slip", text, phases=[phase.name for phase in phases])


def _unbooked(phase: Phase) -> Phase:
    return phase.model_copy(update={"booking": ""})


def _slip_text(release: PlannedRelease, moves: list[PhaseMove], reason: str) -> str:
    """The message about *moves* of *release*: each phase with its new time."""
    because = f" ({reason})" if reason else ""
    parts = [f"{move.phase.name} is now {move.after}" for move in moves]
    return f"{release.id} was re-planned{because}: {few(parts)}" if parts else ""
