"""What the journal shows about a release on its path into an environment, without any engine."""

from orchestrator.domain.admission.may_start import PathFacts
from orchestrator.domain.environment import Environment
from orchestrator.domain.error_codes import SUPERSEDED
from orchestrator.domain.journal import PROMOTION_KINDS, Lease, recorded_failure
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import parse_moment, span
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.inspect.release_history import last_verified, mark_of
from orchestrator.planning.conditions import missing_rehearsal
from orchestrator.planning.guard import rolled_back_by
from orchestrator.ports.lists import queue_entry
from orchestrator.services import Services


def path_facts(services: Services, ref: PackageRef, name: str, *, allow_rolled_back: bool = False) -> PathFacts:
    """What the journal shows about the package *ref* on its path into the environment *name*.

    With *allow_rolled_back* a rollback does not hold it. Raises R103.
    """
    environment = services.environment(name)[0]
    mark = mark_of(services, environment.after, ref.digest) if environment.after else None
    before = None if allow_rolled_back else rolled_back_by(services, name, ref.digest)
    return PathFacts(
        previous=environment.after or "",
        verified_at=parse_moment(mark.at) if mark is not None else None,
        promote_after=span(environment.promote_after.verified) if environment.promote_after else span("0s"),
        rolled_back=f"{ref} was rolled back in {name} by {before.id}" if before is not None else "",
        automatic_hold=_automatic_hold(services, environment),
        superseded_by=_superseded_by(services, ref, name),
        needs_rehearsal=_rehearsal(services, environment, ref),
        lease=_holder(services.store.lease(name)),
        verified_by=services.store.run(mark.run).by if mark is not None else "",
    )


def path_facts_of_record(
    services: Services, ref: PackageRef, name: str, *, allow_rolled_back: bool = False
) -> PathFacts:
    """As `path_facts`, for something that was recorded earlier: the project may no longer have the environment."""
    if name not in services.environments:
        return PathFacts(gone=name)
    return path_facts(services, ref, name, allow_rolled_back=allow_rolled_back)


def _automatic_hold(services: Services, environment: Environment) -> str:
    """The rollback since which no user has promoted a release to it; empty if there is none or nothing is automatic."""
    if environment.promote != "automatic":
        return ""
    ended = (State.SUCCEEDED, State.ROLLED_BACK, State.NEEDS_INTERVENTION)
    chosen = RunFilter(environment=environment.name, states=ended, kinds=(*PROMOTION_KINDS, "rollback"))
    last = next(iter(services.store.list_runs(chosen, limit=1).items), None)
    if last is None or (last.kind in PROMOTION_KINDS and last.state is State.SUCCEEDED):
        return ""
    how = "needs manual intervention" if last.state is State.NEEDS_INTERVENTION else "was rolled back"
    return f"{last.id} {how}"


def _rehearsal(services: Services, environment: Environment, ref: PackageRef) -> str:
    """What the rehearsal that the environment requires lacks; empty if nothing is missing."""
    if not environment.require.rehearsal:
        return ""
    last = last_verified(services, environment.name)
    if last is None or last.release.digest == ref.digest:
        return ""
    return missing_rehearsal(services, environment.name, last.release, ref)


def _superseded_by(services: Services, ref: PackageRef, name: str) -> str:
    """The run that took the place of the newest run of the release in its queue; empty if none did."""
    chosen = RunFilter(environment=name, digest=ref.digest, kinds=tuple(PROMOTION_KINDS))
    run = next(iter(services.store.list_runs(chosen, limit=1).items), None)
    if run is None:
        return ""
    waiting = queue_entry(services.store, name, run.id)
    if waiting is not None:
        return waiting.superseded_by or ""
    if run.state is not State.FAILED:
        return ""
    code = recorded_failure(services.store.records(run.id)).get("code")
    return run.message.rpartition("superseded by ")[2] if code == SUPERSEDED else ""


def _holder(lease: Lease | None) -> str:
    if lease is None:
        return ""
    return f"locked by {lease.by}: {lease.reason}" if lease.locked else f"run {lease.holder} by {lease.by}"
