"""Reading files only to see whether they are right: what `validate` and `doctor` share."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import orchestrator.config as files
from orchestrator.app.named_checks import ACCESS, ProjectNames, access_problems, is_access_file, rule_problems
from orchestrator.config.implementation import FOLDER, implementation_files, load_implementation
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors

Found = tuple[list[str], list[OrchestratorError], list[OrchestratorError]]
"""The files that were read, the errors and the warnings."""


def check_project(start: Path) -> Found:
    """The project's file, every environment, every release below its releases folder, and its `access.yaml`.

    If the project's file cannot be read, the default folders are searched.
    """
    root = files.find_project(start)
    checked, errors, warnings = check_paths((root / files.PROJECT,))
    project = ProjectNames(root).project
    wanted = [
        *sorted((root / project.environments).glob(f"*/{files.ENVIRONMENT}")),
        *sorted((root / project.releases).glob(f"*/{files.RELEASE}")),
        *implementation_files(root),
        *(file for file in (root / ACCESS,) if is_access_file(file)),
    ]
    more, new_errors, new_warnings = check_paths(tuple(wanted), root)
    known = {str(error) for error in new_errors}
    path = _caught(lambda: files.load_environments(root, project))
    new_errors += [error for error in path if str(error) not in known]
    return checked + more, errors + new_errors, warnings + new_warnings


def check_paths(paths: tuple[Path, ...], root: Path | None = None) -> Found:
    """Each of *paths*: a file of one of the five kinds, or a folder that holds one or more of them."""
    checked: list[str] = []
    errors: list[OrchestratorError] = []
    warnings: list[OrchestratorError] = []
    names: dict[Path, ProjectNames] = {}
    for path in paths:
        found_files = _files(path)
        if not found_files:
            hint = f"name a folder that holds {files.PROJECT}, {files.ENVIRONMENT} or {files.RELEASE}, or such a file"
            errors.append(OrchestratorError("F114", f"there is nothing to check in {path}", hint=hint))
        for file in found_files:
            checked.append(_shown(file))
            place = root or _root(file)
            found = check_file(file, names.setdefault(place, ProjectNames(place)))
            errors += [error for level, error in found if level == "error"]
            warnings += [error for level, error in found if level == "warning"]
    return checked, errors, warnings


def check_file(file: Path, names: ProjectNames) -> list[tuple[str, OrchestratorError]]:
    """What is wrong with one file, each with `error` or `warning`."""
    root = names.root
    if file.name == files.PROJECT:
        errors = _caught(lambda: files.load_project(file.parent))
        return [*[("error", error) for error in errors], *rule_problems(file, names)]
    if file.name == files.ENVIRONMENT:
        errors = _caught(lambda: files.load_environment(file, root))
        return [*[("error", error) for error in errors], *rule_problems(file, names)]
    if is_access_file(file):
        return access_problems(file, names)
    if file.absolute().parent.name == FOLDER and file.name != files.RELEASE:
        return [("error", error) for error in _caught(lambda: load_implementation(file, root))]
    errors = _caught(lambda: files.load_release(file, root))
    found = [("error", error) for error in errors]
    with contextlib.suppress(OrchestratorErrors):  # it cannot be read at all: that is among the errors
        found += files.missing_files(file, root)
        found += [("error", error) for error in _unknown_targets(file, names)]
    return found


def _unknown_targets(file: Path, names: ProjectNames) -> list[OrchestratorError]:
    """Targets that the project around *file* does not have; none are known outside of a project."""
    if not names.is_readable:
        return []
    return files.unknown_targets(file, names.root, names.environments)


def _caught(load: Callable[[], object]) -> list[OrchestratorError]:
    try:
        load()
    except OrchestratorErrors as found:
        return found.errors
    except OrchestratorError as error:
        return [error]
    return []


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    names = (files.PROJECT, files.ENVIRONMENT, files.RELEASE)
    here = [path / name for name in names if (path / name).is_file()]
    return here or sorted(file for name in names for file in path.glob(f"*/{name}"))


def _root(file: Path) -> Path:
    try:
        return files.find_project(file.parent)
    except OrchestratorError:
        return file.resolve().parent


def _shown(file: Path) -> str:
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)
