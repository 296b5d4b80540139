"""Guard: what was rolled back is not promoted again as if nothing had been.

There is no rollback of a rollback: one that fails asks for a person. And a release that an environment has gone back
from does not go there again by itself, nor by a person who does not say why.
"""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.guard import rolled_back_refusal, rolled_back_releases
from orchestrator.ports import Emit


def record_passed(ctx: RunContext, emit: Emit) -> None:
    """Record what of the calendar was passed for this run, so that the journal shows it permanently."""
    for number, text in enumerate(ctx.services.entrance.passed(ctx.run), 1):
        emit(Entry(kind="notice", data={"level": "warning", "text": text, "passed": True}, key=f"passed:{number}"))


def promotion_refusal(ctx: RunContext, emit: Emit) -> OrchestratorError | None:
    """Why this run's release may not go to its environment again; None when it may, with a person's reason told."""
    run = ctx.run
    if run.kind != "promotion" or run.release is None:
        return None
    before = rolled_back_releases(ctx.services, run.environment).get(run.release.digest)
    if before is None:
        return None
    if not ctx.override_reason:
        return rolled_back_refusal(run.environment, before, str(run.release))
    text = f"{run.release} goes to {run.environment} again, though {before.id} went back from it: {ctx.override_reason}"
    data = {"level": "warning", "text": text, "override_reason": ctx.override_reason, "of": before.id}
    emit(Entry(kind="notice", data=data, key="again"))
    return None
