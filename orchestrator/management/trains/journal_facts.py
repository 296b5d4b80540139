"""The facts of release trains from the journal and the packages."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import PackageRef, Release
from orchestrator.inspect.release_history import release_history
from orchestrator.management.trains.ports import ReleaseShape
from orchestrator.ports.lists import each_verified
from orchestrator.services import Services

NO_PLAYBOOK = frozenset({None, "nothing", "impossible"})
"""What `undo` of a step is without a playbook of its own."""


def shape_of(services: Services, package: PackageRef) -> ReleaseShape | None:
    """What is declared by *package*; None if it is not kept, or cannot be read."""
    release = _release(services, package)
    if release is None:
        return None
    impossible = tuple(step.name for step in release.steps if step.undo == "impossible")
    return ReleaseShape(release.environments, impossible, _has_undo(release))


def current_package(services: Services, environment: str, name: str) -> PackageRef | None:
    """The package called *name* that was verified last in *environment*."""
    marks = (mark.release for mark in each_verified(services.store, environment))
    return next((release for release in marks if release.name == name), None)


def undone_with(services: Services, environment: str, package: PackageRef) -> tuple[PackageRef, ...]:
    """The releases with an undo playbook that were verified on top of *package*, which a rollback to it undoes."""
    history = [mark.release for mark in release_history(services, environment)]
    above = history[: history.index(package)] if package in history else history[:1]
    found = [(ref, _release(services, ref)) for ref in above]
    return tuple(ref for ref, release in found if release is not None and _has_undo(release))


def _release(services: Services, package: PackageRef) -> Release | None:
    try:
        return services.packages.fetch(package.digest).manifest.release
    except OrchestratorError:
        return None


def _has_undo(release: Release) -> bool:
    return any(step.undo not in NO_PLAYBOOK for step in release.steps)
