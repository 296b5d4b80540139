"""Commands that read change nothing after an interrupted run, whatever recovery is set to.

The table of the command line says which commands there are: a new one has to be named here, as one that reads or acts.
"""

import hashlib
import sqlite3
import subprocess
from collections.abc import Iterator

import click
import pytest

from orchestrator.cli import NAMES, cli
from tests.cli.test_recovery import AUTOMATIC, ask
from tests.cli.test_waves import Yard
from tests.inside import say

RUN = "aaa111-eu-1"
READS: dict[str, tuple[tuple[str, ...], ...]] = {
    "plan": (("shop-1.0.0", "--to", "eu-1"), ("shop-1.0.0", "--to", "regions"), ("--rollback", "eu-1")),
    "status": ((), ("eu-1",), ("--json",), ("--hosts",)),
    "matrix": ((), ("--json",), ("--environment", "eu-1", "--name", "shop")),
    "history": ((), ("eu-1",), ("--json",), ("--cursor", "5")),
    "show": ((RUN,), (RUN, "--json"), ("aaa111",)),
    "watch": ((RUN,), (RUN, "--json")),
    "logs": ((RUN,), (RUN, "--json"), (RUN, "--files")),
    "queue": ((), ("eu-1",), ("--json",)),
    "requirements": (("shop-1.0.0", "--in", "eu-1"), ("shop-1.0.0", "--in", "eu-1", "--json")),
    "validate": ((),),
    "schema": ((), ("release",)),
    "explain": ((), ("D183",), ("D183", "--json")),
    "doctor": ((), ("--json",)),
    "completion": (("bash",),),
    "package list": ((), ("--json",)),
    "package show": (("shop-1.0.0",),),
    "package verify": (("shop-1.0.0",),),
    "package diff": (("shop-1.0.0", "shop-1.1.0"),),
    "environment list": ((), ("--json",)),
    "environment show": (("eu-1",),),
    "environment inventory": (("eu-1",),),
    "environment outputs": (("eu-1",),),
    "environment preview": (("eu-1",),),
    "engine status": ((),),
    "hosts list": ((),),
    "hosts status": ((),),
    "keys show": ((),),
    "lock status": ((),),
    "people list": ((), ("--json",)),
    "group list": ((), ("--json",)),
    "service-account list": ((), ("--json",)),
    "access show": ((), ("--json",)),
    "can-i": (("promote", "eu-1"), ("promote", "eu-1", "--json")),
    "whoami": ((), ("--json",)),
    "token list": ((), ("--json",)),
    "why": (("shop-1.0.0", "--to", "eu-1"), ("shop-1.0.0", "--to", "eu-1", "--json")),
    "calendar list": ((), ("--json",)),
    "approvals": ((), ("--json",)),
    "calendar export": ((),),
    "line status": ((), ("--json",)),
    "audit list": ((), ("--json",)),
    "audit verify": ((), ("--json",)),
    "request list": ((), ("--json",)),
    "request rank": ((), ("--json",)),
    "bookings": ((), ("--json",)),
    "implementation list": ((), ("--json",)),
    "implementation status": ((), ("--json",)),
    "train list": ((), ("--json",)),
    "hook list": ((), ("--json",)),
    "notifications list": ((), ("--json",)),
    "hook deliveries": ((), ("--json",)),
    "release list": ((), ("--json",)),
    "release schedule": ((), ("--json",)),
    "free": (("eu-1", "--for", "1h"), ("eu-1", "--for", "1h", "--json")),
    "contention": ((), ("--json",)),
    "review list": ((), ("--json",)),
    "action list": ((), ("--json",)),
    "measures": ((), ("--json",), ("--runs", "lead-time")),
    "environment quota": ((), ("--json",)),
    "projects": ((), ("--json",)),
    "project definitions": ((), ("--json",)),
}
ACTS = {
    "build", "package remove", "promote", "rehearse", "rollback", "resume", "retry", "cancel", "abort", "pause", "worker", "lock",
    "unlock", "observe", "environment override", "environment destroy", "environment reap", "environment resolve", "environment up",
    "engine install", "hosts install", "init", "keys rotate", "backup", "restore",
    "store rebuild", "prune",
    "calendar subscribe", "calendar unsubscribe", "people accounts", "people unlink", "people add", "people edit", "people disable", "people show", "group add", "group remove", "group members", "service-account add",
    "service-account disable", "away", "access grant", "access revoke", "access apply", "token create", "token rotate", "token revoke",
    "calendar add", "calendar remove", "calendar override", "calendar import", "line stop", "line resume", "audit show", "audit export",
    "audit explain",
    "approve", "reject", "withdraw", "raise-risk", "people reset-password", "service-account trust", "token exchange", "serve", "login", "logout",
    "drift", "parity", "request accept", "request add", "request close", "request defer", "request edit", "request import", "request reject",
    "request reopen", "request revise", "request show", "request submit", "request withdraw",
    "implementation abort", "implementation add", "implementation begin", "implementation decide", "implementation done",
    "implementation evidence", "implementation export", "implementation fail", "implementation file", "implementation help-needed", "implementation replan",
    "implementation retry", "implementation show", "implementation skip", "implementation start",
    "release add", "release cancel", "release close", "release complete", "release confirm", "release edit", "release freeze",
    "release hold", "release notes", "release phase", "release plan", "release remove", "release resume", "release show", "release start",
    "review close", "review feedback", "review open", "review show", "review write", "report",
    "action add", "action cancel", "action done",
    "train board", "train cancel", "train create", "train depart", "train edit", "train hold", "train leave", "train line",
    "notifications rule", "notifications test", "notifications retry", "hook add", "hook edit", "hook remove", "hook show", "hook test",
    "train prognosis", "train resolve", "train resume", "train show",
    "project push", "project show", "project use",
    "book", "booking cancel", "booking end", "booking extend", "booking hand-over", "booking show",
}  # fmt: skip
OWN = ("keys", "crash-", "project.key")  # what any command may make for itself in the state folder
DERIVED = ("state.db-shm", "state.db-wal", "state-engine.db-shm", "state-engine.db-wal")


