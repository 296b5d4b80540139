"""What planned releases wait for a user to decide or to record: pure functions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.moments import Moment
from orchestrator.management.planned_releases.model import Phase, PlannedRelease
from orchestrator.management.planned_releases.phases import full_key
from orchestrator.management.planned_releases.state import ReleaseState

DECISIONS = {
    ReleaseState.DRAFT: "a draft: confirm it, or cancel it",
    ReleaseState.ON_HOLD: "on hold: resume it, or cancel it",
    ReleaseState.ROLLED_BACK: "rolled back: resume it, or cancel it",
    ReleaseState.RELEASED: "released: close it",
}
"""What the owner decides in each state."""
FOLLOWED = frozenset({ReleaseState.SCHEDULED, ReleaseState.IN_PROGRESS})


@dataclass(frozen=True)
class Pending:
    """A *release* that waits for a user, with the reason (*text*). *is_late*: the planned time has passed."""

    release: PlannedRelease
    text: str
    is_late: bool = False


def pending_of(releases: Iterable[PlannedRelease], user: str, now: Moment) -> Iterator[Pending]:
    """What of the open *releases* waits for *user*: decisions of the owner, and phases that are due."""
    every = list(releases)
    phases = {f"{each.id}:{phase.name}": phase for each in every for phase in each.phases}
    for release in every:
        if release.owner == user and release.state in DECISIONS:
            late = release.state is ReleaseState.DRAFT and release.freeze_at <= now
            yield Pending(release, DECISIONS[release.state], late)
        if release.state in FOLLOWED:
            yield from _due_phases(release, phases, user, now)


def _due_phases(release: PlannedRelease, phases: Mapping[str, Phase], user: str, now: Moment) -> Iterator[Pending]:
    for phase in release.phases:
        if user != (phase.responsible or release.owner):
            continue
        if phase.progress == "active" and phase.span.end <= now and release.state is ReleaseState.IN_PROGRESS:
            yield Pending(release, f"the phase {phase.name} should have ended: complete it", is_late=True)
        elif phase.progress == "pending" and phase.span.start <= now and not _waits(release, phase, phases):
            yield Pending(release, f"the phase {phase.name} is due: start it", phase.span.end <= now)


def _waits(release: PlannedRelease, phase: Phase, phases: Mapping[str, Phase]) -> bool:
    """Whether *phase* comes after one that was not completed."""
    before = (phases.get(full_key(release, key)) for key in phase.after)
    return any(each is not None and each.progress != "completed" for each in before)
