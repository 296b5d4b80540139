"""Which credentials a run needs that this machine does not have. Their values are not read."""

import socket
from collections.abc import Iterable

from orchestrator.domain.context import Outputs
from orchestrator.domain.credentials import MissingCredential, missing_text, missing_variable
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import Plan, PlannedGate
from orchestrator.domain.release import Package
from orchestrator.inspect.stacks import context_of, stack_of, stacks_of
from orchestrator.planning.gates import all_gates
from orchestrator.planning.survey import PlanRequest, Survey
from orchestrator.services import Services

CODE = "E170"


def missing_before(services: Services, wanted: PlanRequest) -> tuple[MissingCredential, ...]:
    """The credentials without which stack and hosts cannot be inspected. Raises D150, E102 and E-codes of programs."""
    return missing_for_hosts(services, wanted.environment, wanted.package)


def missing_for_hosts(services: Services, name: str, package: Package | None = None) -> tuple[MissingCredential, ...]:
    """The credentials that the stack and the hosts of the environment *name* need, and the plays of *package*.

    Raises D150, E102 and E-codes of programs.
    """
    environment, _ = services.environment(name)
    files = tuple(str(services.root / path) for path in environment.inventory.files)
    passwords = services.deployer.missing_passwords(package, files, environment.settings)
    return _here([*_declared(services, environment), *passwords, *_of_stacks(services, name)])


def missing_for_stack(services: Services, name: str) -> tuple[MissingCredential, ...]:
    """The credentials that operations on the stack of the environment *name* need; on both, if each side is one.

    Raises E102 and E-codes of programs.
    """
    environment, _ = services.environment(name)
    return _here([*_declared(services, environment, plays=False), *_of_stacks(services, name)])


def _of_stacks(services: Services, name: str) -> Iterable[MissingCredential]:
    """The passphrases or logins that the stacks of the environment *name* lack."""
    spec = stack_of(services, name)
    for each in (*stacks_of(services, name).values(), *([spec] if spec is not None else [])):
        lacks = services.provisioner.missing_credential(each)
        if lacks is not None:
            yield lacks


def _declared(services: Services, environment: Environment, *, plays: bool = True) -> Iterable[MissingCredential]:
    """The variables with secrets that *environment* passes to programs, and to *plays*, and that are not set."""
    passed = {
        "isolation.environment": environment.isolation.environment,
        "ansible.environment": environment.ansible.environment if plays else (),
        "pulumi.environment": environment.pulumi.environment if environment.program is not None else (),
    }
    for name in environment.secrets:
        where = [place for place, names in passed.items() if name in names]
        if where and name not in services.environ:
            yield missing_variable(name, f"secrets and {where[0]} of environment.yaml name it", "plan")


def missing_after(services: Services, wanted: PlanRequest, plan: Plan, survey: Survey) -> tuple[MissingCredential, ...]:
    """The keys of hosts of the *survey* that cannot be reached, and the secrets of the gates of *plan*."""
    environment, _ = services.environment(wanted.environment)
    silent = tuple(host for host in survey.unreachable if host not in survey.refusing)
    known = survey.full
    keys = services.deployer.missing_keys(known, environment.settings, silent) if known is not None and silent else ()
    context = context_of(services, wanted.environment, "plan", Outputs({}), wanted.fence)
    asked = (services.gates.missing_credential(gate, context) for gate in all_gates(plan))
    return _here([*keys, *(each for each in asked if each is not None)])


def missing_for_gate(services: Services, name: str, gate: PlannedGate) -> tuple[MissingCredential, ...]:
    """The secret that *gate* needs in the environment *name*, outside of a plan."""
    lacks = services.gates.missing_credential(gate, context_of(services, name, "task", Outputs({})))
    return _here([lacks] if lacks is not None else [])


def _here(found: Iterable[MissingCredential]) -> tuple[MissingCredential, ...]:
    """What was *found* on this machine, each once."""
    machine = socket.gethostname()
    return tuple(dict.fromkeys(each.model_copy(update={"machine": machine}) for each in found))


def credential_refusal(missing: Iterable[MissingCredential]) -> OrchestratorError | None:
    """Why a run does not start while credentials are *missing*: E170."""
    text = missing_text(missing)
    return OrchestratorError(CODE, f"{text}; nothing was changed") if text else None
