"""The head of every document that a command writes with `--json`."""

from typing import Literal

from orchestrator.domain.model import Model


class Document(Model):
    """The head that every document has."""

    apiVersion: Literal["orchestrator/v1"]
