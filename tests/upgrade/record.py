"""Makes the data of the upgrade test: a project with a run of every kind, as an earlier version of the program leaves it.

    python -m tests.upgrade.record COMMIT tests/upgrade/data/NAME.tar.xz

COMMIT is checked out into a folder of its own, and its program executes every command. The databases are kept as SQL.
What the project does is decided by NAME: see `PERFORMED`.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.upgrade.project import FILES, FOLDER, INTERPRETER, lay_inventories, lay_project

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ("jobs", "snapshots", "executors", "ssh", "connections", "isolation", "cache", "pulumi")
"""Folders of the state that no later command needs."""
PLACE = "PROJECT-FOLDER"
"""What the data has where the path of the project was."""


class Recorder:
    """The project in *folder*, and the *program* that acts on it."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
        self._environ = {
            **kept,
            "PYTHONPATH": str(program),
            "ORCHESTRATOR_RECOVERY": "manual",
            "ORCHESTRATOR_BY": "ann",
        }
        self._environ |= {"ORCHESTRATOR_USER": "ann", "NO_COLOR": "1"}

    def release(self, version: str) -> None:
        """Make *version* the one that the sources have."""
        (self.folder / "app/hello.txt").write_text(f"{version}\n")
        for file in (name for name in FILES if name.startswith("releases/")):
            (self.folder / file).write_text(FILES[file].lstrip("\n").replace("1.0.0", version))

    def run(self, *words: str, code: int | None = 0) -> str:
        """What a command prints. Raises RuntimeError if it does not end with *code*."""
        done = subprocess.run(
            self._words(words), cwd=self.folder, env=self._environ, capture_output=True, text=True, check=False
        )
        sys.stdout.write(f"{' '.join(words)}: {done.returncode}\n")
        sys.stdout.flush()
        if code is not None and done.returncode != code:
            raise RuntimeError(f"{words} ended with {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def interrupted(self, environment: str, *, pause: bool) -> None:
        """Begin a promotion, and kill its process in its deployment, or once it is paused after that."""
        hold = self.folder / "hosts" / environment / "hold"
        hold.touch()
        words = self._words(("promote", "releases/hello", "--to", environment))
        with self.folder.with_name("printed").open("w") as printed:
            process = subprocess.Popen(
                words, cwd=self.folder, env=self._environ, stdout=printed, stderr=printed, start_new_session=True
            )
            _wait(hold.with_name("holds").exists, process)
            if pause:
                run = str(self.rows("SELECT id FROM runs ORDER BY number DESC LIMIT 1")[0][0])
                pausing = subprocess.Popen(self._words(("pause", run)), cwd=self.folder, env=self._environ)
                _wait(
                    lambda: bool(self.rows(f"SELECT 1 FROM records WHERE run = '{run}' AND data LIKE '%wish%'")),
                    process,
                )
                hold.unlink()
                pausing.wait()  # it ends when the run is paused, after its deployment
            self._kill(process)
        hold.unlink(missing_ok=True)
        hold.with_name("holds").unlink()
        self.folder.with_name("printed").unlink()

    def rows(self, query: str) -> list[Any]:
        """What the journal has."""
        database = sqlite3.connect(self.folder / ".orchestrator/state.db")
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill the process, and those of its job, which have its folder in their command lines."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for found in Path("/proc").glob("[0-9]*"):
            try:
                if str(self.folder).encode() in (found / "cmdline").read_bytes():
                    os.kill(int(found.name), signal.SIGKILL)
            except OSError:
                continue

    def _words(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "orchestrator", *words]


def _wait(until: Any, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        if until():
            return
        if process.poll() is not None:
            raise RuntimeError(f"the run ended with {process.returncode}")
        time.sleep(0.1)
    raise RuntimeError("the run did not come so far")


def perform(project: Recorder) -> None:
    """Do a run of every kind."""
    project.run("promote", "releases/hello", "--to", "staging")
    project.run("promote", "releases/hello", "--to", "edges")
    project.run("promote", "releases/hello", "--to", "late")
    project.run("promote", "releases/hello", "--to", "cut")
    project.run("promote", "releases/sides", "--to", "pair")
    project.run("promote", "releases/short", "--to", "brief")
    for words in (
        ("up", "bare", "--yes"),
        ("resolve", "bare", "--all-absent", "-m", "none"),
        ("destroy", "bare", "--yes"),
    ):
        project.run("environment", *words)
    then = project.rows("SELECT data FROM verified WHERE environment = 'edge-b' ORDER BY number DESC LIMIT 1")[0][0]
    project.release("2.0.0")
    project.run("promote", "releases/hello", "--to", "staging")
    project.run("rollback", "staging", "--yes")
    project.run("promote", "releases/sides", "--to", "pair")
    project.run("accept", "pair", "--live", "green", "-m", "checked at the router")
    project.run("rehearse", "releases/hello", "--in", "edge-a", code=None)  # ports of this machine may have changed
    project.run("promote", "releases/hello", "--to", "edge-b")
    project.run("restore", "edge-b", "--at", json.loads(then)["at"], "--yes")
    project.run("observe", "staging")
    lost = project.folder / "inventory-edge-b.yml"
    lost.write_text(lost.read_text().replace(INTERPRETER, "/nowhere/python"))
    project.run("observe", "edge-b", code=None)
    lay_inventories(project.folder)
    for release, environment in (("hello", "broken"), ("short", "brief")):
        (project.folder / "hosts" / environment / "refuse").touch()
        project.run("promote", f"releases/{release}", "--to", environment, code=5)
        (project.folder / "hosts" / environment / "refuse").unlink()
    project.run("environment", "reap", "brief")
    project.run("retry", str(project.rows("SELECT id FROM runs WHERE environment = 'broken'")[0][0]))
    project.interrupted("late", pause=True)
    project.interrupted("cut", pause=False)
    override = ("accept", "edge-b", "edge-b", "--release", "hello-1.0.0", "-m", "by hand")
    project.run(*override, code=None)  # refused, if it responded


def perform_options(project: Recorder) -> None:
    """Promote a release that was rolled back, with the earlier option: a run, and a request that waits for its start."""
    again = ("--again", "-m", "the load balancer")
    for environment in ("staging", "cut"):
        project.run("promote", "releases/hello", "--to", environment)
    project.release("2.0.0")
    project.run("promote", "releases/hello", "--to", "staging")
    project.run("rollback", "staging", "--yes")
    project.run("promote", "releases/hello", "--to", "staging", *again)
    project.run("rollback", "staging", "--yes")
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60 * 86400))
    project.run("promote", "releases/hello", "--to", "staging", "--at", start, *again)
    project.interrupted("cut", pause=False)


