"""The files of a project, read without opening it: their names, their schemas, and new ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import declared, find_project, load_project, scaffold
from orchestrator.config.implementation import implementation_files, load_implementation
from orchestrator.config.schema import schema
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import NAME
from orchestrator.folders import reference_folder, templates_folder


def environment_names(start: Path) -> list[str]:
    """The environments of the project around *start*, whatever may be wrong with their files. Raises F-codes."""
    root = find_project(start)
    return declared(root, load_project(root))


def place_names(start: Path) -> list[str]:
    """The environments of the project around *start*, then its lists of waves. Raises F-codes."""
    root = find_project(start)
    project = load_project(root)
    return [*declared(root, project), *(waves.name for waves in project.waves)]


def template_names(start: Path) -> list[str]:
    """The templates of implementation plans in the project around *start*, by name. Raises F-codes."""
    return [file.stem for file in implementation_files(find_project(start))]


def task_names(start: Path) -> list[str]:
    """The tasks of the templates of the project around *start*, as `launch:announce`. Raises F-codes."""
    root = find_project(start)
    files = {file.stem: load_implementation(file, root) for file in implementation_files(root)}
    return [f"{name}:{task.name}" for name, template in files.items() for task in template.tasks]


def file_schema(kind: str) -> dict[str, object]:
    """The JSON Schema of the file of this *kind*: `release`, `environment`, `project` or `implementation`."""
    return schema(kind)


@dataclass(frozen=True)
class NewFiles:
    """The *files* that a project *name* in *folder* lacks, each with its path and content.

    *completes* is whether the folder has programs, playbooks or tests of its own.
    """

    folder: Path
    name: str
    completes: bool
    files: Sequence[tuple[str, bytes]]

    @property
    def paths(self) -> list[str]:
        """Their paths below the folder."""
        return [path for path, _ in self.files]

    def write(self) -> None:
        """Write all of them, or none. Existing files are not changed."""
        scaffold.write_files(self.folder, self.files)


def new_project_files(folder: Path, name: str | None) -> NewFiles:
    """What *folder* lacks to be a project *name* (None: by the name of the folder). Raises F126 and F-codes."""
    if name is not None and not NAME.fullmatch(name):
        hint = f"--name {scaffold.slug(name, 'project')}"
        message = f"{name!r} is not a name: lower-case letters, digits and dashes, at most 63"
        raise OrchestratorError("F126", message, hint=hint)
    chosen = name or scaffold.project_name(folder)
    completes = folder.is_dir() and scaffold.survey(folder).anything
    files = scaffold.missing(folder, chosen, reference_folder(), templates_folder())
    return NewFiles(folder, chosen, completes, files)
