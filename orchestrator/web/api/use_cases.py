"""The route by which the command line calls use cases: see decision 0043."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.management.use_cases import use_case_called
from orchestrator.web.api.changing import Key, Result, Writer, reply_once
from orchestrator.web.api.documents import PREFIX, ordered_document
from orchestrator.web.api.orders import Order
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
    """
    app, found = managed_application(request), use_case_called(case)

    def work() -> Result:
        return 200, "Result", {"result": found.call(app, who.actor, order.arguments)}

    try:
        return reply_once(request, who, key, order, work, ordered_document)
    except OrchestratorErrors as errors:
        return _problem(request, errors.errors)
    except OrchestratorError as error:
        return _problem(request, [error])


def _problem(request: Request, errors: list[OrchestratorError]) -> Response:
    """The problem document of the first error, with all *errors* as `--json` has them."""
    document = problem_document(errors[0], request.state.request_id)
    body = json.dumps({**document, "errors": [error.to_json() for error in errors]})
    return Response(body, status_of(errors[0]), {}, PROBLEM)
