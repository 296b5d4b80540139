"""What belongs into packages: settings of the project (`orchestrator.yaml`) and of a release (`release.yaml`)."""

from typing import Annotated

from pydantic import Field, StringConstraints

from orchestrator.domain.model import Model
from orchestrator.domain.quantities import Size

Pattern = Annotated[str, StringConstraints(pattern=r"^[^\u0000-\u001f]+$", max_length=1024)]


class ReleasePacking(Model):
    """What is left out of the packages of a release. *exclude* are patterns as in `.gitignore`."""

    exclude: tuple[Pattern, ...] = ()


class Packing(ReleasePacking):
    """What is left out of all packages of a project, and how large the tree in a package may be.

    *max_files* and *max_size* do not count artifacts, installed requirements and our collection.
    """

    max_files: int = Field(default=5000, ge=1, le=40_000)
    max_size: Size = "100MiB"
