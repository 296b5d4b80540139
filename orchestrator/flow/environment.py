"""An environment without a release: its infrastructure is updated, destroyed, or its interrupted creates resolved.

A stateful resource is only replaced or deleted if it is acknowledged by name, as in a promotion.
"""

from collections.abc import Callable, Iterable

from orchestrator.domain.effects import NOTHING, Change
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import Acknowledgements, HostState, Loss, ResourceChange, StackSpec, losses
from orchestrator.domain.promotion import Event
from orchestrator.domain.run_parameters import ResolveParameters
from orchestrator.domain.sides import Side
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import LossesAgreed
from orchestrator.flow.halt import RunHalted
from orchestrator.flow.run_context import RunContext
from orchestrator.inspect.stacks import stacks_of
from orchestrator.planning.plan_store import made_by
from orchestrator.planning.sides import target_side
from orchestrator.planning.survey import lost
from orchestrator.ports import Emit, SavedPlan
from orchestrator.services import Services

Find = Callable[[RunContext, StackSpec, str, Emit], StepResult]
AGREEING = {"R230": "--replace", "R231": "--delete"}  # the option that agrees to what the code refuses


def update_environment(ctx: RunContext) -> None:
    """Update the stack by its current program; both stacks, if each side is a stack.

    If the stack has stateful resources, the update is previewed first, and constrained to what was agreed to.
    """
    stacks = _stacks(ctx)
    looked = {name: _looked(ctx, spec, name, _would_lose) for name, spec in stacks.items()}
    for name, spec in stacks.items():

        def work(job: str, emit: Emit, spec: StackSpec = spec, looked: SavedPlan | None = looked[name]) -> StepResult:
            if looked is not None and not looked.file.is_file():
                message = "the saved plan of the update is on another machine; request the update again"
                return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "R121", "untouched": True})
            return ctx.services.provisioner.up(spec, job, emit, plan=looked).result

        _operate(ctx, f"pulumi up {spec.stack}", work, spec, name)


def destroy(ctx: RunContext) -> None:
    """Destroy every resource of the stack; nothing runs on its hosts any more."""
    stacks = _stacks(ctx)
    for name, spec in stacks.items():
        _looked(ctx, spec, name, _would_delete)
    for name, spec in stacks.items():

        def work(job: str, emit: Emit, spec: StackSpec = spec) -> StepResult:
            return ctx.services.provisioner.destroy(spec, job, emit)

        _operate(ctx, f"pulumi destroy {spec.stack}", work, spec, name)
    known = ctx.services.store.hosts(ctx.run.environment)
    ctx.record_hosts([HostState(host=state.host, truth="empty", run=ctx.run.id) for state in known], "destroy")
    if any(state.side is not None for state in known):
        nothing: dict[str, object] = {"live": None, "switch_uncertain": False, "sides": {}}
        ctx.note(Entry(kind="switched", data=nothing, key="switched:destroy"))


def resolve(ctx: RunContext) -> None:
    """Resolve interrupted creates as the operator who requested this has decided."""
    spec = next(iter(_stacks(ctx, only=target_side(ctx.services, ctx.run.environment)).values()))
    parameters = ctx.parameters(ResolveParameters)

    def work(job: str, emit: Emit) -> StepResult:
        return ctx.services.provisioner.resolve(spec, parameters.created, parameters.absent, job, emit)

    _operate(ctx, f"resolve what is pending in {spec.stack}", work, spec)


def _stacks(ctx: RunContext, only: Side | None = None) -> dict[str, StackSpec]:
    """The environment's stacks by the names of their steps: one, or those of its sides, or *only* that of one."""
    spec = _stack(ctx)
    found = stacks_of(ctx.services, ctx.run.environment)
    wanted = {f"provision.{side}": its for side, its in found.items() if only in {None, side}}
    return wanted or {"provision": spec}


def stateful_resources(services: Services, spec: StackSpec) -> tuple[Loss, ...]:
    """What destroying the stack would lose: what is stateful in it, by the current rules and by those of *spec*."""
    return _kept(services, spec, services.provisioner.existing_resources(spec))