def commands() -> Iterator[str]:
    """Every command and subcommand of the table."""
    with click.Context(cli) as context:
        for name in NAMES:
            command = cli.get_command(context, name)
            if isinstance(command, click.Group):
                yield from (f"{name} {part}" for part in command.list_commands(context))
            else:
                yield name


def test_every_command_reads_or_acts() -> None:
    """Each command of the table is named here as one that reads, or as one that acts."""
    assert {name for name in READS if name != "lock status"} | ACTS == set(commands())
    assert not READS.keys() & ACTS


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """eu-1 is held by a promotion whose process died; recovery is automatic."""
    yard = Yard(tmp_path_factory.mktemp("interrupted"), root="ccc333").lay()
    app = yard.app()
    run = ask(app, "aaa111")
    app.store.claim("aaa111", "worker", app.engine.here, 30.0)
    app.store.acquire("eu-1", run.id, "ann", "promotion", worker="worker")
    app.store.release_claim("aaa111", "worker", done=False)
    app.close()
    say(yard.folder, yard.environ(**AUTOMATIC), "status")  # what opening a project makes
    say(yard.folder, yard.environ(**AUTOMATIC), "keys", "show")
    return yard


def everything(yard: Yard) -> dict[str, str]:
    """Each row of each table, each file of the project, and each process that works for it."""
    found = {}
    for file in sorted((yard.folder / ".orchestrator").glob("*.db")):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                rows = db.execute(f'SELECT * FROM "{table}"').fetchall()
                found[f"{file.name}:{table}"] = "\n".join(sorted(map(repr, rows)))
    for path in sorted(yard.folder.rglob("*")):
        if path.is_file() and path.suffix != ".db" and path.name not in DERIVED and not path.name.startswith(OWN):
            found[str(path.relative_to(yard.folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    found["processes"] = repr(working_for(yard))
    return found


def working_for(yard: Yard) -> list[str]:
    """The processes with the project's folder in their command line."""
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(yard.folder) in line]


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, each in READS.items() for words in each])
def test_reading_changes_nothing(interrupted: Yard, name: str, words: tuple[str, ...]) -> None:
    """After an interrupted run, a command that reads changes no record, lease, file or process, and resumes nothing."""
    before = everything(interrupted)
    said = say(interrupted.folder, interrupted.environ(**AUTOMATIC), *name.split(), *words)
    assert "resumes" not in said.err
    assert "internal error" not in said.err
    assert everything(interrupted) == before


def test_reads_report_the_interrupted_run(interrupted: Yard) -> None:
    """`status` and `show` name the interrupted run, and the command that continues it."""
    for words in (("status", "eu-1"), ("show", RUN)):
        said = say(interrupted.folder, interrupted.environ(**AUTOMATIC), *words)
        assert "interrupted" in said.out
        assert f"orchestrator resume {RUN}" in said.out + said.err
