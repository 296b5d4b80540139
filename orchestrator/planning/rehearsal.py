"""Whether a promotion is rehearsed before its release stays."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import HostState, RollbackTarget
from orchestrator.planning.evidence import obstacle
from orchestrator.planning.survey import PlanRequest
from orchestrator.services import Services


def rehearsed(
    services: Services, wanted: PlanRequest, target: RollbackTarget, current_hosts: tuple[HostState, ...]
) -> tuple[bool, tuple[str, ...]]:
    """Whether the rollback is rehearsed before the release stays; a note if files require it and it is not possible.

    Raises R183 if it was requested explicitly and is not possible.
    """
    environment, release = services.environment(wanted.environment)[0], wanted.package.manifest.release
    first = next((name for name in services.environments if name in release.environments), "")
    required = environment.rehearse or (release.rehearse and first == environment.name)
    if wanted.action != "promote" or not (required or wanted.rehearse):
        return False, ()
    why = obstacle(wanted.package.ref, target, current_hosts)
    if why is None:
        return True, ()
    if wanted.rehearse:
        raise OrchestratorError("R183", f"{wanted.package.ref} cannot be rehearsed in {environment.name}: {why}")
    again = target.release is not None and target.release.digest == wanted.package.digest
    return False, () if again else (f"not rehearsed: {why}",)
