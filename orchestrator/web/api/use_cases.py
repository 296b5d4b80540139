"""The route by which the command line calls use cases: see decision 0043."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.management.remote_application import error_of
from orchestrator.management.use_cases import use_case_called
from orchestrator.management.worker_calls import read_call, submit_call
from orchestrator.web.api.changing import Key, Result, Writer, reply_once
from orchestrator.web.api.documents import PREFIX, Who, encoded_document, ordered_document
from orchestrator.web.api.orders import ExchangeOrder, Order
from orchestrator.web.problems import PROBLEM, problem_document, status_of
from orchestrator.web.requests import managed_application

router = APIRouter(prefix=PREFIX)


class Call(Order):
    """The arguments of a use case by their names, as JSON data."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"arguments": {"environment": "staging"}}]})

    arguments: dict[str, Any] = Field(default_factory=dict)


@router.post("/use-cases/{case}", tags=["use cases"])
def post_use_case(request: Request, who: Writer, case: str, order: Call, key: Key = None) -> Response:
    """Call a use case as the command line does with `--server`. The result has the form of this version's types.

    Programs of other authors use the other routes, which are stable. A problem lists every error in `errors`.
    A use case that starts engines is executed by a worker: the response is 202, and its result is read with the id.
    """
    app, found = managed_application(request), use_case_called(case)

    def work() -> Result:
        if found.by_worker:
            return 202, "WorkerCall", {"call": submit_call(app, who.actor, found, order.arguments).id}
        return 200, "Result", {"result": found.call(app, who.actor, order.arguments)}

    try:
        return reply_once(request, who, key, order, work, ordered_document)
    except OrchestratorErrors as errors:
        return _problem(request, errors.errors)
    except OrchestratorError as error:
        return _problem(request, [error])


@router.post("/token-exchange", tags=["use cases"], status_code=201)
def post_exchange(request: Request, order: ExchangeOrder) -> Response:
    """Exchange the token of a CI job for one of a service account, valid for an hour. The request needs no token.

    It has no idempotency key: the response has a secret, which is kept nowhere. A repetition makes another token.
    """
    made = managed_application(request).exchange.exchange(order.token, order.account)
    shown = {name: value for name, value in made.token.to_json().items() if name != "sha256"}
    return Response(encoded_document("NewToken", {**shown, "token": made.text}), 201, {}, "application/json")


@router.get("/worker-calls/{call}", tags=["use cases"])
def get_worker_call(request: Request, who: Who, call: str) -> Response:
    """The result of a call that a worker executes, or 202 while it has none. Only its actor can read it."""
    found = read_call(managed_application(request), who.actor, call)
    if found.ended_at is None:
        return Response(encoded_document("WorkerCall", {"call": found.id}), 202, {}, "application/json")
    if found.errors:
        return _problem(request, [error_of(each) for each in found.errors])
    return Response(ordered_document("Result", {"result": found.result}), 200, {}, "application/json")


def _problem(request: Request, errors: list[OrchestratorError]) -> Response:
    """The problem document of the first error, with all *errors* as `--json` has them."""
    document = problem_document(errors[0], request.state.request_id)
    body = json.dumps({**document, "errors": [error.to_json() for error in errors]})
    return Response(body, status_of(errors[0]), {}, PROBLEM)
