"""What a plan says of secrets: it has none in clear, and names those that cannot be masked everywhere."""

from orchestrator.domain.configuration import ORDINARY
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import Plan
from orchestrator.flow.course import Setting
from orchestrator.flow.kept_plans import learn_names


def masked_plan(setting: Setting, plan: Plan) -> Plan:
    """*plan* with each known secret masked, before it gets its digest, and with warnings. Raises S181."""
    learn_names(setting, plan)
    plan = plan.model_copy(update={"notes": (*plan.notes, *_about_ordinary(setting))})
    data = plan.to_json()
    masked = setting.secrets.data(data)
    try:
        return plan if masked is data else Plan.from_json(masked)
    except ValueError as error:
        message = "a secret has the value of a name or a path that the plan needs, so the plan cannot be shown"
        raise OrchestratorError("S181", message) from error


def _about_ordinary(setting: Setting) -> list[str]:
    """A note for each source of secrets whose values are too short or too common to be masked wherever they occur."""
    keys: dict[str, list[str]] = {}
    for source, key in setting.secrets.ordinary():
        keys.setdefault(source, []).append(key)
    return [
        f"{source}: the values of {', '.join(found)} are short or common, and masked only beside their keys {ORDINARY}"
        for source, found in keys.items()
    ]
