"""Why a plan may be shown and not executed."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import Plan
from orchestrator.planning import conditions
from orchestrator.planning.credentials import credential_refusal


def plan_refusal(plan: Plan) -> OrchestratorError | None:
    """Why *plan* may be shown and not executed.

    D106, D107, D151, E140, E170, R135, R136, R181, R182, R186, R200 or R201.
    """
    if plan.is_incomplete:
        return credential_refusal(plan.missing_credentials)
    held_back = _by_hosts(plan) or _without_way_back(plan)
    if held_back is not None:
        return held_back
    missing = next((condition for condition in plan.conditions if not condition.holds), None)
    if missing is not None:
        return conditions.condition_refusal(plan, missing)
    return _unnamed(plan) or _crossed(plan) if plan.action == "promote" else _left_behind(plan)


def start_refusal(plan: Plan) -> OrchestratorError | None:
    """Why a run does not start with *plan*, which was just made on this machine: its `plan_refusal`, or E170."""
    return plan_refusal(plan) or credential_refusal(plan.missing_credentials)


def _by_hosts(plan: Plan) -> OrchestratorError | None:
    """The state of the hosts that keeps the plan from being executed: D106, D107 or D151."""
    if plan.uninspected:
        return OrchestratorError("D151", f"{plan.uninspected}; nothing was changed")
    if plan.unmet:
        return OrchestratorError("D106", "; ".join(plan.unmet))
    if plan.blocking:
        return OrchestratorError("D107", f"cannot be reached: {', '.join(plan.blocking)}; nothing was changed")
    return None


def _without_way_back(plan: Plan) -> OrchestratorError | None:
    """A promotion whose automatic rollback has no package: R136."""
    closed = plan.rollback_target.release is not None and not plan.rollback_target.available
    if plan.action != "promote" or not plan.automatic_rollback or not closed:
        return None
    target = plan.rollback_target
    message = f"{target.release} is not available as rollback target: {target.reason}; nothing was changed"
    return OrchestratorError("R136", message)


def _left_behind(plan: Plan) -> OrchestratorError | None:
    """What a rollback would leave behind without an acknowledgement: R135."""
    if not plan.rollback_target.impossible or plan.skip_irreversible:
        return None
    names = ", ".join(plan.rollback_target.impossible)
    hint = f"orchestrator rollback {plan.environment} --skip-irreversible rolls back, and keeps what {names} changed"
    return OrchestratorError("R135", f"{names} cannot be undone", hint=hint)


def _crossed(plan: Plan) -> OrchestratorError | None:
    """What the promotion of an older release would leave behind, as a rollback to it would: R135."""
    if not plan.unnamed_crossed:
        return None
    words = " ".join(f"--point-of-no-return {step}" for step in plan.unnamed_crossed)
    text = f"{plan.release} is older than the current release, whose {', '.join(plan.unnamed_crossed)} cannot be undone"
    return OrchestratorError("R135", f"{text} ({words} agrees to that); nothing was changed")


def _unnamed(plan: Plan) -> OrchestratorError | None:
    """What a promotion would do without an acknowledgement by name, or that Pulumi refuses: E140, R200 or R201."""
    if plan.stack is not None and plan.stack.refused:
        return OrchestratorError("E140", f"{plan.stack.refused}; nothing was changed")
    lost, points = plan.unnamed_losses, plan.unnamed_points
    if lost:
        words = " ".join(f"--replace {loss.name}" for loss in lost)
        message = f"it would {'; '.join(map(str, lost))} ({words} agrees to that); nothing was changed"
        return OrchestratorError("R200", message)
    if points:
        words = " ".join(f"--point-of-no-return {step}" for step in points)
        message = f"{', '.join(points)} cannot be undone ({words} agrees to that); nothing was changed"
        return OrchestratorError("R201", message)
    return None
