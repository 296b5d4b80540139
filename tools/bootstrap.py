"""Make `.venv` with exactly what `uv.lock` lists, from nothing but a Python and a package index, or a folder of wheels.

Standard library only. Usage: python3 tools/bootstrap.py [--dev] [--wheels FOLDER]

Every file that is fetched is compared with a digest of ours: uv itself, the dependencies and the build tools with those
in `uv.lock`, and `editables`, which the lock does not have, with the one below. With `--wheels`, or
`ORCHESTRATOR_WHEELS`, nothing is fetched: `tools/offline.py` fills such a folder.
"""

import hashlib
import importlib.util
import io
import os
import platform
import subprocess
import sys
import tempfile
import urllib.request
import venv
import zipfile
from pathlib import Path
from typing import Any

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
BUILD_TOOL = "hatchling"
EDITABLES = ("editables", "0.5", ("sha256:61e5ffa82629e0d8bfe09bc44a07db3c1ab8ed1ce78a6980732870f19b5e7d4c",))
"""What hatchling needs besides to install this project in place; it is the only package that the lock does not have."""

Pinned = tuple[str, str, tuple[str, ...]]
"""The name, version and digests of a package."""


def main() -> int:
    """Make or update the environment; `--dev` adds what the tests and checks need."""
    if sys.version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        print(f"Python {wanted} or newer is needed; this is {platform.python_version()}: make PYTHON=python3.12 …")
        return 1
    words = sys.argv[1:]
    named = words[words.index("--wheels") + 1] if "--wheels" in words[:-1] else os.environ.get("ORCHESTRATOR_WHEELS")
    wheels = Path(named).resolve() if named else None
    python = FOLDER / "bin" / "python"
    if not python.exists():
        say(f"making {FOLDER.name} with Python {platform.python_version()}")
        # Debian ships `ensurepip` apart; without it the environment is made without pip, and uv needs none.
        venv.create(FOLDER, with_pip=importlib.util.find_spec("ensurepip") is not None, symlinks=True)
    uv = FOLDER / "bin" / "uv"
    if not uv.exists():
        get_uv(packages()["uv"], uv, wheels)
    say("installing the locked dependencies (about a minute, the first time)")
    return install(uv, python, wheels, dev="--dev" in words) or get_assets(python, wheels, dev="--dev" in words)


# -- what the lock lists -----------------------------------------------------------------------------------------------


def packages(lock: Path = ROOT / "uv.lock") -> dict[str, dict[str, Any]]:
    """Every package of the lock, by its name."""
    import tomllib  # an older Python than the oldest one gets as far as its message

    return {package["name"]: package for package in tomllib.loads(lock.read_text("utf-8"))["package"]}


def pinned(package: dict[str, Any]) -> Pinned:
    """The version of a package, and the digests of its wheels."""
    return package["name"], package["version"], tuple(wheel["hash"] for wheel in package.get("wheels", ()))


def build_tools(known: dict[str, dict[str, Any]]) -> list[Pinned]:
    """The packages that this project is built with: hatchling with what it needs, and editables."""
    found, waiting = {}, [BUILD_TOOL]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = pinned(known[name])
            waiting += [item["name"] for item in known[name].get("dependencies", ()) if item["name"] in known]
    return [*(found[name] for name in sorted(found)), EDITABLES]


def requirements(items: list[Pinned]) -> str:
    """The text of a requirements file that allows the wheels with these digests only."""
    lines = (
        f"{name}=={version} {' '.join(f'--hash={digest}' for digest in digests)}" for name, version, digests in items
    )
    return "".join(f"{line}\n" for line in lines)


# -- installing --------------------------------------------------------------------------------------------------------


