"""The refusal of a promotion: every condition that is not met, in one error."""

from collections.abc import Container

from orchestrator.domain.admission.conditions import Admission, Condition, ConditionKind
from orchestrator.domain.errors import OrchestratorError


class NotAdmitted(OrchestratorError):
    """A promotion may not start: *admission* has every condition. The code is that of the first missing one."""

    def __init__(self, message: str, code: str, admission: Admission, hint: str) -> None:
        super().__init__(code, message, hint=hint)
        self.admission = admission

    def to_json(self) -> dict[str, object]:
        """The error as data, with the admission."""
        return {**super().to_json(), "admission": self.admission.to_json()}


def not_admitted(
    admission: Admission, release: str, environment: str, ignored: Container[ConditionKind] = frozenset()
) -> NotAdmitted | None:
    """Why *release* cannot be promoted to *environment* yet; None if nothing but the kinds *ignored* is missing."""
    missing = [condition for condition in admission.missing if condition.kind not in ignored]
    if not missing:
        return None
    reasons = "; ".join(_text(condition, environment) for condition in missing)
    name = release.replace(" ", "-")
    hint = f"orchestrator why {name} --to {environment} shows every condition"
    return NotAdmitted(
        f"{release} cannot be promoted to {environment} now: {reasons}", missing[0].code, admission, hint
    )


def _text(condition: Condition, environment: str) -> str:
    who = f" (users who can change this: {', '.join(condition.who)})" if condition.kind is ConditionKind.RIGHT else ""
    command = condition.command.replace(" ENV", f" {environment}")
    return condition.reason + (who if condition.who else "") + (f" ({command})" if _helps(condition) else "")


def _helps(condition: Condition) -> bool:
    """Whether the command of a condition belongs into the refusal; those of the calendar are shown by `why`."""
    return bool(condition.command) and condition.kind in {ConditionKind.ROLLED_BACK, ConditionKind.FIT}
