"""What may not be planned in an environment at all."""

from collections.abc import Iterable

from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Package
from orchestrator.planning.survey import Wanted
from orchestrator.setting import Setting


def check_admissible(setting: Setting, wanted: Wanted, environment: Environment) -> None:
    """Refuse what may not be planned there at all. Raises R105, R134, R215 and what :func:`allow` does."""
    allow(environment)
    if environment.sides is not None and wanted.package.manifest.release.blue_green is None:
        message = f"{environment.name} has two stacks as its sides, and {wanted.package.ref} has no step with sides"
        raise OrchestratorError("R215", message)
    if wanted.action == "promote":
        gate(setting, wanted.package, environment, wanted.coming)
    elif environment.ephemeral is not None:
        raise OrchestratorError("R134", f"{environment.name} is made for each promotion: there is no rollback target")


def gate(setting: Setting, package: Package, environment: Environment, coming: frozenset[str] = frozenset()) -> None:
    """Refuse a package that has not been verified in the environment before, unless that is *coming*. Raises R105."""
    if environment.after is None or environment.after in coming:
        return
    if not any(item.release.digest == package.digest for item in setting.store.verified(environment.after)):
        raise OrchestratorError(
            "R105",
            f"{package.ref} has not been verified in {environment.after}, which comes before {environment.name}",
            hint=f"promote it there first: orchestrator promote … --to {environment.after}",
        )


def allow(environment: Environment) -> None:
    """Refuse what this version could not honour: a rule that is written down and not kept is worse than none.

    Raises R110 (approvals).
    """
    if environment.approvals is not None:
        raise OrchestratorError("R110", f"{environment.name} requires approvals, which this version cannot collect")


def allow_all(setting: Setting, names: Iterable[str]) -> None:
    """Check the whole path before any environment of it is touched: raises what :func:`allow` does for one of them."""
    for name in names:
        allow(setting.environment(name)[0])
