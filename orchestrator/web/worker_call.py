"""What pages show of a call that a worker executes for the server: a plan, drift or parity."""

from dataclasses import dataclass
from typing import Any

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.application import ManagedApplication
from orchestrator.management.sent_types import from_data
from orchestrator.management.use_cases import use_case_called
from orchestrator.management.worker_calls import read_call, submit_call

NO_CALL = "N111"


@dataclass(frozen=True)
class CallView:
    """The call *id*. At its end it has a *result*, of the type of its use case, or *errors* with code and message."""

    id: str
    has_ended: bool
    result: Any = None
    errors: tuple[dict[str, Any], ...] = ()


def have_done(app: ManagedApplication, actor: Actor, case: str, arguments: dict[str, Any]) -> str:
    """Record a call of *case* for a worker, for an actor with the rights to it; its id. Raises A101 and N140."""
    return submit_call(app, actor, use_case_called(case), arguments).id


def call_view(app: ManagedApplication, actor: Actor, call: str, case: str, about: dict[str, Any]) -> CallView | None:
    """The *call* of *actor* if it is of *case* with the arguments *about*; None for another one, and if it is gone."""
    try:
        found = read_call(app, actor, call)
    except OrchestratorError as error:
        if error.code != NO_CALL:
            raise
        return None
    if found.case != case or any(found.arguments.get(name) != value for name, value in about.items()):
        return None
    if found.ended_at is None or found.errors:
        return CallView(found.id, found.ended_at is not None, errors=found.errors)
    return CallView(found.id, True, from_data(use_case_called(case).result_type, found.result))
