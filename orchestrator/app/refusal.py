"""Why a plan may be shown and not executed."""

from orchestrator.planning.refusal import refusal

__all__ = ["refusal"]
