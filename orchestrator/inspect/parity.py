"""Parity: the differences of two environments. Both are inspected, and nothing is changed."""

from concurrent.futures import ThreadPoolExecutor

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.parity import KINDS, Definition, EnvironmentProfile, Parity, compare_profiles, profile_of
from orchestrator.domain.snapshot import Snapshot
from orchestrator.inspect.reading import read_by_job
from orchestrator.inspect.release_history import last_verified
from orchestrator.inspect.stacks import context_of, inventory_of, outputs_of, stack_of
from orchestrator.ports import Emit
from orchestrator.services import Services


def find_differences(
    services: Services, left: str, right: str, job: str, emit: Emit, kinds: tuple[str, ...] = KINDS
) -> Parity:
    """How the environments *left* and *right* differ, beyond what the files of either allow. Raises R103."""
    allow: list[str] = []
    for one, other in ((left, right), (right, left)):
        rule = services.environment(one)[0].parity
        allow += rule.allow if rule is not None and rule.with_ == other else ()
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = [pool.submit(_profile, services, name, f"{job}.{name}", emit) for name in (left, right)]
        first, second = (item.result() for item in found)
    return compare_profiles(first, second, allow, kinds)


def _profile(services: Services, name: str, job: str, emit: Emit) -> EnvironmentProfile:
    """What is compared of the environment *name*; what could not be queried is unknown."""
    environment, _ = services.environment(name)
    mark, unknown = last_verified(services, name), []
    release = str(mark.release) if mark else "none"
    definition: Definition | None = Definition()
    try:
        spec = stack_of(services, name)
        definition = services.provisioner.described(spec) if spec is not None else Definition()
    except OrchestratorError as error:
        definition = None
        unknown.append(f"its definition: {error.message}")
    try:
        outputs = outputs_of(services, name)
        inventory = inventory_of(services, name, outputs)
    except OrchestratorError as error:
        unknown.append(f"its hosts: {error.message}")
        return profile_of(environment, definition, None, Snapshot(), release, unknown)
    context = context_of(services, name, job, outputs)
    ask = services.deployer.snapshot
    seen = read_by_job(lambda job: ask(environment.snapshot, inventory, context, job, emit), f"{job}.snapshot")
    return profile_of(environment, definition, inventory, seen, release, unknown)