PERFORMED = {"every-kind": perform, "before-names": perform, "before-options": perform_options}


def make(commit: str, target: Path) -> None:
    """Write the archive *target* with a project that the program of *commit* has made."""
    with tempfile.TemporaryDirectory(prefix="upgrade-") as name:
        program, folder = Path(name, "program"), FOLDER
        program.mkdir()
        folder.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "x", "-C", str(program)], input=archive.stdout, check=True)
        lay_project(folder, isolated=(program / "orchestrator/isolation").is_dir())
        project = Recorder(program, folder)
        try:
            PERFORMED[target.name.removesuffix(".tar.xz")](project)
            pack(folder, target)
        finally:
            shutil.rmtree(folder.parent)


def pack(folder: Path, target: Path) -> None:
    """Write the project in *folder* as the archive *target*, with its databases as SQL, and no path of this machine."""
    for file in sorted((folder / ".orchestrator").glob("*.db")):
        database = sqlite3.connect(file)
        text = "\n".join(database.iterdump())
        database.close()
        file.with_suffix(".sql").write_text(text)
        for each in folder.glob(f".orchestrator/{file.name}*"):
            each.unlink()
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.suffix != ".release":
            data = file.read_bytes()
            if str(folder).encode() in data:
                file.write_bytes(data.replace(str(folder).encode(), PLACE.encode()))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:xz") as archive:
        archive.add(folder, ".", filter=_kept)


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    state = parts[1:] if parts[:1] == (".orchestrator",) else ()
    unpacked = state[:1] == ("packages",) and len(state) > 2
    passing = "__pycache__" in parts or member.name.endswith((".lock", "-wal", "-shm"))
    if (
        (state[:1] and state[0] in LEFT_OUT)
        or unpacked
        or passing
        or (len(parts) == 1 and parts[0].startswith("inventory-"))
        or parts[:1] == ("dist",)  # the state has each package
    ):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]).absolute())
