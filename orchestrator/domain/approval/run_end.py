"""What the end of a run means for its request."""

from dataclasses import dataclass

from orchestrator.domain.admission.conditions import CODES, TOO_EARLY, ConditionKind
from orchestrator.domain.approval.request_state import RequestEvent
from orchestrator.domain.promotion import State

CHANGED = "R120"
"""The error code of a plan that no longer holds."""
HOLDING = frozenset({*CODES.values(), TOO_EARLY} - {CODES[ConditionKind.PLAN], CODES[ConditionKind.REQUEST]})
"""The error codes of conditions that did not hold at the start of the run, and that can hold later."""


@dataclass(frozen=True)
class RunEnd:
    """How a run ended: its *state*, error *code*, what had *changed* since its plan, and the *plan* made instead."""

    state: State
    code: str = ""
    changed: tuple[str, ...] = ()
    plan: str = ""


def event_after(end: RunEnd) -> RequestEvent | None:
    """What happens to the request of a run with this *end*; None while the run needs manual intervention.

    A run that ended as *failed* had no effect. If its plan did not hold any more, the request waits for votes for the
    new plan. If a condition did not hold, the request starts again later.
    """
    if end.state is State.NEEDS_INTERVENTION:
        return None
    if end.state is State.FAILED and end.code == CHANGED and end.plan:
        return RequestEvent.REPLAN
    if end.state is State.FAILED and end.code in HOLDING:
        return RequestEvent.HOLD
    return RequestEvent.FINISH
