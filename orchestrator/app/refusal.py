"""Why a plan may be shown and not executed."""

from orchestrator.planning.refusal import plan_refusal

__all__ = ["plan_refusal"]
