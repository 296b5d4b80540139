"""The environments that a promotion goes to, and whether a release runs there already."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import PackageRef, Release
from orchestrator.inspect.release_history import on_all_hosts, unsettled_runs
from orchestrator.inspect.stacks import stack_of
from orchestrator.services import Services


def targets(
    services: Services, release: Release, ref: PackageRef, to: str | None, *, redeploy: bool = False
) -> list[str]:
    """Where a promotion goes: *to*, or the rest of the release's path, from the first environment without it.

    An environment is passed over when the release has been verified there and is what runs there now, unless it is to
    *redeploy*. Raises R103 for an unknown environment and R104 for one that the release does not declare.
    """
    declared = [name for name in services.environments if name in release.environments]
    for name in release.environments:
        services.environment(name)
    if to is not None:
        services.environment(to)
        if to not in declared:
            raise OrchestratorError("R104", f"{ref} does not declare the environment {to!r}")
        return [] if not redeploy and is_current(services, to, ref) else [to]
    rest = list(declared)
    while not redeploy and rest and runs_there(services, rest[0], ref):
        rest.pop(0)
    return rest


def is_current(services: Services, environment: str, ref: PackageRef) -> bool:
    """Whether nothing is left to do for *ref* in *environment*.

    It runs there by :func:`runs_there`, on the infrastructure as it is currently defined; no run needs intervention,
    and none holds the environment.
    """
    if services.environment(environment)[0].ephemeral is not None or not runs_there(services, environment, ref):
        return False
    if services.store.lease(environment) is not None or unsettled_runs(services, environment):
        return False
    spec = stack_of(services, environment)
    return spec is None or services.store.verified(environment, limit=1)[0].definition == spec.definition


def runs_there(services: Services, environment: str, ref: PackageRef) -> bool:
    """Whether *ref* is the release that was verified last in *environment*, and runs on each host that it is for."""
    verified = services.store.verified(environment, limit=1)
    last = bool(verified) and verified[0].release.digest == ref.digest
    return last and on_all_hosts(services, environment, ref.digest)
