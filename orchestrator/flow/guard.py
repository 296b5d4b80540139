"""Guard: a release that was rolled back is not promoted again without a reason.

A rollback is not rolled back: if it fails, it needs manual intervention. A release that was rolled back in an
environment is not promoted to it again automatically, nor by a user who gives no reason.
"""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.guard import rolled_back_by, rolled_back_refusal
from orchestrator.ports import Emit


def record_passed(ctx: RunContext, emit: Emit) -> None:
    """Record what of the calendar was passed for this run, so that the journal shows it permanently."""
    for number, text in enumerate(ctx.services.entrance.passed(ctx.run), 1):
        emit(Entry(kind="notice", data={"level": "warning", "text": text, "passed": True}, key=f"passed:{number}"))


def promotion_refusal(ctx: RunContext, emit: Emit) -> OrchestratorError | None:
    """The error if this run's release was rolled back in its environment; None if a reason was given and recorded."""
    run = ctx.run
    if run.kind != "promotion" or run.release is None:
        return None
    before = rolled_back_by(ctx.services, run.environment, run.release.digest)
    if before is None:
        return None
    if not ctx.override_reason:
        return rolled_back_refusal(run.environment, before, str(run.release))
    text = f"{run.release} is promoted again after {before.id} was rolled back: {ctx.override_reason}"
    data = {"level": "warning", "text": text, "override_reason": ctx.override_reason, "of": before.id}
    emit(Entry(kind="notice", data=data, key="again"))
    return None
