"""The gates and probes of a plan: whether all that they need exists."""

from orchestrator.domain.context import Outputs
from orchestrator.domain.gate import Gate, Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import Plan, PlannedGate
from orchestrator.domain.templating import check_renderable
from orchestrator.inspect.stacks import context_of, outputs_of
from orchestrator.planning.survey import PlanRequest
from orchestrator.services import Services


def all_gates(plan: Plan) -> list[PlannedGate]:
    """Every gate that is queried: of canaries, of a side, and of the watch."""
    gates = [gate for step in plan.steps if step.canary is not None for gate in step.canary.observation.gates]
    observation = plan.blue_green.observation if plan.blue_green is not None else None
    gates += list(observation.gates) if observation is not None else []
    return gates + (list(plan.watch.gates) if plan.watch is not None else [])


def check_gates(services: Services, wanted: PlanRequest, plan: Plan) -> None:
    """Check that secrets and certificates that gates name are on this machine. Raises E160 and E161."""
    context = context_of(services, wanted.environment, "plan", Outputs({}), wanted.fence)
    for gate in all_gates(plan):
        if services.gates.missing_credential(gate, context) is None:  # otherwise the plan names it
            services.gates.check(gate, wanted.package, context)


def check_variables(services: Services, wanted: PlanRequest, plan: Plan, inventory: Inventory) -> None:
    """Check that every variable that a gate or the probe names exists. Raises V142."""
    gates = [gate.gate for gate in all_gates(plan)]
    found: list[Gate | Probe] = [*gates, *([plan.probe] if plan.probe is not None else [])]
    if found:
        outputs = outputs_of(services, wanted.environment)
        context = context_of(services, wanted.environment, "plan", outputs, wanted.fence)
        for item in found:
            check_renderable(item, wanted.package, inventory, context)
