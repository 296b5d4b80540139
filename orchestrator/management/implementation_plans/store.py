"""Where implementation plans are kept: in the register, in the order of their start."""

from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ENDED, OPEN, RecordKind
from orchestrator.management.implementation_plans.model import ImplementationPlan

IMPLEMENTATION_PLANS = RecordKind(
    "implementation_plans",
    ImplementationPlan,
    key=lambda plan: plan.id,
    part=lambda plan: ENDED if plan.has_ended and not plan.is_stopping and not plan.waiting else OPEN,
    position=lambda plan: f"{moment_text(plan.start_at)}.{plan.number:08}",
    noun="implementation-plan",
)
