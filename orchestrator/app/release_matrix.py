"""The matrix: every release in every environment."""

from orchestrator.app.parts import Parts
from orchestrator.domain.facts import EnvironmentFacts
from orchestrator.domain.listing import ReleasePlace
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.inspect.release_history import on_all_hosts
from orchestrator.planning.guard import rolled_back_releases

PAGE = 200  # releases


def every_release(parts: Parts) -> list[PackageRef]:
    """Every release that is kept or was ever verified here, newest first."""
    found = {ref.digest: ref for ref in parts.packages.refs()}
    names = tuple(parts.environments)
    order: dict[str, int] = {}
    cursor: str | None = None
    while True:
        page = parts.store.list_releases(cursor=cursor, limit=PAGE)
        refs = {row.release.digest: row.release for row in page.items}
        verified = {place.digest for place in parts.store.release_places(tuple(refs), names) if place.verified_at}
        found |= {digest: ref for digest, ref in refs.items() if digest in verified}
        order |= {digest: -at for at, digest in enumerate(refs, len(order))}
        if (cursor := page.cursor) is None:
            break
    return sorted(found.values(), key=lambda ref: (order.get(ref.digest, 1), ref.name), reverse=True)


def release_rows(parts: Parts, refs: list[PackageRef], facts: list[EnvironmentFacts]) -> list[dict[str, object]]:
    """The row of each release, as JSON data. Environments and releases are each read once, and not for each cell."""
    names = tuple(item.name for item in facts)
    rows: list[dict[str, object]] = []
    for at in range(0, len(refs), PAGE):
        part = refs[at : at + PAGE]
        found = parts.store.release_places(tuple(ref.digest for ref in part), names)
        places = {(place.digest, place.environment): place for place in found}
        had = {name: {place.digest for place in found if place.environment == name} for name in names}
        rolled_back = {name: rolled_back_releases(parts.services, name, had[name]) for name in names}
        for ref in part:
            cells = {
                item.name: _place(
                    parts,
                    ref,
                    item,
                    places.get((ref.digest, item.name)),
                    is_rollback=ref.digest in rolled_back[item.name],
                )
                for item in facts
            }
            rows.append({"release": ref.to_json(), "in": cells})
    return rows


def _place(
    parts: Parts, ref: PackageRef, facts: EnvironmentFacts, place: ReleasePlace | None, *, is_rollback: bool
) -> dict[str, object]:
    """What the release is in one environment, as JSON data: only runs that had an effect count."""
    ended_there = place is not None and place.run_kind != "rollback" and place.run_state is State.ROLLED_BACK
    verified_at = place.verified_at if place is not None else None
    stuck = [problem.run for problem in facts.problems if problem.kind == "intervention" and problem.run]
    problem = next((run for run in stuck if (of := parts.store.run(run).release) and of.digest == ref.digest), None)
    return {
        "state": _state(
            parts, ref, facts, left=is_rollback or ended_there, verified=bool(verified_at), stuck=bool(problem)
        ),
        "hosts": [host.host for host in facts.hosts if host.runs(ref.digest)],
        "of": len(facts.hosts),
        "problem": problem,
        "verified_at": verified_at,
        "run": place.run if place is not None else None,
    }


def _state(parts: Parts, ref: PackageRef, facts: EnvironmentFacts, *, left: bool, verified: bool, stuck: bool) -> str:
    if stuck:
        return "needs intervention"
    if any(host.runs(ref.digest) for host in facts.serving):
        return "current" if on_all_hosts(parts.services, facts.name, ref.digest, facts.hosts) else "partly"
    if any(host.runs(ref.digest) for host in facts.hosts):
        return "standby"
    if left:
        return "rolled back"
    return "verified" if verified else "absent"
