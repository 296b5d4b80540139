"""Fill a folder with all that a machine without a network needs to set this project up.

    FOLDER/wheels     the wheels of `uv.lock`, of uv and of the build tools, for this system and this Python
    FOLDER/assets     the files that browsers get, of `orchestrator/web/assets.lock`
    FOLDER/npm        the npm packages of the sign-in provider of the tests, of `tests/provider/package-lock.json`
    FOLDER/modules    the Go modules of the Pulumi engine, which Go compares with our `go.sum`

Usage, on a machine with a network, after `make test` or `tools/bootstrap.py`: .venv/bin/python tools/offline.py FOLDER

On the other machine: `ORCHESTRATOR_WHEELS=FOLDER/wheels ORCHESTRATOR_NPM_ARCHIVES=FOLDER/npm make …` and
`GOPROXY=file://FOLDER/modules/cache/download orchestrator engine install --yes`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools import assets, bootstrap, sign_in_provider

SOURCES = (".", "language-python", "language-yaml")


def main() -> int:
    """Fill the folder that the command line names."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    folder = Path(sys.argv[1]).resolve()
    collect_wheels(folder / "wheels")
    assets.fetch_assets(folder / "assets")
    sign_in_provider.collect_archives(folder / "npm")
    if shutil.which("go"):
        collect_modules(folder / "modules")
    else:
        bootstrap.say("there is no go on PATH: the Go modules of the engine are left out")
    return 0


def collect_wheels(folder: Path, *, dev: bool = True) -> None:
    """Download the wheels of the lock for this system and this Python, compared with the digests in it.

    Without *dev* those for tests and checks are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = bootstrap.packages()
    with tempfile.TemporaryDirectory() as scratch:
        locked = Path(scratch) / "locked.txt"
        export = [str(bootstrap.FOLDER / "bin/uv"), "export", "--frozen", "--quiet", "--no-emit-project"]
        export += ["--all-extras"] if dev else ["--no-dev", "--extra", "server"]
        subprocess.run([*export, "--output-file", str(locked)], cwd=bootstrap.ROOT, check=True)
        tools = Path(scratch) / "tools.txt"
        tools.write_text(
            bootstrap.requirements([bootstrap.pinned(known["uv"]), *bootstrap.build_tools(known)]), "utf-8"
        )
        for file in (locked, tools):
            bootstrap.say(f"getting the wheels of {file.stem}")
            words = ["-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:"]
            subprocess.run([sys.executable, *words, "-d", str(folder), "-r", str(file)], check=True)


def collect_modules(folder: Path) -> None:
    """Download the Go modules of the engine and of the language hosts. Go compares each with `go.sum`."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOMODCACHE": str(folder), "GOFLAGS": "-mod=readonly -modcacherw", "GOWORK": "off"}
    for source in SOURCES:
        bootstrap.say(f"getting the Go modules of {source}")
        place = bootstrap.ROOT / "tools/pulumi-engine" / source
        subprocess.run(["go", "mod", "download"], cwd=place, env=env, check=True)


if __name__ == "__main__":
    sys.exit(main())
