"""Make `.venv` with exactly what `uv.lock` says, from nothing but a Python and a package index.

Standard library only. Usage: python3 tools/bootstrap.py [--dev]
"""

import hashlib
import importlib.util
import io
import json
import os
import platform
import subprocess
import sys
import urllib.request
import venv
import zipfile
from pathlib import Path

UV = "0.13.9"
OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"


def main() -> int:
    """Make or update the environment; `--dev` adds what the tests and checks need."""
    if sys.version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        print(f"Python {wanted} or newer is needed; this is {platform.python_version()}: make PYTHON=python3.12 …")
        return 1
    python = FOLDER / "bin" / "python"
    if not python.exists():
        say(f"making {FOLDER.name} with Python {platform.python_version()}")
        # Debian ships `ensurepip` apart; without it the environment is made without pip, and uv needs none.
        venv.create(FOLDER, with_pip=importlib.util.find_spec("ensurepip") is not None, symlinks=True)
    uv = FOLDER / "bin" / "uv"
    if not uv.exists():
        say(f"getting uv {UV} from the package index")
        get_uv(python, uv)
    dev = "--dev" in sys.argv[1:]
    say("installing the locked dependencies (about a minute, the first time)")
    words = [str(uv), "sync", "--locked", "--inexact", "--compile-bytecode", "--quiet", "--python", str(python)]
    words += [] if dev else ["--no-dev"]
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(FOLDER), "UV_SYSTEM_CERTS": "1"}
    env.pop("VIRTUAL_ENV", None)
    return subprocess.run(words, cwd=ROOT, env=env, check=False).returncode


def get_uv(python: Path, target: Path) -> None:
    """Put uv beside *python*: by pip where the environment has it, else from its wheel."""
    has_pip = subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    if has_pip:
        words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"uv=={UV}"]
        subprocess.run(words, check=True)
        return
    with urllib.request.urlopen(f"https://pypi.org/pypi/uv/{UV}/json", timeout=60) as answer:
        files = json.load(answer)["urls"]
    wheel = next(file for file in files if fits(file["filename"]))
    with urllib.request.urlopen(wheel["url"], timeout=300) as answer:
        data = answer.read()
    if hashlib.sha256(data).hexdigest() != wheel["digests"]["sha256"]:
        raise SystemExit(f"{wheel['filename']} is not what the index says it is")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        target.write_bytes(archive.read(name))
    target.chmod(0o755)


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
