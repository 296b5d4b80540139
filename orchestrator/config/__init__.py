"""Files and environment variables → what the rest of the program works with. Errors carry file, line and column."""

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from orchestrator.config.diagnose import build
from orchestrator.config.source import Path_, Source, read_source
from orchestrator.domain.access.providers import provider_faults
from orchestrator.domain.environment import Environment, Project
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors, Where
from orchestrator.domain.model import LONGEST_PATH, RELATIVE
from orchestrator.domain.release import Release
from orchestrator.domain.waves import Waves

ARTIFACT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
PROJECT, ENVIRONMENT, RELEASE = "orchestrator.yaml", "environment.yaml", "release.yaml"

Environments = dict[str, tuple[Environment, Path]]


def find_project(start: Path) -> Path:
    """The nearest folder, from *start* upwards, with an `orchestrator.yaml`. Raises F130."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / PROJECT).is_file():
            return folder
    raise OrchestratorError("F130", f"there is no {PROJECT} in {start} or above it", hint="orchestrator init makes one")


def state_folder(root: Path, environ: Mapping[str, str]) -> Path:
    """Where everything that is kept goes: `ORCHESTRATOR_STATE`, or `.orchestrator/` in the project. Made 0700.

    In a fresh clone the project's own exists already, with the schemas and open to others: it is closed. Raises M105
    when it cannot be made.
    """
    chosen = environ.get("ORCHESTRATOR_STATE")
    folder = Path(chosen or root / ".orchestrator").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        why = error.strerror or type(error).__name__
        hint = "correct ORCHESTRATOR_STATE, or unset it" if chosen else None
        raise OrchestratorError("M105", f"{folder} cannot be created: {why}", hint=hint) from error
    if not chosen and folder.stat().st_mode & 0o077:
        with contextlib.suppress(OSError):  # it belongs to another user, who has given access
            folder.chmod(0o700)
    return folder


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where what can be made again goes: `orchestrator/` in `XDG_CACHE_HOME`, or in `~/.cache`."""
    return Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "/")) / ".cache") / "orchestrator"


def search_path(environ: Mapping[str, str]) -> str:
    """PATH, and where there is no `ssh` on it, the folder with the one that `hosts install` has unpacked at its end."""
    path = environ.get("PATH", os.defpath)
    client = cache_folder(environ) / "sshd" / "client"
    if shutil.which("ssh", path=path) or not client.is_dir():
        return path
    return f"{path}{os.pathsep}{client}"


def load_project(root: Path) -> Project:
    """The project's file. Raises F-codes."""
    return build(read_source(root / PROJECT, PROJECT), Project, _repeated_providers)


def _repeated_providers(source: Source) -> Iterator[OrchestratorError]:
    """An error F161 for each sign-in provider with the name or the issuer of an earlier one."""
    rules = source.data.get("sign_in")
    for index, key, value in provider_faults(rules.get("providers") if isinstance(rules, dict) else None):
        where = source.where(("sign_in", "providers", index, key))
        hint = "each provider has a name and an issuer of its own"
        yield OrchestratorError("F161", f"two providers have the {key} {value}", where=where, hint=hint)


def load_release(file: Path, root: Path | None = None) -> Release:
    """A `release.yaml`. Raises F-codes; *root* shortens the file's name in them."""
    return build(read_source(file, _shown(file, root)), Release, _release_problems)


def load_environment(file: Path, root: Path | None = None) -> Environment:
    """An `environment.yaml`. Raises F-codes."""
    folder = file.absolute().parent.name

    def named_as_its_folder(source: Source) -> Iterator[OrchestratorError]:
        name = source.data.get("name")
        if isinstance(name, str) and name != folder:
            message = f"the name {name!r} is not that of its folder, {folder!r}"
            hint = f"write name: {folder}, or rename the folder to {name}"
            yield OrchestratorError("F131", message, where=source.where(("name",)), hint=hint)

    return build(read_source(file, _shown(file, root)), Environment, named_as_its_folder)


def load_environments(root: Path, project: Project) -> Environments:
    """Every environment of the project with its folder, in the order of the path. Raises F-codes, all at once.

    The project's lists of waves are included: they consist of environments.
    """
    found: Environments = {}
    errors: list[OrchestratorError] = []
    for file in sorted((root / project.environments).glob(f"*/{ENVIRONMENT}")):
        try:
            environment = load_environment(file, root)
            found[environment.name] = (environment, file.parent)
        except OrchestratorErrors as problem:
            errors += problem.errors
    _raise(errors)
    ordered = in_order(found, root)
    if project.waves:
        _raise(list(_wave_problems(read_source(root / PROJECT, PROJECT), project, ordered)))
    return ordered