def get_uv(package: dict[str, Any], target: Path, wheels: Path | None) -> None:
    """Put uv at *target*, from its wheel for this machine: of the folder *wheels*, or by the address in the lock."""
    wheel = next((item for item in package["wheels"] if fits(item["url"].rsplit("/", 1)[-1])), None)
    if wheel is None:
        raise SystemExit(f"there is no uv {package['version']} for {platform.machine()}; put one at {target}")
    name = wheel["url"].rsplit("/", 1)[-1]
    if wheels is not None:
        say(f"taking {name} from {wheels}")
        data = (wheels / name).read_bytes()
    else:
        say(f"getting uv {package['version']} from the package index")
        data = fetched(wheel["url"], package, name)
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != wheel["hash"]:
        raise SystemExit(f"{name} does not have the digest that uv.lock has: it is not used")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        program = archive.read(member)
    temporary = target.with_name(".uv.new")
    temporary.write_bytes(program)
    temporary.chmod(0o755)
    temporary.replace(target)


def fetched(url: str, package: dict[str, Any], name: str) -> bytes:
    """The wheel *name*: from the index that pip is configured for where there is a pip, else from *url*."""
    words = [str(FOLDER / "bin" / "python"), "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as folder:
        words += ["--no-deps", "--only-binary=:all:", "-d", folder, f"{package['name']}=={package['version']}"]
        subprocess.run(words, capture_output=True, check=False)
        if (Path(folder) / name).is_file():
            return (Path(folder) / name).read_bytes()
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())
    except OSError as error:
        raise SystemExit(f"cannot get {url}: {error}") from error


def install(uv: Path, python: Path, wheels: Path | None, *, dev: bool) -> int:
    """Install the dependencies, the build tools, and this project with them. Returns the exit code."""
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(FOLDER), "UV_SYSTEM_CERTS": "1"}
    env.pop("VIRTUAL_ENV", None)
    env |= {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels)} if wheels is not None else {}
    group = [] if dev else ["--no-dev", "--extra", "server"]  # `make demo SERVE=1` serves
    pip = ["pip", "install", "--quiet", "--python", str(python)]
    with tempfile.TemporaryDirectory() as folder:
        locked, tools = Path(folder) / "locked.txt", Path(folder) / "tools.txt"
        tools.write_text(requirements(build_tools(packages())), "utf-8")
        sync = ["sync", "--locked", "--inexact", "--quiet", "--python", str(python), *group]
        if wheels is None:
            steps = [[*sync, "--compile-bytecode", "--no-install-project"]]
            last = [*sync, "--no-build-isolation"]
        else:
            export = ["export", "--frozen", "--quiet", "--no-emit-project", *group, "--output-file", str(locked)]
            steps = [export, [*pip, "--require-hashes", "--compile-bytecode", "-r", str(locked)]]
            last = [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
        steps += [[*pip, "--require-hashes", "-r", str(tools)], last]
        for words in steps:
            code = subprocess.run([str(uv), *words], cwd=ROOT, env=env, check=False).returncode
            if code:
                return code
    return 0


def get_assets(python: Path, wheels: Path | None, *, dev: bool) -> int:
    """Fetch the files that browsers get, by `tools/assets.py`. Returns the exit code.

    Only `orchestrator serve` needs them, so that their absence is a failure in the set-up for developers only.
    """
    source = [] if wheels is None else ["--from", str(wheels.parent / "assets")]
    code = subprocess.run([str(python), str(ROOT / "tools" / "assets.py"), *source], check=False).returncode
    if code and not dev:
        say("without these files `orchestrator serve` does not start; python3 tools/assets.py fetches them")
        return 0
    return code


def fits(wheel: str) -> bool:
    """Whether the wheel of this name is for this machine."""
    machine = {"arm64": "aarch64" if sys.platform == "linux" else "arm64"}.get(platform.machine(), platform.machine())
    kind = "macosx" if sys.platform == "darwin" else "manylinux"
    return kind in wheel and wheel.endswith(f"_{machine}.whl")


def say(text: str) -> None:
    """One line of progress."""
    print(f"· {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
