"""Put schemathesis into the user's cache: it calls the API as its description says, in tests/server.

It has an environment of its own, because its plugin would make every start of pytest slower by most of a second. The
packages are those of the group `conformance` in `uv.lock`, by their digests.
Usage: .venv/bin/python tools/api_conformance.py
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = [sys.executable, "-m", "uv"]
EXPORT = [*UV, "export", "--frozen", "--quiet", "--no-emit-project", "--no-header", "--only-group", "conformance"]


def main() -> int:
    """Install it once. Returns the exit status."""
    print(f"· schemathesis for tests: {installed_program()}", flush=True)
    return 0


def installed_program() -> Path:
    """The program `schemathesis` in the cache. Raises `SystemExit` if it cannot be installed."""
    locked = subprocess.run(EXPORT, cwd=ROOT, capture_output=True, check=True).stdout
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME", "/")) / ".cache")
    about = hashlib.sha256(locked + sys.version.encode()).hexdigest()[:16]
    target = base / "orchestrator" / "schemathesis" / about
    complete = target / "complete"
    if complete.is_file():
        return target / "bin" / "schemathesis"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(locked)
        file.flush()
        install = [*UV, "pip", "install", "--quiet", "--python", str(target), "--require-hashes", "-r", file.name]
        for words in ([*UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(target)], install):
            env = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never"}
            if subprocess.run(words, cwd=ROOT, env=env, check=False).returncode:
                shutil.rmtree(target, ignore_errors=True)
                raise SystemExit("schemathesis cannot be installed")
    complete.touch()
    return target / "bin" / "schemathesis"


if __name__ == "__main__":
    sys.exit(main())