def _wave_problems(source: Source, project: Project, environments: Environments) -> Iterator[OrchestratorError]:
    """What is wrong between lists of waves and environments: F150 to F153."""
    names: list[str] = []
    for number, waves in enumerate(project.waves):
        if waves.name in environments or waves.name in names:
            what = "an environment" if waves.name in environments else "another list of waves"
            where = source.where(("waves", number, "name"))
            hint = "--to takes both: give the waves a name of their own"
            yield OrchestratorError("F152", f"{waves.name!r} is the name of {what} too", where=where, hint=hint)
        names.append(waves.name)
        places = [
            (name, source.where(("waves", number, "environments", wave, place)))
            for wave, members in enumerate(waves.environments)
            for place, name in enumerate(members)
        ]
        yield from _misplaced(waves, places, environments)


def _misplaced(
    waves: Waves, places: list[tuple[str, Where]], environments: Environments
) -> Iterator[OrchestratorError]:
    seen: dict[str, Where] = {}
    for name, where in places:
        if name not in environments:
            close = get_close_matches(name, environments, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(environments) or 'none'}"
            yield OrchestratorError("F150", f"there is no environment {name!r}", where=where, hint=hint)
            continue
        if name in seen:
            message = f"{name} appears twice in the waves {waves.name}"
            hint = f"remove one of the two; the first is in line {seen[name].line}"
            yield OrchestratorError("F151", message, where=where, hint=hint)
            continue
        seen[name] = where
        after = environments[name][0].after
        if after in waves.names and after not in waves.before(name):
            hint = f"put {after} into an earlier wave"
            message = f"{name} comes after {after}, which is not in an earlier wave"
            yield OrchestratorError("F153", message, where=where, hint=hint)


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
        if item.after not in environments:
            close = get_close_matches(str(item.after), environments, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(environments)}"
            message = f"{name} comes after {item.after!r}, which is not an environment"
            return OrchestratorError("F132", message, where=_after(folder, root), hint=hint)
    circle = _circle(waiting)
    message = f"these environments come after each other in a circle: {', '.join(circle)}"
    hint = f"remove after: from the first one of the path, such as {circle[0]}"
    return OrchestratorError("F133", message, where=_after(waiting[circle[0]][1], root), hint=hint)


def _circle(waiting: Environments) -> list[str]:
    """The members of the circle that the first of *waiting* leads to."""
    path = [next(iter(waiting))]
    while (after := str(waiting[path[-1]][0].after)) not in path:
        path.append(after)
    return path[path.index(after) :][::-1]


def _after(folder: Path, root: Path | None) -> Where:
    file = folder / ENVIRONMENT
    return read_source(file, _shown(file, root)).where(("after",))


def find_release(root: Path, project: Project, wanted: str) -> Path:
    """The `release.yaml` that *wanted* means: a file, a folder, or a name below the releases folder. Raises F134."""
    for candidate in (Path(wanted), root / wanted, root / project.releases / wanted):
        if candidate.is_file():
            return candidate.resolve()
        if (candidate / RELEASE).is_file():
            return (candidate / RELEASE).resolve()
    known = ", ".join(sorted(file.parent.name for file in (root / project.releases).glob(f"*/{RELEASE}"))) or "none"
    hint = "name a release.yaml or the folder that holds one"
    raise OrchestratorError(
        "F134", f"the release {wanted!r} does not exist ({project.releases}/ has: {known})", hint=hint
    )


def resolve_path(base: Path, root: Path, relative: str) -> Path | None:
    """The file or folder that a path in a release means: beside its `release.yaml`, otherwise in the project."""
    return next((folder / relative for folder in (base, root) if (folder / relative).exists()), None)


def missing_files(file: Path, root: Path) -> list[tuple[str, OrchestratorError]]:
    """The missing files that a release refers to: `error`, or `warning` for an artifact still to be built, and why.

    Other mistakes in the file do not matter. Raises `OrchestratorErrors` when nothing of it can be read.
    """
    source = read_source(file, _shown(file, root))
    wanted: list[tuple[Path_, object, str]] = []
    for number, step in _items(source.data, "steps"):
        wanted.append((("steps", number, "playbook"), step.get("playbook"), "error"))
        if step.get("undo") not in ("nothing", "impossible"):
            wanted.append((("steps", number, "undo"), step.get("undo"), "error"))
        canary = _get(_get(step, "rollout"), "canary")
        found = _gates(("steps", number, "rollout", "canary"), canary)
        sides = _get(_get(step, "rollout"), "blue_green")
        found = [*found, *_gates(("steps", number, "rollout", "blue_green"), sides)]
        wanted += [(*item, "error") for item in _of_gates(found)]
        for word in ("switch", "retire"):
            wanted.append((("steps", number, "rollout", "blue_green", word), _get(sides, word), "error"))
    for number, suite in _items(source.data, "verify"):
        wanted.append((("verify", number, "tests"), suite.get("tests"), "error"))
    wanted += [(("include", number), path, "error") for number, path in enumerate(_list(source.data, "include"))]
    if isinstance(watch := _get(source.data, "watch"), dict):
        wanted.append((("watch", "tests"), watch.get("tests"), "error"))
        wanted += [(*item, "error") for item in _of_gates(_gates(("watch",), watch))]
    for number, item in _items(source.data, "artifacts"):
        wanted.append((("artifacts", number, "path"), item.get("path"), "warning"))
    return [
        (level, _missing(source, at, path))
        for at, path, level in wanted
        if isinstance(path, str) and _inside(path) and resolve_path(file.parent, root, path) is None
    ]


