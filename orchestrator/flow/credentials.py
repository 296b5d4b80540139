"""Credentials: a run that has no plan starts only on a machine that has what it needs; a plan names what is missing."""

from collections.abc import Callable

from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.journal import Kind
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.credentials import credential_refusal, missing_for_hosts, missing_for_stack
from orchestrator.services import Services

NEEDS: dict[Kind, Callable[[Services, str], tuple[MissingCredential, ...]]] = {
    "provision": missing_for_stack,
    "destroy": missing_for_stack,
    "resolve": missing_for_stack,
    "reap": missing_for_stack,
    "observe": missing_for_hosts,
}
"""What is checked of the runs without a plan, by their kind; the others need no credential."""


def refused_step(ctx: RunContext, *, begun: bool) -> StepResult | None:
    """The result of the next step of a run that has changed nothing, if this machine lacks a credential: E170.

    A step that was *begun* by a process that died is completed: it may have changed something.
    """
    find = NEEDS.get(ctx.run.kind)
    if begun or find is None or ctx.run.environment not in ctx.services.environments:
        return None
    why = credential_refusal(find(ctx.services, ctx.run.environment))
    if why is None:
        return None
    return StepResult(outcome=Outcome.FAILED, message=why.message, data={"code": why.code, "untouched": True})
