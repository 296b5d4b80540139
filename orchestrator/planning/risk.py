"""The risk of a plan, from the plan itself and from the journal."""

from datetime import datetime

from orchestrator.domain.journal import PROMOTION_KINDS
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.plan import Plan
from orchestrator.domain.promotion import State
from orchestrator.domain.risk.assessment import Risk, RiskFacts, assess
from orchestrator.services import Services

REPLACING = ("replace", "create-replacement", "delete-replaced")


def plan_risk(services: Services, plan: Plan) -> Risk:
    """The risk of *plan* now, with its arithmetic."""
    return assess(risk_facts(services, plan))


def risk_facts(services: Services, plan: Plan) -> RiskFacts:
    """What the risk of *plan* is computed from: *plan*, and the earlier runs of its environment."""
    chosen = RunFilter(environment=plan.environment, name=plan.release.name, kinds=tuple(sorted(PROMOTION_KINDS)))
    good, bad = (
        services.store.count_runs(chosen.model_copy(update={"states": (state,)}))
        for state in (State.SUCCEEDED, State.ROLLED_BACK)
    )
    counts = plan.stack.counts if plan.stack is not None else {}
    return RiskFacts(
        **_work(plan),
        replaced=max(counts.get(op, 0) for op in REPLACING),
        deleted=counts.get("delete", 0),
        no_return=len(plan.points_of_no_return),
        rehearsed=_holds(plan, "rehearsal"),
        promotions=good + bad,
        rollbacks=bad,
        days_since=_days_since(services, plan.environment),
        parity_differences=_reasons(plan, "parity"),
        drift_differences=_reasons(plan, "drift"),
    )


def _work(plan: Plan) -> dict[str, int]:
    """How many hosts the steps change, in how many batches, and with how many tasks that check mode did not predict."""
    batches = [step.batches or () for step in plan.steps]
    return {
        "hosts": len({host for groups in batches for batch in groups for host in batch}),
        "batches": max((len(groups) for groups in batches), default=1) or 1,
        "opaque_tasks": sum(len(step.preview.opaque) for step in plan.steps if step.preview is not None),
    }


def _holds(plan: Plan, name: str) -> bool | None:
    """Whether the condition *name* holds; None if the environment does not have it."""
    return next((condition.holds for condition in plan.conditions if condition.name == name), None)


def _reasons(plan: Plan, name: str) -> int:
    return sum(len(condition.why) for condition in plan.conditions if condition.name == name)


def _days_since(services: Services, environment: str) -> int | None:
    """Whole days since the last promotion into *environment* that succeeded; None if none did.

    Another machine, whose clock is ahead, may have recorded its end.
    """
    chosen = RunFilter(environment=environment, kinds=tuple(sorted(PROMOTION_KINDS)), states=(State.SUCCEEDED,))
    ends = [run.ended_at for run in services.store.list_runs(chosen).items if run.ended_at]
    now = datetime.fromisoformat(services.clock.now())
    return max(0, (now - datetime.fromisoformat(max(ends))).days) if ends else None
