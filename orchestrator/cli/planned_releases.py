"""Planned releases as users read them: in words, and as data for documents."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.cli.output import Cell, out, out_folded, print_json

if TYPE_CHECKING:
    from orchestrator.management.planned_releases.model import Phase, PlannedRelease, ScopePackage
    from orchestrator.management.planned_releases.phase_decisions import Slip
    from orchestrator.management.planned_releases.phases import PhaseMoved
    from orchestrator.management.planned_releases.ports import PackagePlace
    from orchestrator.management.planned_releases.queries import ShownRelease

HEADS = ("release", "state", "title", "into", "freeze", "release time", "owner", "scope")


def release_item(release: "PlannedRelease") -> dict[str, Any]:
    """The release as data for documents."""
    return {"id": release.id, "release": release.to_json()}


def planned_release_row(release: "PlannedRelease") -> list[Cell]:
    """The release as a row of a table."""
    from orchestrator.domain.moments import minute_text

    scope = ", ".join([*map(str, release.packages), *release.requests]) or "–"
    times = minute_text(release.freeze_at), minute_text(release.release_at)
    return [release.id, release.state.value, release.title, release.environment, *times, release.owner, scope]


def shown_item(shown: "ShownRelease") -> dict[str, Any]:
    """One release with its readiness as data for documents."""
    from orchestrator.domain.moments import moment_text

    places = [
        {
            "package": name,
            "state": place.state.value,
            "run": place.run,
            "at": moment_text(place.at) if place.at else None,
            "replaces": place.replaces.to_json() if place.replaces else None,
        }
        for name, place in shown.places.items()
    ]
    unready = [{"item": item, "reason": why} for item, why in shown.not_ready.items()]
    more = {"places": places, "not_ready": unready, "conflicts": list(shown.conflicts)}
    return {**release_item(shown.release), **more}


def release_lines(shown: "ShownRelease") -> Iterator[str]:
    """The release with its phases, its scope and what is missing."""
    from orchestrator.domain.moments import minute_text

    release = shown.release
    yield f"{release.id} {release.state}: {release.title}"
    yield f"  into     {release.environment}, {release.mode.value}-driven"
    roles = "".join(f", {each.role} {each.user}" for each in release.roles)
    yield f"  owner    {release.owner}{roles}"
    frozen = f" (frozen at {minute_text(release.frozen_at)})" if release.frozen_at else ""
    yield f"  freeze   {minute_text(release.freeze_at)}{frozen}"
    yield f"  release  {minute_text(release.release_at)}"
    yield from (f"  phase    {phase_text(phase)}" for phase in release.phases)
    for package in release.packages:
        yield f"  package  {package}: {_place_text(package, shown.places.get(package.name), release.environment)}"
    yield from (f"  request  {request.id} {request.state.value}: {request.title}" for request in shown.requests)
    yield from (f"  missing  {item}: {why}" for item, why in shown.not_ready.items())
    yield from (f"  conflict {text}" for text in shown.conflicts)
    yield from (f"  deferred {each.item}: {each.reason}" for each in release.deferred)
    if release.note:
        yield f"  note     {release.note}"


def _place_text(package: "ScopePackage", place: "PackagePlace | None", environment: str) -> str:
    """What a package of the scope is, where that is known: built or not, and what it is in the environment."""
    if not package.digest:
        return "not built"
    if place is None or not place.run:
        return f"built, not in {environment}" if place is not None else "built"
    return f"{place.state.value} in {environment} by {place.run}"


def phase_text(phase: "Phase") -> str:
    """A phase in a line: its time, what it uses, and how it differs from the plan."""
    from orchestrator.domain.moments import minute_text

    parts = [f"{phase.name} {phase.progress}: {phase.span}"]
    if phase.replanned is not None and phase.replanned != phase.planned:
        parts.append(f"planned {phase.planned}")
    if phase.started_at is not None:
        end = f" to {minute_text(phase.completed_at)}" if phase.completed_at else ""
        parts.append(f"actual {minute_text(phase.started_at)}{end}")
    parts += [f"in {phase.environment}" + (f" ({phase.booking})" if phase.booking else "")] if phase.environment else []
    parts += [f"by {phase.responsible}"] if phase.responsible else []
    parts += [f"after {', '.join(phase.after)}"] if phase.after else []
    return ", ".join(parts)


def print_release(release: "PlannedRelease", *, as_json: bool) -> None:
    """Print a release after a change."""
    if as_json:
        print_json("PlannedRelease", {**release_item(release), "places": [], "not_ready": [], "conflicts": []})
        return
    from orchestrator.management.planned_releases.queries import ShownRelease

    for line in release_lines(ShownRelease(release, (), {}, {}, ())):
        out_folded(line)


def print_slip(slip: "Slip", *, as_json: bool, done: bool = True) -> None:
    """Print what a change of a phase moved, whom it affects, and the conflicts of a preview."""
    if as_json:
        moves = [move.to_json() for move in slip.moved]
        more = {"moved": moves, "conflicts": list(slip.conflicts), "applied": done}
        print_json("ReleaseSlip", {**release_item(slip.release), **more})
        return
    for phase in slip.release.phases:
        out_folded(f"{slip.release.id} {phase_text(phase)}")
    for line in moved_lines(slip.moved):
        out_folded(line)
    for text in slip.conflicts:
        out_folded(f"conflict: {text}")
    if not done:
        out("nothing was changed (--dry-run)")


def moved_lines(moves: "Iterable[PhaseMoved]") -> Iterator[str]:
    """Each phase that moved, with the users it affects."""
    for move in moves:
        hours = move.seconds / 3600
        where = f", in {move.environment}" if move.environment else ""
        text = f"moved: {move.release} {move.phase} by {hours:+g} h to {move.after}{where}"
        yield f"{text}; affects {', '.join(move.affected)}"