def loss_refusal(code: str, found: Iterable[Loss], named: Acknowledgements) -> OrchestratorError | None:
    """The error R230 or R231 for an operation that would lose *found*; None if *named* has all of it."""
    unnamed = named.missing(found)
    if not unnamed:
        return None
    words = " ".join(f"{AGREEING[code]} {loss.name}" for loss in unnamed)
    message = f"it would {'; '.join(map(str, unnamed))} ({words} agrees to that); nothing was changed"
    return OrchestratorError(code, message)


def _kept(services: Services, spec: StackSpec, changes: Iterable[ResourceChange]) -> tuple[Loss, ...]:
    now = services.environment(spec.environment)[0].pulumi.stateful
    return losses(changes, dict.fromkeys((*now, *spec.settings.stateful)))


def _looked(ctx: RunContext, spec: StackSpec, name: str, find: Find) -> SavedPlan | None:
    """See what would be lost, and halt unless it was agreed to; the update plan that constrains what follows.

    *name* is that of the step which follows.
    """
    step = name.replace("provision", "look", 1)

    def work(job: str, emit: Emit) -> StepResult:
        return find(ctx, spec, job, emit)

    about = {"verb": "provision", "acknowledgements": ctx.acknowledgements.to_json()}
    result = ctx.must(step, f"what {spec.stack} would lose", work, may_change=NOTHING, **about)
    seen = LossesAgreed.read(result)
    return SavedPlan(made_by(ctx.services, seen.held), update_file=seen.update_file) if seen.held else None


def _would_lose(ctx: RunContext, spec: StackSpec, job: str, emit: Emit) -> StepResult:
    """By a preview, if there is a stateful resource at all."""
    services = ctx.services
    if not stateful_resources(services, spec):
        return StepResult(outcome=Outcome.SUCCEEDED, message="it has no stateful resources")
    saved = made_by(ctx.services, job)
    preview = services.provisioner.preview(spec, f"{job}.preview", emit, save_plan=saved)
    if preview.refused:
        message = f"{preview.refused}; nothing was changed"
        return StepResult(outcome=Outcome.FAILED, message=message, data={"code": "E140", "untouched": True})
    held = job if preview.update_file else None
    found = LossesAgreed(
        held=held, update_file=preview.update_file or None, losses=lost(services, spec.environment, spec, preview)
    )
    return _agreed(ctx, "R230", found)


def _would_delete(ctx: RunContext, spec: StackSpec, _job: str, _emit: Emit) -> StepResult:
    return _agreed(ctx, "R231", LossesAgreed(losses=stateful_resources(ctx.services, spec)))


def _agreed(ctx: RunContext, code: str, found: LossesAgreed) -> StepResult:
    why, findings = loss_refusal(code, found.losses, ctx.acknowledgements), found.to_json()
    if why is not None:
        return StepResult(
            outcome=Outcome.FAILED, message=why.message, data={**findings, "code": code, "untouched": True}
        )
    message = (
        f"agreed to by name: {'; '.join(map(str, found.losses))}" if found.losses else "nothing stateful would be lost"
    )
    return StepResult(outcome=Outcome.SUCCEEDED, message=message, data=findings)


def _stack(ctx: RunContext) -> StackSpec:
    """The environment's stack; without a program there is nothing to do, and the run is refused."""
    ctx.move(Event.PROVISION)
    error = OrchestratorError("E102", f"{ctx.run.environment} has no Pulumi program")
    try:
        spec = ctx.stack()
    except OrchestratorError as problem:
        spec, error = None, problem
    if spec is None:
        raise RunHalted("provision", StepResult(outcome=Outcome.ERRORED, message=error.message, data=error.to_json()))
    return spec


def _operate(
    ctx: RunContext, label: str, work: Callable[[str, Emit], StepResult], spec: StackSpec, name: str = "provision"
) -> None:
    about = {"stack": spec.stack, "definition": spec.definition}
    result = ctx.step(name, label, work, may_change=Change("stack"), verb="provision", **about)
    if not result.good:
        raise RunHalted(name, result)
