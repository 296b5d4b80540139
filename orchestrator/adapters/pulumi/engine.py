"""The Pulumi engine: found where the user has one, or installed into the user's cache.

No package index ships it. It is built from its Go modules, which Go compares with the digests in our `go.sum`. The
vendor's own archive is used only with a SHA-256 that the operator gives. The language host for Python programs, and the
two scripts that it runs, are beside it.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.vendor_archive import VendorArchive
from orchestrator.processes import progress_heartbeat

OLDEST = (3, 226, 1)  # the first whose exit codes are documented
VERSION = "v3.259.0"
SDK = "github.com/pulumi/pulumi/sdk/v3"
STAMP = f"{SDK}/go/common/version.Version={VERSION}"
COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
HOST = f"{SDK}/python/cmd/pulumi-language-python"
FURTHER_HOSTS = {"yaml": "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"}  # built on demand, by runtime
SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
OLDEST_GO = (1, 25, 11)
Echo = Callable[[str], None]


@dataclass(frozen=True)
class Engine:
    """An engine that can be used: its program, its version and where it was found."""

    path: Path
    version: str
    source: str


def find_engine(environ: Mapping[str, str], named: Path | None = None) -> Engine:
    """The first engine that is new enough: the one that is named, the user's own, ours. Raises E101."""
    tried: list[str] = []
    for source, path in _candidates(environ, named):
        if not path.is_file() or not os.access(path, os.X_OK):
            if source == "named":
                raise OrchestratorError("E101", f"{path} is not a program that can be run")
            continue
        version = VERSION if source == "cache" else _version(path)  # ours came whole, under the name of its version
        if version is not None and _numbers(version) >= OLDEST:
            return Engine(path, version, source)
        tried.append(f"{path} is {version or 'of an unknown version'}")
    why = f" ({'; '.join(tried)})" if tried else ""
    raise OrchestratorError("E101", f"no Pulumi engine of version 3.226.1 or newer was found{why}")


def _candidates(environ: Mapping[str, str], named: Path | None) -> Iterator[tuple[str, Path]]:
    chosen = named or (Path(environ["ORCHESTRATOR_PULUMI"]) if environ.get("ORCHESTRATOR_PULUMI") else None)
    if chosen is not None:
        yield "named", chosen
        return
    found = shutil.which("pulumi", path=environ.get("PATH"))
    if found:
        yield "PATH", Path(found)
    home = Path(environ.get("PULUMI_HOME") or Path(environ.get("HOME", "/")) / ".pulumi")
    yield "Pulumi's home", home / "bin" / "pulumi"
    for folder in sorted((home / "versions").glob("*/bin/pulumi"), reverse=True):
        yield "Pulumi's home", folder
    yield "cache", engine_cache(environ) / "pulumi"


def engine_cache(environ: Mapping[str, str]) -> Path:
    """Where our own engine goes: `~/.cache/orchestrator/engine/<version>/`."""
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/")) / ".cache")
    return Path(base) / "orchestrator" / "engine" / VERSION


def _version(path: Path) -> str | None:
    """The version that the program prints; None if it prints none."""
    env = {"PULUMI_SKIP_UPDATE_CHECK": "1", "HOME": os.environ.get("HOME", "/"), "PATH": os.defpath}
    try:
        done = subprocess.run([str(path), "version"], capture_output=True, text=True, timeout=30, env=env, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = done.stdout.strip()
    return text if re.match(r"^v?\d+\.\d+\.\d+", text) else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


# -- installing ---------------------------------------------------------------------------------------------------


def install_engine(
    environ: Mapping[str, str], echo: Echo, archive: VendorArchive | None = None, *, force: bool = False
) -> Engine:
    """Put an engine into the cache: built from source, or from the vendor's *archive*.

    An existing one is kept if it can be used, unless *force* is given. The caller prompts the user first. Safe to run
    twice at once: one waits for the other. Raises E103.
    """
    target = engine_cache(environ)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent / ".lock", echo):
        if force or not _usable(target / "pulumi"):
            with tempfile.TemporaryDirectory(prefix=".installing-", dir=target.parent) as folder:
                made, old = Path(folder) / "new", Path(folder) / "old"
                made.mkdir(mode=0o755)
                if archive is not None:
                    from orchestrator.adapters.pulumi.engine_archive import unpack_engine

                    unpack_engine(archive, VERSION, made, echo)
                else:
                    _from_source(made, environ, echo)
                if target.exists():
                    target.rename(old)
                made.rename(target)
    return find_engine({**environ, "ORCHESTRATOR_PULUMI": str(target / "pulumi")})


