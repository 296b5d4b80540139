"""Request: whether the environment can take the run now, and the lease on it."""

from functools import partial

from orchestrator.domain.effects import NOTHING
from orchestrator.domain.promotion import Event
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import LeaseTaken
from orchestrator.flow import credentials, hold
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import Emit


def admit(ctx: RunContext) -> None:
    """Take the environment's lease. Nothing else of this run happens without it."""
    ctx.move(Event.PLAN)

    def take(_job: str, emit: Emit) -> StepResult:
        if ctx.services.refusal is not None:
            raise ctx.services.refusal
        if ctx.wait:
            return hold.take_turn(ctx, emit, deadline=ctx.services.clock.monotonic() + ctx.wait)
        hold.check_entrance(ctx)
        return acquire(ctx)

    ctx.must("lease", f"take {ctx.run.environment}", take, may_change=NOTHING, verb="request")
    ctx.before_step = partial(_before_step, ctx)


def _before_step(ctx: RunContext, name: str, emit: Emit, begun: bool) -> StepResult | None:
    """The result of the step *name* if it does not start: the environment is closed, or a credential is missing."""
    return hold.hold_before(ctx, name, emit, begun) or credentials.refused_step(ctx, begun=begun)


def acquire(ctx: RunContext) -> StepResult:
    """The environment's lease for this run. Raises S101 if another run or an operator holds it, or waits for it."""
    ctx.enter()
    return StepResult(outcome=Outcome.SUCCEEDED, data=LeaseTaken(fence=ctx.fence).to_json())
