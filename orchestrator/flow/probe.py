"""Probe: continuous requests to the service during a rollout, and during its rollback."""

import traceback

from orchestrator.domain.effects import NOTHING
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import STORE_FAILURES, Entry
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow.run_context import RunContext
from orchestrator.ports import Emit
from orchestrator.resources import is_exhausted


def begin(ctx: RunContext) -> None:
    """Start the probe, or resume it, also after a crash. Its failures are reported, and stop no release."""
    probe = ctx.pinned_plan().probe
    if probe is None or ctx.probed:
        return
    ctx.probed = str(ctx.durable.step("probe.since", ctx.services.clock.now))
    if ctx.services.store.has_entry(ctx.run.id, "probe:finished"):
        return
    try:
        missing = ctx.services.prober.begin(probe, ctx.pinned_package(), ctx.inventory(), ctx.context(), _job(ctx))
    except OrchestratorError as error:
        if error.code in STORE_FAILURES:
            raise
        missing = error.message
    except Exception as error:
        if is_exhausted(error):
            raise
        ctx.note(Entry(kind="notice", data={"level": "error", "text": traceback.format_exc()}))
        missing = f"{type(error).__name__}: {error}"
    if missing:
        ctx.alert("", f"the probe cannot check everything: {missing}", "probe:missing")


def end_probe(ctx: RunContext) -> None:
    """Stop the probe, and record its report. Without effect if no probe was started, or it has ended."""
    probe, since = ctx.pinned_plan().probe if ctx.plan is not None else None, ctx.probed
    if probe is None or not since:
        return
    ctx.probed = ""

    def work(_key: str, _emit: Emit) -> StepResult:
        try:
            found = ctx.services.prober.end(probe, _job(ctx), since)
        except (OrchestratorError, OSError, ValueError) as error:
            return StepResult(outcome=Outcome.SKIPPED, message=f"nothing was measured: {error}")
        return StepResult(outcome=Outcome.SUCCEEDED, message=found.text, data={"probe": found.to_json()})

    ctx.step("probe", "availability", work, may_change=NOTHING, verb="probe")
    ctx.services.prober.stop(_job(ctx))


def _job(ctx: RunContext) -> str:
    return f"{ctx.run.id}.probe"
