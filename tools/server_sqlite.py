"""Put the SQLite of the extra `server` into the user's cache, for measurements of servers.

The tests use the SQLite of the interpreter. A server has one whose write-ahead log is safe: with it, readers and
writers do not wait for each other. The package is that of `uv.lock`, by its digests. Prints the folder,
for PYTHONPATH; nothing on systems for which there is no such package.
Usage: .venv/bin/python tools/server_sqlite.py
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
EXPORT = [*UV, "export", "--frozen", "--quiet", "--no-emit-project", "--no-header", "--extra", "server", "--no-dev"]
PACKAGE = "pysqlite3=="


def main() -> int:
    """Install it once, and print where. Returns the exit status."""
    if sys.platform.startswith("linux"):
        print(installed())
    return 0


def installed() -> Path:
    """The folder with the package. Raises `SystemExit` if it cannot be installed."""
    locked = subprocess.run(EXPORT, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    wanted = locked[locked.index(PACKAGE) :].replace("\\\n", " ").splitlines()[0]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME", "/")) / ".cache")
    target = base / "orchestrator" / "pysqlite3" / hashlib.sha256((wanted + sys.version).encode()).hexdigest()[:16]
    if (target / "complete").is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(wanted)
        file.flush()
        install = [*UV, "pip", "install", "--quiet", "--target", str(target), "--require-hashes", "-r", file.name]
        env = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never"}
        if subprocess.run(install, cwd=ROOT, env=env, check=False).returncode:
            shutil.rmtree(target, ignore_errors=True)
            raise SystemExit("the SQLite of a server cannot be installed")
    (target / "complete").touch()
    return target


if __name__ == "__main__":
    sys.exit(main())
