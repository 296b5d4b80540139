"""The current stack of an environment, with its outputs and hosts."""

import os

from orchestrator.domain.context import Context, Outputs
from orchestrator.domain.environment import Environment
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import StackSpec
from orchestrator.domain.release import PackageRef
from orchestrator.domain.secret import Secret
from orchestrator.domain.sides import SIDES, Side, joined
from orchestrator.inspect.blue_green import BlueGreenState
from orchestrator.inspect.release_history import history_of_marks
from orchestrator.ports.lists import each_verified
from orchestrator.services import Services


def stack_of(services: Services, name: str) -> StackSpec | None:
    """The stack of the environment *name*, or None when it has no Pulumi program.

    Where each side is a stack, that is the one of the run; outside of a run, the one that is live.
    """
    environment, folder = services.environment(name)
    if environment.program is None:
        return None
    return _chosen(services, name, services.provisioner.definition(environment, folder))


def kept_of(services: Services, name: str, definition: str) -> StackSpec:
    """The same stack as it was defined when its *definition* had this digest. Raises E105 when it is not kept here."""
    return _chosen(services, name, services.provisioner.kept(definition))


def stacks_of(services: Services, name: str) -> dict[Side, StackSpec]:
    """The stacks of the sides of the environment *name*; empty where its sides are not stacks."""
    environment, folder = services.environment(name)
    if environment.sides is None:
        return {}
    spec = services.provisioner.definition(environment, folder)
    return {side: _named(spec, environment.sides.of(side)) for side in SIDES}


def _chosen(services: Services, name: str, spec: StackSpec) -> StackSpec:
    rule, own = services.environment(name)[0].sides, services.stacks.get(name)
    if own is None and rule is not None:
        own = rule.of(BlueGreenState.of(services.store.hosts(name)).live or "blue")
    return spec if own is None else _named(spec, own)


def _named(spec: StackSpec, own: str) -> StackSpec:
    return spec.model_copy(update={"stack": own, "configured": spec.stack})


def outputs_of(services: Services, name: str) -> Outputs:
    """The current outputs of the stack of the environment *name*; none where it has no program."""
    learn_declared(services, services.environment(name)[0])
    spec = stack_of(services, name)
    return services.provisioner.outputs(spec) if spec else Outputs({})


def inventory_of(services: Services, name: str, outputs: Outputs) -> Inventory:
    """The hosts of the environment *name* as *outputs* and its files give them, with the user's files read in.

    Where each side is a stack, those of both, in groups called `blue` and `green`. Raises E-codes.
    """
    environment, _ = services.environment(name)
    learn_declared(services, environment)
    own, found = services.provisioner, dict[Side, Inventory]()
    mine = stack_of(services, name) if environment.sides is not None else None
    for side, spec in stacks_of(services, name).items():
        side_outputs = outputs if mine is not None and spec.stack == mine.stack else own.outputs(spec)
        if side_outputs.plain or side_outputs.secret:
            found[side] = own.inventory(environment, side_outputs)
    known = joined(found) if found else own.inventory(environment, outputs)
    resolved = services.deployer.resolve(known, environment.settings)
    services.secrets.learn_names((*resolved.hosts, *resolved.groups))
    return resolved


def learn_declared(services: Services, environment: Environment) -> None:
    """Learn the secrets that *environment* declares, and which names are ordinary in it."""
    services.secrets.learn_names((services.project.name, *services.environments))
    declared = [
        Secret(name, os.fsencode(services.environ[name])) for name in environment.secrets if name in services.environ
    ]
    services.secrets.learn(f"secrets of {environment.name}", declared)


def context_of(
    services: Services, name: str, run_id: str, outputs: Outputs, fence: int = 0, previous: PackageRef | None = None
) -> Context:
    """What playbooks and suites may know of the run *run_id* in the environment *name*."""
    environment, _ = services.environment(name)
    marks = list(each_verified(services.store, name)) if environment.controller_files else []
    return Context(
        run=run_id,
        environment=name,
        project=services.project.name,
        fence=fence,
        previous=previous,
        outputs=outputs,
        vars=environment.vars,
        settings=environment.settings,
        controller_files=environment.kept_paths,
        secret_files=environment.secret_paths,
        verified=(marks[0].release.digest, marks[0].run) if marks else None,
        targets=frozenset(mark.release.digest for mark in marks),
        older=frozenset(mark.release.digest for mark in history_of_marks(services.store, marks)[1:]),
        credentials=environment.credentials,
    )
