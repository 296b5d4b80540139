"""Use cases that start engines: a server records the call, and a worker executes it as its actor."""

import base64
import json
import logging
import secrets
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator import tracing
from orchestrator.background import repeated
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.worker_calls import CALLS_KEPT_FOR, CLAIM_LASTS, WorkerCall
from orchestrator.management.use_cases import UseCase, use_case_called
from orchestrator.secret_values import process_secrets

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

log = logging.getLogger("orchestrator.calls")
EXTEND_EVERY_S = CLAIM_LASTS.total_seconds() / 4


def submit_call(app: "ManagedApplication", actor: Actor, case: UseCase, arguments: Mapping[str, Any]) -> WorkerCall:
    """Record a call of *case* for a worker, if *actor* has the rights to it.

    Raises what `require_acceptable` does, and N140 if no worker is running, which would execute it.
    """
    case.require_acceptable(app, actor, arguments)
    if not app.scheduler_runs():
        raise OrchestratorError("N140", "no worker of the server is running, which would do this")
    call = WorkerCall(
        id=secrets.token_hex(16),
        case=case.name,
        arguments=dict(arguments),
        actor=actor,
        at=_now(app),
        trace=tracing.current(),
    )
    app.worker_calls.add(call)
    return call


def read_call(app: "ManagedApplication", actor: Actor, call: str) -> WorkerCall:
    """The *call*, for its own actor. Raises N111 for any other, and for one that is too old."""
    found = app.worker_calls.get(call)
    if found is None or found.actor.principal != actor.principal:
        raise OrchestratorError("N111", f"there is no call {call}")
    if not found.sealed:
        return found
    opened = app.keys.decrypt(base64.b64decode(found.sealed), _about(found.id))
    return found.model_copy(update={"result": json.loads(opened)})


def answer_call(app: "ManagedApplication", call: WorkerCall) -> WorkerCall:
    """Execute *call*, which this process has taken, and record its result. Returns it as it ended."""
    try:
        with _extended(app, call), tracing.record_span(f"call {call.case}", parent=call.trace, call=call.id) as traced:
            ended = _ended(app, call)
            traced.note({}, failed="errors" in ended)
    finally:
        tracing.flush()
    done = call.model_copy(update={**ended, "ended_at": _now(app)})
    app.worker_calls.change(done)
    return done


def _ended(app: "ManagedApplication", call: WorkerCall) -> dict[str, Any]:
    """Execute *call*; the fields with its result, or with its errors."""
    try:
        app.refresh_definition()
        case = use_case_called(call.case)
        return _kept(app, call, case, case.call(app, call.actor, call.arguments))
    except OrchestratorErrors as errors:
        return {"errors": tuple(each.to_json() for each in errors.errors)}
    except OrchestratorError as error:
        return {"errors": (error.to_json(),)}
    except Exception:  # noqa: BLE001 - a mistake of ours, which every worker would repeat while the client waits
        log.error("call %s failed: %s", call.id, process_secrets().text(traceback.format_exc()))  # noqa: TRY400
        failed = OrchestratorError("M199", f"the call {call.id} failed; the log of the worker has the details")
        return {"errors": (failed.to_json(),)}


def _kept(app: "ManagedApplication", call: WorkerCall, case: UseCase, result: Any) -> dict[str, Any]:
    """The fields of *call* with its *result*, which is encrypted if it may have secrets. Raises S150 and S151."""
    if not case.is_sealed:
        return {"result": result}
    return {"sealed": base64.b64encode(app.keys.encrypt(json.dumps(result).encode(), _about(call.id))).decode()}


def _about(call: str) -> str:
    """What an encrypted result belongs to."""
    return f"worker-call/{call}"


def tidy_calls(app: "ManagedApplication") -> None:
    """Remove calls that are too old."""
    app.worker_calls.remove_before(_now(app) - CALLS_KEPT_FOR)


def _extended(app: "ManagedApplication", call: WorkerCall) -> AbstractContextManager[None]:
    """Keep the claim of *call* in the meantime."""

    def extend() -> bool:
        app.worker_calls.change(call.model_copy(update={"until": _now(app) + CLAIM_LASTS}))
        return True

    return repeated(extend, EXTEND_EVERY_S)


def _now(app: "ManagedApplication") -> datetime:
    return parse_moment(app.acting.clock.now())