def _missing(source: Source, at: Path_, path: str) -> OrchestratorError:
    message = f"there is no {path!r} beside the release or in the project"
    hint = "build it first, or correct the path" if at[0] == "artifacts" else "correct the path, or write the file"
    return OrchestratorError("F135", message, where=source.where(at), hint=hint)


def unknown_targets(file: Path, root: Path, known: Collection[str]) -> list[OrchestratorError]:
    """The environments that a release goes to and the project, which has the *known* ones, does not declare."""
    source = read_source(file, _shown(file, root))
    names = ", ".join(known)
    hint = f"the project has {names}" if names else "write environments/NAME/environment.yaml"
    return [
        OrchestratorError(
            "F138", f"the project has no environment {name!r}", where=source.where(("environments", number)), hint=hint
        )
        for number, name in enumerate(_list(source.data, "environments"))
        if isinstance(name, str) and name not in known
    ]


def declared(root: Path, project: Project) -> list[str]:
    """The names of the project's environments, by their folders, whatever may be wrong with their files."""
    return sorted(file.parent.name for file in (root / project.environments).glob(f"*/{ENVIRONMENT}"))


def _inside(path: str) -> bool:
    return re.match(RELATIVE, path) is not None and len(path) <= LONGEST_PATH


def _get(data: object, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


def _list(data: object, key: str) -> list[Any]:
    found = _get(data, key)
    return found if isinstance(found, list) else []


def _items(data: object, key: str) -> list[tuple[int, dict[str, Any]]]:
    """The mappings in the list *key*, each with its number."""
    return [(number, item) for number, item in enumerate(_list(data, key)) if isinstance(item, dict)]


def _gates(at: Path_, holder: object) -> list[tuple[Path_, dict[str, Any]]]:
    """The gates of *holder*, which is found *at* this place, each with its own place."""
    return [((*at, "gates", number), gate) for number, gate in _items(holder, "gates")]


def _of_gates(found: list[tuple[Path_, dict[str, Any]]]) -> Iterator[tuple[Path_, object]]:
    """The files that gates name, each with its place."""
    for at, gate in found:
        yield (*at, "tests"), gate.get("tests")
        yield (*at, "prometheus", "ca"), _get(gate.get("prometheus"), "ca")


def _release_problems(source: Source) -> Iterator[OrchestratorError]:
    """What is wrong between the parts of a release, found in the plain data even if other parts are invalid."""
    names: list[tuple[Path_, object]] = []
    for group in ("steps", "verify"):
        names += [((group, number, "name"), item.get("name")) for number, item in _items(source.data, group)]
    for number, item in _items(source.data, "artifacts"):
        path = item.get("path")
        name = item.get("name") or (path.rsplit("/", 1)[-1] if isinstance(path, str) else None)
        at: Path_ = ("artifacts", number, "name" if item.get("name") else "path")
        names.append((at, name))
        if isinstance(name, str) and not ARTIFACT.fullmatch(name):
            message = f"{name!r} cannot be an artifact's name"
            near = re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.")[:128] or "NAME"
            yield OrchestratorError("F137", message, where=source.where(at), hint=f"give it a plain one: name: {near}")
    names += [(("environments", number), name) for number, name in enumerate(_list(source.data, "environments"))]
    seen: dict[tuple[object, str], Path_] = {}
    for at, name in names:
        if isinstance(name, str):
            first = seen.setdefault((at[0], name), at)
            if first != at:
                hint = f"rename or remove one of them; the first is in line {source.where(first).line}"
                message = f"{name!r} appears twice in {at[0]}"
                yield OrchestratorError("F136", message, where=source.where(at), hint=hint)


def _shown(file: Path, root: Path | None) -> str:
    for base in (root, Path.cwd()):
        if base is not None and file.is_relative_to(base):
            return str(file.relative_to(base))
    return str(file)


def _raise(errors: list[OrchestratorError]) -> None:
    if errors:
        raise OrchestratorErrors(errors)
