"""What belongs into packages: settings of the project (`orchestrator.yaml`) and of a release (`release.yaml`)."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from orchestrator.domain.model import Model, RelativePath
from orchestrator.domain.quantities import Size

Pattern = Annotated[str, StringConstraints(pattern=r"^[^\u0000-\u001f]+$", max_length=1024)]


def _narrow(path: str) -> str:
    if all(part in {"", "."} for part in path.split("/")):
        raise ValueError("is the whole project; name the file or folder that has the key material")
    return path


class KeyMaterial(Model):
    """Key material that a package may have, and why.

    *path* is a file or folder of the project, an archive, or a file in an archive (`dist/shop.tar.gz!etc/key.pem`).
    Installed requirements start with `requirements/`.
    """

    path: Annotated[RelativePath, AfterValidator(_narrow)]
    reason: Annotated[str, StringConstraints(pattern=r"^[^\u0000-\u001f]*\S[^\u0000-\u001f]*$", max_length=500)]


class Excluding(Model):
    """What is left out of packages. *exclude* are patterns as in `.gitignore`."""

    exclude: tuple[Pattern, ...] = ()


class ReleasePacking(Excluding):
    """What is left out of the packages of a release, and which key material they may have all the same."""

    key_material: tuple[KeyMaterial, ...] = Field(default=(), exclude_if=lambda named: not named)


class GalaxyRule(Model):
    """How `ansible-galaxy` is run. *environment* names variables of the controller that it is given as well."""

    environment: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)], ...] = ()


class Packing(Excluding):
    """What is left out of all packages of a project, and how large the tree in a package may be.

    *max_files* and *max_size* do not count artifacts, installed requirements and our collection. *galaxy* is about
    the requirements that are installed.
    """

    max_files: int = Field(default=5000, ge=1, le=40_000)
    max_size: Size = "100MiB"
    galaxy: GalaxyRule = Field(default_factory=GalaxyRule, exclude_if=lambda rule: rule == GalaxyRule())
