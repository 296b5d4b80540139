"""Provision: the infrastructure, held to its plan."""

from orchestrator.domain.effects import NOTHING, Change
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.promotion import Event
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.domain.step_payloads import UNRECORDED, HostsSettled
from orchestrator.domain.text import counted
from orchestrator.flow import ephemeral, host_states
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect import tokens
from orchestrator.planning.plan_store import saved_plan
from orchestrator.planning.sides import of_plan
from orchestrator.planning.survey import failed_as_a_whole, unmet
from orchestrator.ports import Emit


def update(ctx: RunContext) -> None:
    """Update the stack by the plan, and settle which hosts there are.

    A stack that the plan found in order is left alone. When Pulumi finds that its own plan does not fit any
    more, it stops before it changes anything, and so does the run.
    """
    ctx.move(Event.PROVISION)
    plan, spec = ctx.pinned_plan(), ctx.stack()
    if spec is not None and plan.stack is not None and plan.stack.changes_something:
        ephemeral.claim(ctx, spec)
        stack = plan.stack

        def work(job: str, emit: Emit) -> StepResult:
            saved = saved_plan(ctx.services, stack)
            return ctx.services.provisioner.up(spec, job, emit, plan=saved).result

        label = f"pulumi up {spec.stack}"
        result = ctx.step("provision", label, work, may_change=Change("stack"), verb="provision", stack=spec.stack)
        ctx.forget_outputs()
        if not result.good:
            if not ctx.effects.stack_changed:  # Pulumi refused before it changed anything
                ephemeral.release_claim(ctx)
            raise RunHalted("provision", result)
    record_hosts(ctx)


def record_hosts(ctx: RunContext, name: str = "hosts", require: str = "require") -> None:
    """Record which hosts this run is about, and its batches; halt when they are not those of the plan.

    *name* and *require* are the steps' names, for a run that settles them more than once.
    """
    plan = ctx.pinned_plan()
    ctx.inventory_digest = None

    def work(_job: str, _emit: Emit) -> StepResult:
        inventory = ctx.inventory()
        if plan.inventory_digest is not None and inventory.digest != plan.inventory_digest:
            message = "the hosts are no longer those of the plan"
            return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R120"})
        groups = [step.cut(inventory) for step in plan.steps]
        empty = [step.play for step, batches in zip(plan.steps, groups, strict=True) if not batches]
        if empty:
            message = f"no host matches {empty[0].hosts!r}, which the step {empty[0].step} needs"
            return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "D102"})
        of_plan(plan, inventory)  # do its sides fit, where it has any?
        data = _settled(ctx, inventory, tuple(groups)).to_json()
        return StepResult(outcome=Outcome.SUCCEEDED, message=counted(len(inventory.hosts), "host"), data=data)

    result = ctx.must(name, "resolve the hosts", work, may_change=NOTHING, verb="provision")
    settled = HostsSettled.read(result)
    ctx.hosts_only_inventory, ctx.inventory_digest = settled.outline, settled.digest
    ctx.variables, ctx.batches = settled.variables, list(settled.batches or ())
    ctx.sides = of_plan(plan, ctx.hosts_only_inventory)
    ctx.live = plan.blue_green.live if plan.blue_green is not None else None
    ctx.record_gone_hosts("gone" if name == "hosts" else name)
    if plan.inventory is None:
        look_at_new_hosts(ctx, require)


def _settled(
    ctx: RunContext, inventory: Inventory, batches: tuple[tuple[tuple[str, ...], ...], ...] | None = None
) -> HostsSettled:
    """What is recorded of the hosts of *inventory*, and of what plays are given."""
    return HostsSettled(
        outline=inventory.hosts_only(), digest=inventory.digest, variables=ctx.variables_now(), batches=batches
    )


def settle_restored(ctx: RunContext, name: str = "hosts.restored") -> bool:
    """Record the hosts after the rollback of the infrastructure, as the step *name*.

    Returns whether plays get other variables from now on: then hosts that were restored before have the wrong ones.
    """
    before = ctx.variables
    ctx.inventory_digest = None

    def work(_job: str, _emit: Emit) -> StepResult:
        inventory = ctx.inventory()
        data = _settled(ctx, inventory).to_json()
        message = counted(len(inventory.hosts), "host")
        return StepResult(outcome=Outcome.SUCCEEDED, message=message, data=data)

    result = ctx.must(name, "resolve the hosts", work, may_change=NOTHING, verb="restore")
    settled = HostsSettled.read(result)
    ctx.hosts_only_inventory, ctx.inventory_digest = settled.outline, settled.digest
    ctx.record_gone_hosts("gone again" if name == "hosts.restored" else name)
    ctx.variables = settled.variables
    return before != UNRECORDED and (before is None or ctx.variables != before)


def look_at_new_hosts(ctx: RunContext, name: str = "require") -> None:
    """Hosts that the plan could not inspect must be reachable, and meet the requirements of the release.

    As in a plan, a host that does not respond blocks, unless the steps tolerate it. So does a host that would refuse
    our fencing token because its own is too far ahead.
    """
    plan = ctx.pinned_plan()
    requirements = plan.requirements
    steps = tuple(
        step.model_copy(update={"batches": groups}) for step, groups in zip(plan.steps, ctx.batches, strict=True)
    )

    def work(job: str, emit: Emit) -> StepResult:
        inventory = ctx.inventory()
        found = ctx.services.deployer.inspect(requirements, inventory, ctx.context(), job, emit)
        found = tokens.limit_tokens(ctx.services, ctx.run.environment, found, emit, ctx.fence)
        ahead = tokens.too_far(found)
        missing = tuple(host.host for host in found.hosts if host.outcome is Outcome.UNKNOWN or host.host in ahead)
        seen = plan.model_copy(update={"steps": steps, "unreachable": missing, "inventory": inventory.hosts_only()})
        refusing = tuple(host for host in found.hosts if host.host in ahead and host.host in seen.blocking)
        if refusing:
            return _refused(ctx.run.environment, found, refusing)
        is_unreachable = found.outcome is Outcome.UNKNOWN and not failed_as_a_whole(found)
        if is_unreachable and missing and not seen.blocking and not unmet(found):
            return found.model_copy(update={"outcome": Outcome.SUCCEEDED, "data": {}})
        return found

    result = ctx.step(name, "inspect the hosts", work, may_change=NOTHING, verb="provision")
    host_states.record_inspection(ctx, result, name)
    if not result.good:
        raise RunHalted(name, result)


def _refused(environment: str, found: StepResult, refusing: tuple[HostResult, ...]) -> StepResult:
    """The inspection *found*, failed because of hosts that would refuse our fencing token: no play is started."""
    reasons = "; ".join(f"{host.host}: {host.invalid}" for host in refusing)
    message = f"{reasons}; {tokens.remedy(environment, StepResult(outcome=Outcome.FAILED, hosts=refusing))}"
    return found.model_copy(update={"outcome": Outcome.FAILED, "message": message, "data": {"code": tokens.TOO_FAR}})
