"""The description of the API: OpenAPI 3.1 with the schema of every document and every problem that a route returns."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from orchestrator.domain.model import Model
from orchestrator.web.api.answers import CHANGING, EVENTS, READING, answers_of
from orchestrator.web.api.documents import PREFIX
from orchestrator.web.problems import PROBLEM_RESPONSE

REFERENCE = "#/components/schemas/{model}"
PROBLEM_REFERENCE = {"$ref": "#/components/responses/Problem"}
ALWAYS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Problems that each route can return."""
OF_CHANGES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.GATEWAY_TIMEOUT,
    HTTPStatus.INSUFFICIENT_STORAGE,
)
"""Problems of routes that change something."""
OF_CALLS = ("/worker-calls/{call}",)
"""Routes that read, and return the problem of a change."""
WITHOUT_CREDENTIAL = ("POST /token-exchange", "POST /hooks/{hook}")
SECURITY: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of `orchestrator token create`."},
    "session": {"type": "apiKey", "in": "cookie", "name": "orchestrator", "description": "The session of a browser."},
}
NOT_CHANGED: dict[str, Any] = {"description": "The client has this version already: `If-None-Match`."}
STREAM: dict[str, Any] = {
    "description": "A stream of events. Each has the id after which a listener continues.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


def described_api(server: FastAPI) -> dict[str, Any]:
    """The description of the API of *server*. It is made once."""
    if server.openapi_schema is None:
        server.openapi_schema = _described(server)
    return server.openapi_schema


def _described(server: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=server.title, version=server.version, routes=server.routes)
    places, definitions = models_json_schema(
        [(model, "validation") for model in _models()], ref_template=REFERENCE, by_alias=True
    )
    schemas = {cast("type[Model]", model): place for (model, _), place in places.items()}
    components = made["components"]
    components["schemas"] = {**definitions["$defs"], **components["schemas"]}
    components["responses"] = {"Problem": PROBLEM_RESPONSE}
    components["securitySchemes"] = SECURITY
    made["security"] = [{name: []} for name in SECURITY]
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _describe(method.upper(), path.removeprefix(PREFIX), operation, schemas)
    return made


def _models() -> Iterator[type[Model]]:
    """Every model of a document of the API, once."""
    found = [each for answers in (*READING.values(), *CHANGING.values(), *EVENTS.values()) for each in answers.values()]
    yield from dict.fromkeys(model for each in found for model in (each if isinstance(each, tuple) else (each,)))


def _describe(method: str, path: str, operation: dict[str, Any], schemas: dict[type[Model], Any]) -> None:
    """Add the documents and the problems of one route to its *operation*."""
    given = operation["responses"]
    given.pop("default", None)
    for status, found in (answers_of(method, path) or {}).items():
        models = found if isinstance(found, tuple) else (found,)
        places = [schemas[model] for model in models]
        response = given.setdefault(str(status), {"description": HTTPStatus(status).phrase})
        response["content"] = {"application/json": {"schema": places[0] if len(places) == 1 else {"anyOf": places}}}
    if path in {"/events", "/record-events"}:
        given["200"] = STREAM
    if method == "HEAD":
        given["200"].pop("content", None)
    if method == "GET":
        given["304"] = NOT_CHANGED
    for status in _problems(method, path):
        given[str(int(status))] = {"description": status.phrase} if method == "HEAD" else PROBLEM_REFERENCE
    if f"{method} {path}" in WITHOUT_CREDENTIAL:
        operation["security"] = []


def _problems(method: str, path: str) -> Iterator[HTTPStatus]:
    yield from ALWAYS
    if method not in {"GET", "HEAD"} or path in OF_CALLS:
        yield from OF_CHANGES
    else:
        yield HTTPStatus.NOT_FOUND
