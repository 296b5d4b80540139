"""JSON Schemas of the files, from the models that read them."""

from typing import Any

from orchestrator.domain.environment import Environment, Project
from orchestrator.domain.implementation import ImplementationTemplate
from orchestrator.domain.model import Model
from orchestrator.domain.release import Release

MODELS: dict[str, type[Model]] = {
    "release": Release,
    "environment": Environment,
    "project": Project,
    "implementation": ImplementationTemplate,
}


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file of this *kind*: `release`, `environment`, `project` or `implementation`."""
    made = MODELS[kind].model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"{kind}.yaml", **made}
