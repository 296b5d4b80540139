"""What a plan says of secrets: it has none in clear, and names those that cannot be masked everywhere."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import Plan
from orchestrator.flow.course import Setting
from orchestrator.flow.kept_plans import learn_names

TOO_COMMON = "S180"


def masked_plan(setting: Setting, plan: Plan) -> Plan:
    """*plan* with each known secret masked, before it gets its digest. Raises S181."""
    learn_names(setting, plan)
    data = plan.to_json()
    masked = setting.secrets.data(data)
    try:
        return plan if masked is data else Plan.from_json(masked)
    except ValueError as error:
        message = "a secret has the value of a name or a path that the plan needs, so the plan cannot be shown"
        raise OrchestratorError("S181", message) from error


def ordinary_secrets(setting: Setting) -> list[str]:
    """A note of each secret whose value is too short or too common to be masked wherever it occurs."""
    return [
        f"the value of {key} ({source}) is short or common: it is masked where its key is beside it ({TOO_COMMON})"
        for source, key in setting.secrets.ordinary()
    ]
