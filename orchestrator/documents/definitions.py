"""The documents that the commands of project definitions print with `--json`, as models."""

from typing import Literal

from orchestrator.documents.head import Document
from orchestrator.domain.project_definition import DefinitionChange, ProjectDefinition, ShownDefinition


class ProjectDefinitionsDocument(Document):
    """`orchestrator project definitions --json`, the newest first."""

    kind: Literal["ProjectDefinitions"]
    definitions: tuple[ProjectDefinition, ...]
    cursor: str | None


class ProjectDefinitionDocument(ShownDefinition, Document):
    """`orchestrator project show --json`."""

    kind: Literal["ProjectDefinition"]


class DefinitionChangeDocument(DefinitionChange, Document):
    """`orchestrator project push --json`, and that of `project use`."""

    kind: Literal["DefinitionChange"]


MODELS: dict[str, type[Document]] = {
    "project-definitions": ProjectDefinitionsDocument,
    "project-definition": ProjectDefinitionDocument,
    "definition-change": DefinitionChangeDocument,
}
