"""What time and runs require of a planned release: pure decisions, and the changes that follow from them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.app.acting import Change, View
from orchestrator.domain.moments import Now, minute_text
from orchestrator.domain.release import PackageRef
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.state import ChangeEvent
from orchestrator.management.planned_releases import scope
from orchestrator.management.planned_releases.model import DEPLOY, Mode, PlannedRelease, ScopePackage
from orchestrator.management.planned_releases.phase_decisions import record_phase_end, record_phase_start, since_or_now
from orchestrator.management.planned_releases.ports import PackagePlace, PlaceState, ReleaseSources
from orchestrator.management.planned_releases.records import notify, put
from orchestrator.management.planned_releases.state import PLANNED_RELEASE_TABLE, ReleaseEvent, ReleaseState

FOLLOWING = frozenset({ReleaseState.SCHEDULED, ReleaseState.IN_PROGRESS, ReleaseState.RELEASED})
"""The states in which runs move a release."""


class Step(StrEnum):
    """What is due for a release."""

    BIND = "bind"
    FREEZE = "freeze"
    START = "start"
    RELEASE = "release"
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class ReleaseFacts:
    """What a release is compared with: *built* packages by `NAME VERSION`, its *places* by name, its *requests*."""

    built: Mapping[str, PackageRef] = field(default_factory=dict)
    places: Mapping[str, PackagePlace] = field(default_factory=dict)
    requests: Mapping[str, ChangeRequest] = field(default_factory=dict)


def release_facts(view: View, release: PlannedRelease, sources: ReleaseSources) -> ReleaseFacts:
    """The facts of *release* at this moment."""
    built = {str(ref): ref for ref in sources.built()}
    refs = {package.name: _ref(package, built) for package in release.packages}
    places = {name: sources.place(release.environment, ref) for name, ref in refs.items() if ref is not None}
    return ReleaseFacts(built, places, scope.requests_of(view, release))


def _ref(package: ScopePackage, built: Mapping[str, PackageRef]) -> PackageRef | None:
    if package.digest:
        return PackageRef(name=package.name, version=package.version, digest=package.digest)
    return built.get(str(package))


def next_step(release: PlannedRelease, facts: ReleaseFacts, now: Now) -> Step | None:
    """What is due for *release* first; None if nothing is."""
    if release.state is not ReleaseState.DRAFT and any(_is_built(p, facts) for p in release.packages):
        return Step.BIND
    if _freeze_is_due(release, facts, now):
        return Step.FREEZE
    return _next_by_runs(release, facts) if release.state in FOLLOWING and release.packages else None


def _next_by_runs(release: PlannedRelease, facts: ReleaseFacts) -> Step | None:
    """What the runs of the packages of *release* require."""
    new = [place for package, place in _places(release, facts) if place.run and place.run != package.run]
    if release.state is ReleaseState.SCHEDULED:
        return Step.START if new else None
    if any(place.state is PlaceState.ROLLED_BACK for place in new):
        return Step.ROLL_BACK
    verified = [place.state is PlaceState.VERIFIED for _, place in _places(release, facts)]
    if release.state is ReleaseState.IN_PROGRESS and len(verified) == len(release.packages) and all(verified):
        return Step.RELEASE if release.frozen_at is not None else Step.FREEZE
    return None


def _is_built(package: ScopePackage, facts: ReleaseFacts) -> bool:
    return not package.digest and str(package) in facts.built


def _freeze_is_due(release: PlannedRelease, facts: ReleaseFacts, now: Now) -> bool:
    """A completion-driven release is frozen only when everything is ready."""
    if release.frozen_at is not None or not now.has_reached(release.freeze_at):
        return False
    possible = PLANNED_RELEASE_TABLE.allows(release.state, ReleaseEvent.FREEZE)
    return possible and (release.mode is Mode.TIMELINE or not scope.not_ready(release, facts.requests))


def _places(release: PlannedRelease, facts: ReleaseFacts) -> Iterator[tuple[ScopePackage, PackagePlace]]:
    for package in release.packages:
        place = facts.places.get(package.name)
        if place is not None and package.digest:
            yield package, place


def advance_release(
    task: Change, release: PlannedRelease, facts: ReleaseFacts, sources: ReleaseSources
) -> Iterator[str]:
    """Do everything that is due for *release*. A phrase for each step."""
    current = release
    while (step := next_step(current, facts, task.now)) is not None:
        before = current
        current = STEPS[step](task, current, facts, sources)
        assert current != before, f"{step} of {release.id} changes nothing"
        yield f"{release.id} is {current.state}: {step}"


def _bind(task: Change, release: PlannedRelease, facts: ReleaseFacts, sources: ReleaseSources) -> PlannedRelease:
    """Take the digests of packages that were built."""
    del sources
    built = [
        p.model_copy(update={"digest": facts.built[str(p)].digest}) for p in release.packages if _is_built(p, facts)
    ]
    return put(task, release.with_packages(built), "bind", packages=[str(package) for package in built])


def _freeze(task: Change, release: PlannedRelease, facts: ReleaseFacts, sources: ReleaseSources) -> PlannedRelease:
    del facts, sources
    return scope.freeze(task, release)


def _start(task: Change, release: PlannedRelease, facts: ReleaseFacts, sources: ReleaseSources) -> PlannedRelease:
    """Start the release at the time of the first run of its packages."""
    del sources
    places = [place for _, place in _places(release, facts) if place.run]
    first = min(places, key=lambda place: place.requested_at or task.now.latest)
    run, since = first.run, first.requested_at
    deploy = release.phase(DEPLOY)
    text = f"{release.id} has started, by {run}"
    if deploy is not None and deploy.progress == "pending":
        return record_phase_start(task, release, deploy, text, since)
    after = release.after(ReleaseEvent.START, started_at=since_or_now(task, since))
    return put(task, after, ReleaseEvent.START, text, run=run)


def _release(task: Change, release: PlannedRelease, facts: ReleaseFacts, sources: ReleaseSources) -> PlannedRelease:
    """Every package is verified: the requests are released, and the phase deploy ended with the last one."""
    places = list(_places(release, facts))
    current = release.with_packages(
        package.model_copy(update={"run": place.run, "replaces": place.replaces}) for package, place in places
    )
    since = max((place.at for _, place in places if place.at is not None), default=None)
    deploy = release.phase(DEPLOY)
    if deploy is not None and deploy.progress != "completed":
        current = record_phase_end(task, current, deploy, sources, since).release
    done = current.after(ReleaseEvent.RELEASE, released_at=since_or_now(task, since))
    moved = scope.move_requests(task, done, ChangeEvent.RELEASE, f"released with {done.id} into {done.environment}")
    text = f"{done.id} '{done.title}' was released into {done.environment}"
    return put(task, done, ReleaseEvent.RELEASE, text, requests=list(moved))


def _roll_back(task: Change, release: PlannedRelease, facts: ReleaseFacts, sources: ReleaseSources) -> PlannedRelease:
    """A package was rolled back: what was released is planned again."""
    del sources
    gone = [
        package.model_copy(update={"run": place.run})
        for package, place in _places(release, facts)
        if place.state is PlaceState.ROLLED_BACK and place.run != package.run
    ]
    why = "; ".join(f"{package} was rolled back in {release.environment} by {package.run}" for package in gone)
    after = release.with_packages(gone).after(ReleaseEvent.ROLL_BACK, note=why, released_at=None)
    moved = scope.move_requests(task, after, ChangeEvent.ROLL_BACK, why)
    return put(task, after, ReleaseEvent.ROLL_BACK, f"{release.id}: {why}", requests=list(moved))


Work = Callable[[Change, PlannedRelease, ReleaseFacts, ReleaseSources], PlannedRelease]
STEPS: dict[Step, Work] = {
    Step.BIND: _bind,
    Step.FREEZE: _freeze,
    Step.START: _start,
    Step.RELEASE: _release,
    Step.ROLL_BACK: _roll_back,
}


def remind_overdue(task: Change, release: PlannedRelease, phase: str, end: str) -> None:
    """Notify the owner, and who is responsible, once that *phase* was not completed at its end."""
    found = release.phase(phase)
    users = [user for user in (release.owner, found.responsible if found else "") if user]
    text = f"{release.id} {phase} should have ended at {end}, and was not completed"
    notify(task, release, users, text, about=overdue_key(phase, end))


def overdue_key(phase: str, end: str) -> str:
    """What identifies the message about an overdue *phase*."""
    return f"overdue {phase} {end}"


def end_text(release: PlannedRelease, phase: str) -> str:
    """The planned end of *phase* in messages."""
    found = release.phase(phase)
    return minute_text(found.span.end) if found is not None else ""
