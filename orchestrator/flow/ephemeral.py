"""Ephemeral: an environment that is made for one promotion, and destroyed after it, however it ended.

What was made is written down before it is made. So it is found again (`inspect/leftovers.py`) when the run that made
it could not destroy it: a reaper does that when its time is over.
"""

from collections.abc import Mapping

from orchestrator.domain.effects import Change
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import STOPPED, Entry, add_seconds
from orchestrator.domain.plan import StackSpec, losses
from orchestrator.domain.promotion import Event
from orchestrator.domain.quantities import seconds
from orchestrator.domain.run_parameters import ReapParameters
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import StackClaimed, StackDisposed
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect.leftovers import GONE, KIND, MADE, leftovers, made_stack
from orchestrator.ports import Emit
from orchestrator.services import Services


def claim(ctx: RunContext, spec: StackSpec) -> None:
    """Write down that what is made from here on is for this promotion only; nothing for other environments."""
    rule = ctx.pinned_plan().ephemeral
    if rule is None:
        return

    def work(_job: str, _emit: Emit) -> StepResult:
        until = add_seconds(ctx.services.clock.now(), seconds(rule.ttl))
        claimed = StackClaimed(stack=spec.stack, configured=spec.configured, definition=spec.definition, until=until)
        data = claimed.to_json()
        return StepResult(outcome=Outcome.SUCCEEDED, message=f"until {until} at most", data=data)

    stack = ctx.must(
        "claim", f"an environment for {ctx.run.release} alone", work, may_change=Change("claim"), verb="provision"
    ).data
    ctx.note(Entry(kind=KIND, data=stack, key=MADE))


def release_claim(ctx: RunContext) -> None:
    """Nothing was made after all."""
    if ctx.effects.claimed is not None:
        _record_gone(ctx, ctx.run.id)


def keep_or_destroy(ctx: RunContext) -> None:
    """Nothing is rolled back here: it is destroyed, unless it is to be inspected. Raises `RunHalted` with R207."""
    ctx.move(Event.HALT)
    rule, failure, stack = ctx.pinned_plan().ephemeral, ctx.failure, ctx.effects.ephemeral_stack or {}
    stopped = failure is not None and failure.code == STOPPED
    if rule is not None and rule.keep_on_failure and not stopped:
        why = failure.result.message if failure else "it failed"
        message = f"{why}; {ctx.run.environment} is kept for inspection until {stack['until']}"
        raise RunHalted("halt", StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R207"}))


def destroy_ephemeral(ctx: RunContext) -> None:
    """Destroy what was made."""
    ctx.move(Event.UNDO)
    ctx.move(Event.RESTORE)
    dispose(ctx)
    ctx.move(Event.VERIFY_ROLLBACK)


def dispose(ctx: RunContext) -> None:
    """Destroy what this run has made; nothing where it has made nothing."""
    stack = ctx.effects.ephemeral_stack
    if stack is None:
        return

    def work(job: str, emit: Emit) -> StepResult:
        return _destroy(ctx.services, ctx.run.environment, stack, job, emit)

    label = f"destroy what was made for {ctx.run.release}"
    ctx.must("dispose", label, work, may_change=Change("stack"), verb="close", stack=stack["stack"])
    _record_gone(ctx, ctx.run.id)


def reap(ctx: RunContext) -> None:
    """Destroy what another run has made and could not destroy."""
    run = ctx.parameters(ReapParameters).run
    stack = made_stack(ctx.services.store, run)
    ctx.move(Event.PROVISION)

    def work(job: str, emit: Emit) -> StepResult:
        left = {item.run.id for item in leftovers(ctx.services, ctx.run.environment)}
        if stack is None or run not in left:
            return StepResult(
                outcome=Outcome.SKIPPED, message="it was destroyed already", data=StackDisposed(gone=True).to_json()
            )
        return _destroy(ctx.services, ctx.run.environment, stack, job, emit)

    change = Change("stack")
    result = ctx.step("dispose", f"destroy what {run} made", work, may_change=change, verb="provision", of=run)
    if not result.good:
        raise RunHalted("dispose", result)
    if not StackDisposed.read(result).gone:
        _record_gone(ctx, run)


def _destroy(services: Services, environment: str, stack: Mapping[str, object], job: str, emit: Emit) -> StepResult:
    """Destroy the stack, by the definition that it was made by; not when it has something stateful."""
    spec = services.provisioner.kept(str(stack["definition"]))
    spec = spec.model_copy(update={"stack": str(stack["stack"]), "configured": str(stack["configured"])})
    now = services.environments[environment][0].pulumi.stateful if environment in services.environments else ()
    lost = losses(services.provisioner.existing_resources(spec), (*now, *spec.settings.stateful))
    if lost:
        message = f"{environment} is not destroyed: that would {'; '.join(map(str, lost))}"
        return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R208", "untouched": True})
    return services.provisioner.destroy(spec, job, emit, remove=bool(spec.configured))


def _record_gone(ctx: RunContext, run: str) -> None:
    """Write down that what *run* made is gone, and its hosts with it."""
    ctx.hosts_only_inventory = Inventory()
    ctx.record_gone_hosts("disposed")
    gone = Entry(kind=KIND, data={"gone": True}, key=GONE)
    if run == ctx.run.id:
        ctx.note(gone)
    else:
        ctx.services.store.append(run, [gone], ctx.fence)
