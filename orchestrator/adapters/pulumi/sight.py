"""What an isolated operation finds of the controller: its copy, the backend of its project, and its credentials.

Not the stacks of other Pulumi projects in the same backend, the copies and traces of other environments, or the keys of
hosts. Hosts on this machine are started and ended by a broker outside (`orchestrator.hosts.broker`).
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from orchestrator.adapters.pulumi.settings import PASSED_PREFIXES
from orchestrator.adapters.pulumi.trace import NAMESPACE
from orchestrator.adapters.pulumi.workspace import installed_folders
from orchestrator.adapters.views import Views
from orchestrator.domain.environment import EnvironmentSettings
from orchestrator.domain.view import View

PARTS = ("stacks", "history", "backups", "locks/organization")
"""Where a backend in a folder keeps what belongs to one project, below `.pulumi`."""

OF_ENGINE = ("plugins", "bin", "versions")
"""What an operation reads in Pulumi's home: the plugins, the engine and its language hosts."""

PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable
NOT_FILES = {"PULUMI_HOME", "PULUMI_BACKEND_URL", "PULUMI_PYTHON_CMD", PASSPHRASE}


# The package `orchestrator.hosts` imports Pulumi, which takes longer than all the rest.
BROKER = (
    "import sys, types; top = sys.argv.pop(1); sys.path.insert(0, top); "
    "hosts = types.ModuleType('orchestrator.hosts'); hosts.__path__ = [top + '/orchestrator/hosts']; "
    "sys.modules['orchestrator.hosts'] = hosts; from orchestrator.hosts.broker import main; main(*sys.argv[1:])"
)


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        env: its environment variables.
        engine: the program of the engine.
        project: the root of the project.
        place: the folder of the program, below it.
        name: what Pulumi calls the project.
        kept: the tree of the kept definition.
        work: the folder in which the copy of the program is laid.
        trace: the trace of the stack.
        settings: what the environment declares.
        declared: the variables that the environment declares.
        whole: whether the program may read everything in the project: its definition has the first format.
    """

    env: Mapping[str, str]
    engine: Path
    project: Path
    place: str
    name: str
    kept: Path
    work: Path
    trace: Path
    settings: EnvironmentSettings
    declared: tuple[str, ...]
    whole: bool


def program_environment(views: Views, operation: Operation, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the isolated *operation*: some only if its environment declares them."""
    declared = {*operation.declared, *operation.settings.environment}
    passed = views.passed(operation.env, declared)
    env = {name: value for name, value in {**environ, **operation.env}.items() if name in passed}
    with contextlib.suppress(OSError):
        env[NAMESPACE] = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it leads nowhere
    return env


def view(views: Views, operation: Operation, jobs: list[str]) -> View:
    """What the *operation* finds. *jobs* are the folders of operations that died: it reads what they reported."""
    home = _home(operation.env)
    backend = _backend(operation.env)
    read: list[str | Path] = [operation.kept, *operation.engine.parent.glob("pulumi*")]
    read += [home / name for name in OF_ENGINE]
    read += [operation.project] if operation.whole else []
    for path in installed_folders(operation.project, operation.place):
        read += [path, *_interpreter(path)]
    read += [Path(job, "events.jsonl") for job in jobs]
    write: list[str | Path] = [operation.work, _lock(operation.work), operation.trace.parent]
    if backend is None:
        read.append(home / "credentials.json")
    else:
        read += [backend / ".pulumi/meta.yaml"]
        write += _parts(backend / ".pulumi", operation.name)
    return views.of_program(
        operation.settings,
        read=read,
        write=write,
        named=[*_named(operation), *_python(operation.env)],
        passphrase=operation.env.get(PASSPHRASE, ""),
        empty=[str(home)],
    )


def broker_command(project: str, stack: str, verb: str) -> tuple[str, ...]:
    """The command that makes and ends hosts for the operation *verb* on a *stack*; for a preview it only reads."""
    packages = str(Path(__file__).resolve().parents[3])
    own, how = f"{project}-{stack.rsplit('/', 1)[-1]}", "reads" if verb == "preview" else "acts"
    return (sys.executable, "-I", "-S", "-c", BROKER, packages, own, how)


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("PULUMI_HOME") or Path(env.get("HOME", "/nowhere")) / ".pulumi")


def _backend(env: Mapping[str, str]) -> Path | None:
    """The folder that stacks are kept in; None for other backends."""
    url = urlparse(env.get("PULUMI_BACKEND_URL", ""))
    if url.scheme != "file" or url.netloc not in {"", "~"}:
        return None
    top = Path(env.get("HOME", "/")) if url.netloc else Path("/")
    return top / unquote(url.path).lstrip("/")


def _parts(folder: Path, project: str) -> list[Path]:
    """The folders of the *project* in a backend, made if they do not exist: only what exists can be shown."""
    found = [folder / part / project for part in PARTS]
    for path in found:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return found


def _lock(work: Path) -> Path:
    """The lock of the copy, made with its folder if it does not exist."""
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = work.with_name(f"{work.name}.lock")
    lock.touch(mode=0o600)
    return lock


def _interpreter(folder: Path) -> Iterator[Path]:
    """The installation of Python that a virtual environment in *folder* was made with."""
    real = Path(os.path.realpath(folder / "bin/python"))
    top = real.parent.parent
    if real.is_file() and (top / "lib").is_dir() and str(top) not in {"/", "/usr"}:
        yield top


def _named(operation: Operation) -> Iterator[Path]:
    """The files that variables with credentials name, and what the declared variables lead to."""
    for name, value in operation.env.items():
        declared, credential = name in operation.declared, name == "KUBECONFIG" or name.startswith(PASSED_PREFIXES)
        for path in map(Path, value.split(os.pathsep) if (declared or credential) and name not in NOT_FILES else ()):
            if path.is_absolute() and (path.is_file() or (declared and path.exists())):
                yield path


def _python(env: Mapping[str, str]) -> Iterator[Path]:
    """The virtual environment of the program, or the interpreter that a variable names for it."""
    command = env.get("PULUMI_PYTHON_CMD", "")
    folders = [Path(env["VIRTUAL_ENV"])] if env.get("VIRTUAL_ENV") else []
    if Path(command).is_absolute():
        yield Path(command)
        folders.append(Path(command).parent.parent)
    for folder in folders:
        yield from [folder, *_interpreter(folder)] if (folder / "pyvenv.cfg").is_file() else _interpreter(folder)
