"""The file from which change requests are imported."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from orchestrator.domain.model import Model
from orchestrator.management.change_requests.model import ChangeDraft

Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class FileRequest(ChangeDraft):
    """One change request of the file. *reference* identifies it when the file is imported again."""

    reference: Reference


class ChangeFile(Model):
    """A file with change requests."""

    apiVersion: Literal["orchestrator/v1"]
    kind: Literal["ChangeRequests"]
    requests: tuple[FileRequest, ...]
