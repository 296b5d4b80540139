"""What users see of planned releases: lists, one with its readiness, and the schedule of all."""

from dataclasses import dataclass

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.register import ENDED, OPEN
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.planned_releases.model import PlannedRelease
from orchestrator.management.planned_releases.ports import PackagePlace, ReleaseSources
from orchestrator.management.planned_releases.progress import release_facts
from orchestrator.management.planned_releases.resources import resource_conflicts
from orchestrator.management.planned_releases.scope import not_ready
from orchestrator.management.planned_releases.state import CHANGEABLE
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.register_ports import each_record


@dataclass(frozen=True)
class ShownRelease:
    """A release with its *requests*, what the journal has of its packages (*places*), and why it is *not_ready*.

    *conflicts* are those of its environments and users with its plan.
    """

    release: PlannedRelease
    requests: tuple[ChangeRequest, ...]
    places: dict[str, PackagePlace]
    not_ready: dict[str, str]
    conflicts: tuple[str, ...]


@forwarded
def list_planned_releases(
    acting: Acting, *, ended: bool = False, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[PlannedRelease]:
    """A page of the planned releases, by their release time; by default those that have not ended."""
    parts = [OPEN, ENDED] if ended else [OPEN]

    def work(view: View) -> Page[PlannedRelease]:
        return view.records.page(PLANNED_RELEASES, parts, cursor=cursor, limit=limit)

    return read_register(acting, Action.VIEW, work)


@forwarded
def show_planned_release(acting: Acting, key: str, sources: ReleaseSources) -> ShownRelease:
    """One release. Raises A110."""

    def work(view: View) -> ShownRelease:
        release = view.existing(PLANNED_RELEASES, key)
        facts = release_facts(view, release, sources)
        own = frozenset(phase.booking for phase in release.phases if phase.booking)
        needs = [(release, phase) for phase in release.phases if phase.progress != "completed"]
        conflicts = resource_conflicts(view, needs, sources, own) if release.state in CHANGEABLE else ()
        requests = tuple(facts.requests.values())
        unready = not_ready(release, facts.requests) if release.frozen_at is None and not release.has_ended else {}
        return ShownRelease(release, requests, dict(facts.places), unready, conflicts)

    return read_register(acting, Action.VIEW, work)


@forwarded
def show_schedule(acting: Acting, *, ended: bool = False) -> tuple[PlannedRelease, ...]:
    """Every planned release by its release time, with *ended* also those that have ended."""

    def work(view: View) -> tuple[PlannedRelease, ...]:
        return tuple(each_record(view.records, PLANNED_RELEASES, None if ended else [OPEN]))

    return read_register(acting, Action.VIEW, work)
