"""What the scheduler does for planned releases: scopes freeze, and releases follow runs and time."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, View, change, read_own, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.app.scheduler import do_each
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import Now
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.phases import overdue_phases
from orchestrator.management.planned_releases.ports import ReleaseSources
from orchestrator.management.planned_releases.progress import (
    advance_release,
    end_text,
    next_step,
    overdue_key,
    release_facts,
    remind_overdue,
)
from orchestrator.management.planned_releases.records import open_releases, was_notified
from orchestrator.management.planned_releases.store import PLANNED_RELEASES


@forwarded
def advance_releases(acting: Acting, sources: ReleaseSources) -> tuple[str, ...]:
    """Do everything that time and runs require of planned releases. A phrase for each step; nothing happens twice.

    Raises at the end what kept a release from being followed; the others were.
    """
    due = read_register(acting, Action.PLAN_RELEASES, lambda view: _due(view, sources))
    return tuple(do_each(due, lambda key: _advance(acting, key, sources)))


def _due(view: View, sources: ReleaseSources) -> list[str]:
    releases = open_releases(view)
    late = {release.id for release, _ in _unnoticed(view, releases.values())}
    return [
        key
        for key, release in releases.items()
        if key in late or next_step(release, release_facts(view, release, sources), view.now) is not None
    ]


def _unnoticed(view: View, releases: Iterable[PlannedRelease]) -> list[tuple[PlannedRelease, str]]:
    """The phases that are overdue, and of which the owner was not notified."""
    found = overdue_phases(releases, view.now.earliest)
    return [
        (release, phase.name)
        for release, phase in found
        if not was_notified(view, release, overdue_key(phase.name, end_text(release, phase.name)))
    ]


def _advance(acting: Acting, key: str, sources: ReleaseSources) -> tuple[str, ...]:
    def work(task: Change) -> tuple[str, ...]:
        release = task.existing(PLANNED_RELEASES, key)
        done = list(advance_release(task, release, release_facts(task, release, sources), sources))
        for late, phase in _unnoticed(task, [task.existing(PLANNED_RELEASES, key)]):
            remind_overdue(task, late, phase, end_text(late, phase))
            done.append(f"{key}: {late.owner} was notified that {phase} is overdue")
        return tuple(done)

    return change(acting, Action.PLAN_RELEASES, work)


@dataclass
class FollowReleases:
    """The scheduler's duty."""

    acting: Acting
    sources: ReleaseSources
    name: str = "planned releases"

    def due(self, now: Now) -> bool:
        """Whether something is due for a release."""
        del now
        return read_own(self.acting, lambda view: bool(_due(view, self.sources)))

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Do it."""
        del now
        return advance_releases(acting, self.sources)
