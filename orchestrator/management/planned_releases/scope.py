"""The scope of a planned release: what is in it, whether that is ready, and what the freeze defers."""

import re
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.app.acting import Change, View
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import PackageRef
from orchestrator.management.change_requests.decisions import follow_release
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.state import ChangeEvent, ChangeState
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.planned_releases.model import Deferral, PlannedRelease, ScopePackage
from orchestrator.management.planned_releases.records import put
from orchestrator.management.planned_releases.state import ReleaseEvent

NAMED = re.compile(r"(?P<name>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)-(?P<version>[0-9][0-9A-Za-z.+_-]{0,63})")


def scope_package(wanted: str, built: Iterable[PackageRef]) -> ScopePackage:
    """The package that *wanted* (`shop-1.5.0`) names, with its digest if it is built. Raises G207 for another text."""
    refs = list(built)
    for ref in refs:
        if wanted in {f"{ref.name}-{ref.version}", ref.digest}:
            return ScopePackage(name=ref.name, version=ref.version, digest=ref.digest)
    match = NAMED.fullmatch(wanted)
    if match is None:
        raise OrchestratorError("G207", f"{wanted!r} does not name a package with its version, as shop-1.5.0 does")
    return ScopePackage(name=match["name"], version=match["version"])


def not_ready(release: PlannedRelease, requests: Mapping[str, ChangeRequest]) -> dict[str, str]:
    """What of the scope is not ready, and why: packages that are not built, and requests that need such packages."""
    ready = {package.name for package in release.packages if package.digest}
    found = {str(package): "it is not built" for package in release.packages if not package.digest}
    for key in release.requests:
        request = requests.get(key)
        if request is None or request.state is not ChangeState.PLANNED:
            found[key] = f"it is {request.state}" if request is not None else "it does not exist"
            continue
        missing = [name for name in request.packages if name not in ready]
        if missing:
            package = release.package(missing[0])
            found[key] = f"{package} is not built" if package else f"{missing[0]} is not in the scope"
    return found


def requests_of(view: View, release: PlannedRelease) -> dict[str, ChangeRequest]:
    """The requests in the scope of *release*, by id."""
    found = (view.records.get(CHANGE_REQUESTS, key) for key in release.requests)
    return {request.id: request for request in found if request is not None}


def freeze(task: Change, release: PlannedRelease) -> PlannedRelease:
    """End changes of the scope. What is not ready leaves it with the reason, and its requests are accepted again."""
    unready = not_ready(release, requests_of(task, release))
    for key in release.requests:
        if key in unready:
            _unplan(task, release, key, f"deferred at the freeze of {release.id}: {unready[key]}")
    at = task.now.earliest
    deferred = tuple(Deferral(item=item, at=at, reason=why) for item, why in unready.items())
    after = release.after(
        ReleaseEvent.FREEZE,
        frozen_at=at,
        packages=tuple(package for package in release.packages if str(package) not in unready),
        requests=tuple(key for key in release.requests if key not in unready),
        deferred=(*release.deferred, *deferred),
    )
    lost = "; ".join(f"{item} ({why})" for item, why in unready.items())
    text = f"the scope of {release.id} is frozen" + (f"; deferred: {lost}" if lost else "")
    return put(task, after, ReleaseEvent.FREEZE, text, deferred=sorted(unready))


def _unplan(task: Change, release: PlannedRelease, key: str, reason: str) -> None:
    """Let the request *key* leave *release*, if it is still planned in it."""
    request = task.records.get(CHANGE_REQUESTS, key)
    if request is not None and request.state is ChangeState.PLANNED and request.release == release.id:
        follow_release(task, key, ChangeEvent.UNPLAN, release.id, reason)


def with_scope(task: Change, release: PlannedRelease, requests: Iterable[str], packages: Iterable[ScopePackage],
               reason: str) -> PlannedRelease:  # fmt: skip
    """*release* with more *requests*, which must be accepted, and *packages*. Raises A110 and G101."""
    new = [key for key in dict.fromkeys(requests) if key not in release.requests]
    for key in new:
        follow_release(task, key, ChangeEvent.PLAN, release.id, reason or f"planned into {release.id}")
    named = {package.name: package for package in packages}
    kept = tuple(named.pop(package.name, package) for package in release.packages)
    update = {"requests": (*release.requests, *new), "packages": (*kept, *named.values())}
    return release.model_copy(update=update)


def without_scope(
    task: Change, release: PlannedRelease, requests: Iterable[str], packages: Iterable[str], reason: str
) -> PlannedRelease:
    """*release* without *requests* and *packages* (names or `NAME-VERSION`). Raises G207 for what is not in it."""
    gone = set(requests)
    _check_in(release, gone - set(release.requests))
    names = {package.name for package in release.packages for name in packages if name in _names(package)}
    _check_in(release, {name for name in packages if not any(name in _names(p) for p in release.packages)})
    for key in release.requests:
        if key in gone:
            _unplan(task, release, key, reason or f"removed from {release.id}")
    update = {
        "requests": tuple(key for key in release.requests if key not in gone),
        "packages": tuple(package for package in release.packages if package.name not in names),
    }
    return release.model_copy(update=update)


def _names(package: ScopePackage) -> set[str]:
    return {package.name, f"{package.name}-{package.version}"}


def _check_in(release: PlannedRelease, strange: set[str]) -> None:
    if strange:
        raise OrchestratorError("G207", f"not in the scope of {release.id}: {', '.join(sorted(strange))}")


def move_requests(task: Change, release: PlannedRelease, event: ChangeEvent, reason: str) -> tuple[str, ...]:
    """Move the requests of *release* for which *event* is possible. Their ids."""
    return tuple(_moved(task, release, event, reason))


def _moved(task: Change, release: PlannedRelease, event: ChangeEvent, reason: str) -> Iterator[str]:
    states = {
        ChangeEvent.UNPLAN: ChangeState.PLANNED,
        ChangeEvent.RELEASE: ChangeState.PLANNED,
        ChangeEvent.ROLL_BACK: ChangeState.RELEASED,
        ChangeEvent.CLOSE: ChangeState.RELEASED,
    }
    for request in requests_of(task, release).values():
        if request.state is states[event] and request.release == release.id:
            follow_release(task, request.id, event, release.id, reason)
            yield request.id
