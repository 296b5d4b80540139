"""Repeat: a failed check is repeated if a declared rule requires it, and is flaky if the repetition passes."""

from collections.abc import Callable

from orchestrator.domain.gate import Flaky
from orchestrator.domain.journal import Entry
from orchestrator.domain.quantities import seconds
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.text import counted
from orchestrator.flow.run_context import RunContext

BAD = {Outcome.FAILED, Outcome.ERRORED}


def judged(
    ctx: RunContext, rule: Flaky | None, name: str, label: str, check: Callable[[int], StepResult]
) -> StepResult:
    """The result of the step *name*, which *check* executes for the first time (0), and again (1, 2, …) if it failed.

    A failure that passes when it is repeated is *flaky*: that is recorded and shown. One that never passes keeps its
    first result. *Unknown* is not a failure and is not repeated; as the result of a repetition it is ignored.
    """
    first = check(0)
    if rule is None or first.outcome not in BAD:
        return first
    for time in range(1, rule.retries + 1):
        ctx.pause(f"{name}.again.{time}.wait", seconds(rule.within) / rule.retries)
        again = check(time)
        if again.outcome is Outcome.ABORTED:
            return again
        if again.good:
            _call_flaky(ctx, name, label, first, time)
            return again
    message = f"{first.message} (and again, {counted(rule.retries, 'time')} within {rule.within})"
    return first.model_copy(update={"message": message})


def _call_flaky(ctx: RunContext, name: str, label: str, first: StepResult, time: int) -> None:
    text = f"flaky: {label} failed {counted(time, 'time')}, then passed: {first.message}"
    flaky = {"what": label, "failed": time, "message": first.message}
    data = {"level": "warning", "text": text, "flaky": flaky}
    ctx.note(Entry(kind="notice", step=name, data=data, key=f"{name}:flaky"))
