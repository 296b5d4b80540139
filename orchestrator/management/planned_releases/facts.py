"""The facts of planned releases from the journal."""

from datetime import datetime

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import PROMOTION_KINDS, Run, Verified
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.management.planned_releases.ports import PackagePlace, PlaceState
from orchestrator.ports.lists import each_verified
from orchestrator.services import Services

KINDS = tuple(sorted(PROMOTION_KINDS))


def package_place(services: Services, environment: str, package: PackageRef) -> PackagePlace:
    """What the journal has of *package* in *environment*.

    It counts as rolled back if its newest promotion there ended so, or if a rollback has verified another package of
    its name since. A newer release that takes its place does not change that it was verified.
    """
    marks = [mark for mark in each_verified(services.store, environment) if mark.release.name == package.name]
    mine = next((mark for mark in marks if mark.release.digest == package.digest), None)
    replaces = _replaced(marks, package)
    chosen = RunFilter(environment=environment, digest=package.digest, kinds=KINDS)
    run = next(iter(services.store.list_runs(chosen, limit=1).items), None)
    requested_at = parse_moment(run.requested_at) if run is not None else None
    if run is not None and not run.ended:
        return PackagePlace(PlaceState.RUNNING, run.id, requested_at, replaces, requested_at)
    if run is not None and run.state is State.ROLLED_BACK and (mine is None or mine.run != run.id):
        return PackagePlace(PlaceState.ROLLED_BACK, run.id, _ended(run), replaces, requested_at)
    if mine is None:
        return PackagePlace(replaces=replaces)
    newest = marks[0]
    if newest.release.digest != package.digest and _is_rollback(services, newest.run):
        return PackagePlace(PlaceState.ROLLED_BACK, newest.run, parse_moment(newest.at), newest.release, requested_at)
    return PackagePlace(PlaceState.VERIFIED, mine.run, parse_moment(mine.at), replaces, requested_at)


def _replaced(marks: list[Verified], package: PackageRef) -> PackageRef | None:
    """What was verified there before *package*, or runs there now if that never was. *marks* are newest first."""
    places = [place for place, mark in enumerate(marks) if mark.release.digest == package.digest]
    older = marks[places[0] + 1 :] if places else marks
    return next((mark.release for mark in older if mark.release.digest != package.digest), None)


def _is_rollback(services: Services, run: str) -> bool:
    try:
        found = services.store.run(run)
    except OrchestratorError:
        return False
    return found.kind == "rollback" or found.state is State.ROLLED_BACK


def _ended(run: Run) -> datetime:
    return parse_moment(run.ended_at or run.requested_at)
