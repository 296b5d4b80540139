"""What a plan shows of secrets: it has none in clear, and names those that cannot be masked everywhere."""

from typing import Any

from orchestrator.domain.configuration import ORDINARY
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import Plan
from orchestrator.planning.plan_store import learn_names
from orchestrator.services import Services

SHOWN = ("notes", "conditions", "configuration", "unmet", "checked", "uninspected", "missing_credentials")
"""Parts of a plan that are for readers, or that are only compared."""


def masked_plan(services: Services, plan: Plan) -> Plan:
    """*plan* with known secrets masked where it only shows them, before it gets its digest. Adds warnings. Raises S181.

    What is executed stays as it is: a play must not get a mask as its variable. It comes from files with it in clear.
    """
    learn_names(services, plan)
    plan = plan.model_copy(update={"notes": (*plan.notes, *_about_ordinary(services))})
    data = plan.to_json()
    masked = services.secrets.data(data)
    try:
        return plan if masked is data else Plan.from_json(_only_shown(data, masked))
    except ValueError as error:
        message = "a secret has the value of something that the plan records of its configuration"
        raise OrchestratorError("S181", message) from error


def _only_shown(plain: dict[str, Any], masked: dict[str, Any]) -> dict[str, Any]:
    """The document *plain* with the parts of *masked* that nothing acts on."""
    made = {**plain, **{name: masked[name] for name in SHOWN if name in masked}}
    made["steps"] = [
        {**step, **({"preview": other["preview"]} if "preview" in step else {})}
        for step, other in zip(plain["steps"], masked["steps"], strict=True)
    ]
    target = masked["rollback_target"]
    made["rollback_target"] = {**plain["rollback_target"], "reason": target.get("reason", "")}
    if plain.get("stack") is not None:
        made["stack"] = {**plain["stack"], "refused": masked["stack"].get("refused", "")}
    return made


def _about_ordinary(services: Services) -> list[str]:
    """A note for each source of secrets whose values are too short or too common to be masked wherever they occur."""
    keys: dict[str, list[str]] = {}
    for source, key in services.secrets.ordinary():
        keys.setdefault(source, []).append(key)
    return [
        f"{source}: the values of {', '.join(found)} are short or common, and masked only beside their keys {ORDINARY}"
        for source, found in keys.items()
    ]
