"""The key material that the releases of a project may have, by their own files."""

from pathlib import Path

from orchestrator.config import RELEASE, load_release
from orchestrator.domain.environment import Project
from orchestrator.domain.errors import OrchestratorErrors
from orchestrator.domain.packing import KeyMaterial


def allowed_key_material(root: Path, project: Project) -> tuple[KeyMaterial, ...]:
    """What the releases of the *project* at *root* name. A release whose file cannot be read names none."""
    found: list[KeyMaterial] = []
    for file in sorted((root / project.releases).glob(f"*/{RELEASE}")):
        try:
            found += load_release(file, root).package.key_material
        except OrchestratorErrors:  # it is reported where the release is checked
            continue
    return tuple(found)
