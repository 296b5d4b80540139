"""What may not be planned in an environment at all."""

from orchestrator.domain.approval.policy import ApprovalRules
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Package
from orchestrator.planning.survey import PlanRequest
from orchestrator.services import Services


def check_admissible(services: Services, wanted: PlanRequest, environment: Environment) -> None:
    """Refuse what may not be planned there at all. Raises R105, R134 and R215."""
    if environment.sides is not None and wanted.package.manifest.release.blue_green is None:
        message = f"{environment.name} has two stacks as its sides, and {wanted.package.ref} has no step with sides"
        raise OrchestratorError("R215", message)
    if wanted.action == "promote":
        gate(services, wanted.package, environment, wanted.coming)
    elif environment.ephemeral is not None:
        raise OrchestratorError("R134", f"{environment.name} is made for each promotion: there is no rollback target")


def gate(services: Services, package: Package, environment: Environment, coming: frozenset[str] = frozenset()) -> None:
    """Refuse a package that has not been verified in the environment before, unless that is *coming*. Raises R105."""
    if environment.after is None or environment.after in coming:
        return
    if not services.store.verified(environment.after, package.digest, limit=1):
        raise OrchestratorError(
            "R105",
            f"{package.ref} has not been verified in {environment.after}, which comes before {environment.name}",
            hint=f"promote it there first: orchestrator promote … --to {environment.after}",
        )


def approval_rules(services: Services) -> ApprovalRules:
    """What the files of the project require of votes."""
    declared = {name: environment.approvals for name, (environment, _) in services.environments.items()}
    approvals = {name: rule for name, rule in declared.items() if rule is not None}
    return ApprovalRules(approvals, services.project.policy)
