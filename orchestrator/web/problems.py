"""Errors as `application/problem+json`, with the codes of the catalogue."""

from http import HTTPStatus
from typing import Any

from fastapi.responses import Response

from orchestrator.domain.errors import Exit, OrchestratorError, OrchestratorErrors, lookup
from orchestrator.domain.model import canonical_json

PROBLEM = "application/problem+json"
BY_EXIT = {
    Exit.USAGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Exit.NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    Exit.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Exit.BUSY: HTTPStatus.CONFLICT,
    Exit.UNEXPECTED_CHANGES: HTTPStatus.PRECONDITION_FAILED,
    Exit.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    Exit.FAILED: HTTPStatus.CONFLICT,
}
OF_THE_SERVER = ("S", "M")
"""Families of codes about the store and the program: what failed there is not a conflict with a request."""
BY_CODE = {
    "A108": HTTPStatus.UNAUTHORIZED,
    "N112": HTTPStatus.METHOD_NOT_ALLOWED,
    "N120": HTTPStatus.UNAUTHORIZED,
    "N121": HTTPStatus.UNAUTHORIZED,
    "N123": HTTPStatus.TOO_MANY_REQUESTS,
    "N128": HTTPStatus.TOO_MANY_REQUESTS,
    "N142": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "N151": HTTPStatus.SERVICE_UNAVAILABLE,
    "N158": HTTPStatus.BAD_REQUEST,
    "N165": HTTPStatus.SERVICE_UNAVAILABLE,
    "N166": HTTPStatus.TOO_MANY_REQUESTS,
    "S112": HTTPStatus.SERVICE_UNAVAILABLE,
    "S113": HTTPStatus.INSUFFICIENT_STORAGE,
    "S115": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Codes whose status does not follow from their exit status."""
PASSING = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})
RETRY_AFTER_S = "5"
PROBLEM_RESPONSE: dict[str, Any] = {
    "description": "A problem (RFC 9457) with a code of the catalogue",
    "content": {
        PROBLEM: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "code", "detail", "hint", "request"],
                "properties": {
                    name: {"type": "integer" if name == "status" else "string"}
                    for name in ("type", "title", "status", "code", "detail", "hint", "request")
                },
            },
            "example": {
                "type": "/errors/A101",
                "title": "right missing",
                "status": 403,
                "code": "A101",
                "detail": "user:ann may not promote in production",
                "hint": "`orchestrator can-i` shows who may",
                "request": "5f2c9a0d1e3b4c67",
            },
        }
    },
}
"""How the description of the API shows every error."""


def status_of(error: OrchestratorError) -> HTTPStatus:
    """The HTTP status of *error*."""
    if error.exit is Exit.FAILED and error.code.startswith(OF_THE_SERVER):
        return BY_CODE.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    return BY_CODE.get(error.code) or BY_EXIT.get(error.exit, HTTPStatus.INTERNAL_SERVER_ERROR)


def problem_document(error: OrchestratorError, request_id: str) -> dict[str, Any]:
    """*error* as a problem document (RFC 9457). The remedy is the hint, or that of the catalogue."""
    entry = lookup(error.code)
    return {
        "type": f"/errors/{error.code}",
        "title": entry.title,
        "status": int(status_of(error)),
        "code": error.code,
        "detail": error.message,
        "hint": error.hint or entry.remedy,
        "request": request_id,
    }


def problem_response(error: OrchestratorError, request_id: str) -> Response:
    """The response for *error*."""
    found = status_of(error)
    headers = {"Retry-After": RETRY_AFTER_S} if found in PASSING else {}
    if found is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(canonical_json(problem_document(error, request_id)), found, headers, PROBLEM)


def first_of(errors: OrchestratorErrors) -> OrchestratorError:
    """The error that represents several."""
    return errors.errors[0]
