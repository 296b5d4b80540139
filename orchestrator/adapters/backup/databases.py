"""Copies of databases that are in use: SQLite's by its own online backup, Postgres's by its own programs."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import sqlalchemy as sa

from orchestrator.adapters.database.driver import driver
from orchestrator.adapters.database.read_tables import ALL_TABLES
from orchestrator.adapters.database.schema_list import unlisted_statements
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.text import clean_text

WAIT = 30.0  # seconds for which another's write is waited for
SETTLE = """
DO $$ BEGIN
  IF to_regclass('public.feed') IS NOT NULL THEN UPDATE public.feed SET tx = '0'; END IF;
END $$;
"""
"""Transaction ids of the server that was dumped mean nothing on another one: all rows of the feed are settled."""


def copy(source: Path, target: Path) -> None:
    """Copy the SQLite file *source* as it is at one moment, while others write to it. Raises S112 and S114."""
    try:
        with (
            contextlib.closing(driver().connect(source, timeout=WAIT)) as here,
            contextlib.closing(driver().connect(target)) as there,
        ):
            here.backup(there)
            there.execute("PRAGMA journal_mode=DELETE")  # one file, whatever the source was kept with
    except driver().OperationalError as error:
        raise OrchestratorError("S112", f"the store cannot be copied: {error}") from error
    except driver().DatabaseError as error:
        raise OrchestratorError("S114", f"the store is damaged: {error}") from error
    target.chmod(0o600)


def dump_database(url: str, target: Path) -> None:
    """Write the whole Postgres database as it is at one moment into *target*. Raises S133."""
    _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")
    target.chmod(0o600)


def load_database(url: str, source: Path, work: Path) -> None:
    """Replace the current database by the one that was dumped into *source*, in one transaction.

    *work* is a folder for temporary files. Raises S133, without any change.
    """
    script, clear = _script(source, work), work / "clear.sql"
    tables = ", ".join(sorted([*ALL_TABLES, "alembic_version"]))
    lines = [
        f"SET lock_timeout = '{WAIT:.0f}s';",
        "DROP SCHEMA IF EXISTS dbos CASCADE;",
        f"DROP TABLE IF EXISTS {tables} CASCADE;",
        "DROP FUNCTION IF EXISTS orchestrator_notify CASCADE;",  # what notifies workers: of the schema, and no table's
    ]
    clear.write_text("\n".join(lines), encoding="utf-8")
    settle = work / "settle.sql"
    settle.write_text(SETTLE, encoding="utf-8")
    words = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    try:
        _run(url, "psql", *words, f"--file={clear}", f"--file={script}", f"--file={settle}")
    finally:
        for file in (script, clear, settle):
            file.unlink()


def strange(source: Path, work: Path) -> list[str]:
    """The statements in the dump *source* that are not on the list of this program. Raises S133."""
    script = _script(source, work)
    try:
        with script.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            return unlisted_statements(lines)
    finally:
        script.unlink()


def _script(source: Path, work: Path) -> Path:
    """The dump *source* as a script for `psql`, in the folder *work*."""
    script = work / "database.sql"
    _run("", "pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(source))
    return script


def _run(url: str, program: str, *words: str) -> None:
    """Run one of Postgres's programs on the database *url*; its password is not in the list of processes."""
    path = shutil.which(program)
    if path is None:
        raise OrchestratorError("S133", f"there is no {program} on PATH, which copies Postgres databases")
    env, named = dict(os.environ), []
    if url:
        parts = sa.make_url(url).set(drivername="postgresql")
        secret = parts.password or parts.query.get("password")
        if secret:
            env["PGPASSWORD"] = str(secret)
        plain = sa.URL.create(
            "postgresql",
            username=parts.username,
            host=parts.host,
            port=parts.port,
            database=parts.database,
            query={name: value for name, value in parts.query.items() if name != "password"},
        )
        named = [f"--dbname={plain.render_as_string(hide_password=False)}"]
    done = subprocess.run(
        [path, *named, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = [line for line in clean_text(done.stderr).splitlines() if line.strip()]
        raise OrchestratorError("S133", f"{program} failed: {'; '.join(lines[:3]) or done.returncode}")
