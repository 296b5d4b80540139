"""Files and environment variables → what the rest of the program works with. Errors carry file, line and column."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.config.diagnose import build
from orchestrator.config.source import Path_, Source, read
from orchestrator.domain.environment import Environment, Project
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.release import Release

PROJECT, ENVIRONMENT, RELEASE = "orchestrator.yaml", "environment.yaml", "release.yaml"

Environments = dict[str, tuple[Environment, Path]]


def find_project(start: Path) -> Path:
    """The nearest folder, from *start* upwards, with an `orchestrator.yaml`. Raises F130."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / PROJECT).is_file():
            return folder
    raise OrchestratorError("F130", f"there is no {PROJECT} in {start} or above it", hint="orchestrator init makes one")


def state_folder(root: Path, environ: Mapping[str, str]) -> Path:
    """Where everything that is kept goes: `ORCHESTRATOR_STATE`, else `.orchestrator/` in the project. Made 0700.

    Raises M105 when it cannot be made.
    """
    folder = Path(environ.get("ORCHESTRATOR_STATE") or root / ".orchestrator").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        why = error.strerror or type(error).__name__
        hint = "correct ORCHESTRATOR_STATE, or unset it" if environ.get("ORCHESTRATOR_STATE") else None
        raise OrchestratorError("M105", f"{folder} cannot be made: {why}", hint=hint) from error
    return folder


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where what can be made again goes: `orchestrator/` in `XDG_CACHE_HOME`, else in `~/.cache`."""
    return Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "/")) / ".cache") / "orchestrator"


def load_project(root: Path) -> Project:
    """The project's file. Raises F-codes."""
    return build(read(root / PROJECT, PROJECT), Project)


def load_release(file: Path, root: Path | None = None) -> Release:
    """A `release.yaml`. Raises F-codes; *root* shortens the file's name in them."""
    source = read(file, _shown(file, root))
    release = build(source, Release)
    _raise(list(_release_problems(source, release)))
    return release


def load_environment(file: Path, root: Path | None = None) -> Environment:
    """An `environment.yaml`. Raises F-codes."""
    source = read(file, _shown(file, root))
    environment = build(source, Environment)
    if environment.name != file.parent.name:
        message = f"the name {environment.name!r} is not that of its folder, {file.parent.name!r}"
        raise OrchestratorErrors([OrchestratorError("F131", message, where=source.where(("name",)))])
    return environment


def load_environments(root: Path, project: Project) -> Environments:
    """Every environment of the project with its folder, in the order of the path. Raises F-codes, all at once."""
    found: Environments = {}
    errors: list[OrchestratorError] = []
    for file in sorted((root / project.environments).glob(f"*/{ENVIRONMENT}")):
        try:
            environment = load_environment(file, root)
            found[environment.name] = (environment, file.parent)
        except OrchestratorErrors as problem:
            errors += problem.errors
    _raise(errors)
    return in_order(found, root)


def in_order(environments: Environments, root: Path | None = None) -> Environments:
    """*environments* with each after the one that it comes `after`. Raises F132 (unknown name) and F133 (a circle)."""
    ordered: Environments = {}
    waiting = dict(environments)
    while waiting:
        ready = [name for name, (item, _) in waiting.items() if item.after is None or item.after in ordered]
        if not ready:
            raise OrchestratorErrors([_stuck(environments, waiting, root)])
        for name in ready:
            ordered[name] = waiting.pop(name)
    return ordered


def _stuck(environments: Environments, waiting: Environments, root: Path | None) -> OrchestratorError:
    for name, (item, folder) in waiting.items():
        file = folder / ENVIRONMENT
        if item.after not in environments:
            where = read(file, _shown(file, root)).where(("after",))
            return OrchestratorError("F132", f"{name} comes after {item.after!r}, which is no environment", where=where)
    names = ", ".join(waiting)
    return OrchestratorError("F133", f"these environments come after each other in a circle: {names}")


def find_release(root: Path, project: Project, wanted: str) -> Path:
    """The `release.yaml` that *wanted* means: a file, a folder, or a name below the releases folder. Raises F134."""
    for candidate in (Path(wanted), root / wanted, root / project.releases / wanted):
        if candidate.is_file():
            return candidate.resolve()
        if (candidate / RELEASE).is_file():
            return (candidate / RELEASE).resolve()
    known = ", ".join(sorted(file.parent.name for file in (root / project.releases).glob(f"*/{RELEASE}"))) or "none"
    raise OrchestratorError("F134", f"there is no release {wanted!r} (in {project.releases}/ there are: {known})")


def resolve(base: Path, root: Path, relative: str) -> Path | None:
    """The file or folder that a path in a release means: beside its `release.yaml`, else in the project."""
    return next((folder / relative for folder in (base, root) if (folder / relative).exists()), None)


def missing_files(file: Path, root: Path, release: Release) -> list[tuple[str, OrchestratorError]]:
    """What a release refers to and is not there: why, and `error`, or `warning` for an artifact still to be built."""
    source = read(file, _shown(file, root))
    wanted: list[tuple[tuple[str | int, ...], str, str]] = []
    for number, step in enumerate(release.steps):
        wanted.append((("steps", number, "playbook"), step.playbook, "error"))
        if step.undo not in (None, "nothing", "impossible"):
            wanted.append((("steps", number, "undo"), str(step.undo), "error"))
    wanted += [(("verify", number, "tests"), item.tests, "error") for number, item in enumerate(release.verify)]
    wanted += [(("include", number), path, "error") for number, path in enumerate(release.include)]
    if release.watch is not None:
        wanted.append((("watch", "tests"), release.watch.tests, "error"))
    wanted += [(("artifacts", number, "path"), item.path, "warning") for number, item in enumerate(release.artifacts)]
    return [
        (
            level,
            OrchestratorError(
                "F135", f"there is no {path!r} beside the release or in the project", where=source.where(at)
            ),
        )
        for at, path, level in wanted
        if resolve(file.parent, root, path) is None
    ]


def _release_problems(source: Source, release: Release) -> Iterator[OrchestratorError]:
    groups: dict[str, list[tuple[str | None, str]]] = {
        "steps": [("name", step.name) for step in release.steps],
        "verify": [("name", item.name) for item in release.verify],
        "artifacts": [("name" if item.name else "path", item.file_name) for item in release.artifacts],
        "environments": [(None, name) for name in release.environments],
    }
    for group, items in groups.items():
        seen: set[str] = set()
        for number, (key, name) in enumerate(items):
            if name in seen:
                path: Path_ = (group, number) if key is None else (group, number, key)
                yield OrchestratorError("F136", f"{name!r} is there twice in {group}", where=source.where(path))
            seen.add(name)
    for number, item in enumerate(release.artifacts):
        if not re.match(r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}$", item.file_name):
            where = source.where(("artifacts", number))
            yield OrchestratorError("F137", f"{item.file_name!r} cannot be an artifact's name", where=where)


def _shown(file: Path, root: Path | None) -> str:
    for base in (root, Path.cwd()):
        if base is not None and file.is_relative_to(base):
            return str(file.relative_to(base))
    return str(file)


def _raise(errors: list[OrchestratorError]) -> None:
    if errors:
        raise OrchestratorErrors(errors)
