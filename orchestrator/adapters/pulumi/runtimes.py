"""The runtimes of Pulumi programs: the language host that each needs, and the interpreter of a Python program."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator.adapters.pulumi.engine import Engine
from orchestrator.domain.errors import OrchestratorError

INSTALL = "install Pulumi's full distribution (https://www.pulumi.com/docs/install)"
REMEDIES = {
    "python": "orchestrator engine install --force",
    "yaml": "orchestrator engine install --runtime yaml",
    "nodejs": f"install Node.js, and {INSTALL}",
    "go": f"install Go, and {INSTALL}",
    "dotnet": f"install the .NET SDK, and {INSTALL}",
    "java": f"install a JDK with Maven or Gradle, and {INSTALL}",
}


def runtime(project: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """The runtime that a project's file names, and its options."""
    found = project.get("runtime")
    if isinstance(found, dict):
        options = found.get("options")
        return str(found.get("name") or ""), dict(options) if isinstance(options, dict) else {}
    return str(found or ""), {}


def missing_host(project: Mapping[str, object], engine: Engine, environ: Mapping[str, str]) -> OrchestratorError | None:
    """Why the engine cannot run programs of this runtime: their language host is not installed; None: it can."""
    name, _ = runtime(project)
    host = f"pulumi-language-{name}"
    home = Path(environ.get("PULUMI_HOME") or Path(environ.get("HOME", "/")) / ".pulumi")
    path = os.pathsep.join([str(engine.path.parent), str(home / "bin"), environ.get("PATH", os.defpath)])
    plugins = (home / "plugins").glob(f"language-{name}-*")
    if not name or shutil.which(host, path=path) or any(plugins):
        return None
    hint = REMEDIES.get(name, INSTALL)
    return OrchestratorError("E168", f"the runtime {name} needs {host}, which is not installed", hint=hint)


def problem(
    project: Mapping[str, object], engine: Engine, environ: Mapping[str, str], own: Path
) -> OrchestratorError | None:
    """Why the program in the folder *own* cannot run (E168, E169); None: its host and its interpreter exist."""
    missing = missing_host(project, engine, environ)
    if missing is None:
        try:
            virtual_environment(project, own)
        except OrchestratorError as error:
            return error
    return missing


def virtual_environment(project: Mapping[str, object], own: Path) -> Path | None:
    """The virtual environment that a Python program names; None: it names none.

    A relative path counts from the user's *own* folder of the program. Raises E169 when it does not exist.
    """
    name, options = runtime(project)
    named = options.get("virtualenv") or (".venv" if options.get("toolchain") == "uv" else None)
    if name != "python" or not named:
        return None
    folder = Path(os.path.normpath(own / str(named)))
    if not (folder / "bin" / "python").exists():
        hint = f"python3 -m venv {folder} && {folder}/bin/python -m pip install -r requirements.txt"
        raise OrchestratorError("E169", f"the program's virtual environment {folder} does not exist", hint=hint)
    return folder