def install_host(environ: Mapping[str, str], echo: Echo, runtime: str) -> Path:
    """Build the language host for a further *runtime* into the cache, unless it exists. Raises E103."""
    target = engine_cache(environ) / f"pulumi-language-{runtime}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent.parent / ".lock", echo):
        if not target.is_file():
            go = _go_program(environ)
            echo(f"building the language host for {runtime} programs from its Go modules: a few minutes, once")
            with tempfile.TemporaryDirectory(dir=target.parent.parent) as folder, progress_heartbeat(echo, "the build"):
                work, made = Path(folder) / "source", Path(folder) / target.name
                shutil.copytree(_source_folder() / f"language-{runtime}", work)
                words = ["build", "-ldflags", "-s -w", "-o", str(made), FURTHER_HOSTS[runtime]]
                _go(go, work, _go_environment(environ), words)
                made.replace(target)
    return target


def _usable(path: Path) -> bool:
    version = _version(path)
    return version is not None and _numbers(version) >= OLDEST


def _from_source(target: Path, environ: Mapping[str, str], echo: Echo) -> None:
    go, source = _go_program(environ), _source_folder()
    echo(f"building the Pulumi engine {VERSION} from its Go modules: about 4 minutes on 2 cores, once")
    env = _go_environment(environ)
    with tempfile.TemporaryDirectory() as folder, progress_heartbeat(echo, "the build"):
        work = Path(folder) / "source"
        shutil.copytree(source, work)
        _go(go, work, env, ["build", "-ldflags", f"-s -w -X {STAMP}", "-o", str(target / "pulumi"), COMMAND])
        echo("building the language host for Python programs")
        host = work / "language-python"
        _go(go, host, env, ["build", "-ldflags", "-s -w", "-o", str(target / "pulumi-language-python"), HOST])
        module = json.loads(_go(go, work, env, ["mod", "download", "-json", f"{SDK}@{VERSION}"]))
        for script in SCRIPTS:
            copy = target / Path(script).name
            shutil.copyfile(Path(module["Dir"]) / script, copy)
            copy.chmod(0o755)


def _go_program(environ: Mapping[str, str]) -> str:
    """The Go compiler. Raises E103 if none is found that is new enough."""
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None or _go_version(go) < OLDEST_GO:
        wanted = ".".join(map(str, OLDEST_GO))
        raise OrchestratorError("E103", f"building the engine needs Go {wanted} or newer, which is not on PATH")
    return go


def _go_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a build: each module must have its digest in `go.sum`, and no other compiler is fetched."""
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    return {**environ, **settings}


def _go(go: str, folder: Path, env: Mapping[str, str], words: list[str]) -> str:
    done = subprocess.run([go, *words], cwd=folder, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise OrchestratorError("E103", f"go {words[0]} failed: {last}")
    return done.stdout


def _go_version(go: str) -> tuple[int, ...]:
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return _numbers(done.stdout)


def _source_folder() -> Path:
    """The pinned modules: inside an installed package, or in the repository."""
    here = Path(__file__).resolve()
    for folder in (here.parent / "engine_source", here.parents[3] / "tools" / "pulumi-engine"):
        if (folder / "go.mod").is_file():
            return folder
    raise OrchestratorError("E103", "the engine's module list is missing from this installation")


@contextlib.contextmanager
def _locked(path: Path, echo: Echo) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            echo("another process is installing the engine; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def interpreter_problem() -> str | None:
    """What is wrong with our interpreter for Pulumi's Python host, which needs `pip` in it; None if nothing is."""
    done = subprocess.run([sys.executable, "-P", "-m", "pip", "--version"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"{sys.executable} has no pip, which Pulumi's Python host needs"
