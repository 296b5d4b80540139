"""Requirements: what the hosts of an environment have of what a release requires. Changes nothing."""

from orchestrator.domain.error_codes import INSPECTION_FAILED
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Package
from orchestrator.domain.requirements.check import CheckedHost
from orchestrator.domain.step_payloads import RequirementsChecked
from orchestrator.inspect.stacks import context_of, inventory_of, outputs_of
from orchestrator.ports import Emit
from orchestrator.services import Services


def check_requirements(
    services: Services, environment: str, package: Package, job: str, emit: Emit
) -> tuple[CheckedHost, ...]:
    """Every host of *environment*, in the order of the inventory, with the checks of what *package* requires of it.

    Raises R103, E-codes if the hosts are not known, and D151 if no host could be inspected for one reason.
    """
    services.environment(environment)
    outputs = outputs_of(services, environment)
    inventory = inventory_of(services, environment, outputs)
    context = context_of(services, environment, job, outputs)
    services.deployer.prepare(context)
    requirements = package.manifest.release.requirements
    seen = services.deployer.inspect(requirements, inventory, context, f"{job}.require", emit)
    if seen.code == INSPECTION_FAILED:
        raise OrchestratorError(INSPECTION_FAILED, seen.message)
    found = {host.host: host for host in RequirementsChecked.read(seen).requirements}
    return tuple(found.get(host, CheckedHost(host=host)) for host in inventory.hosts)
