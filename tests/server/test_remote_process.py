"""Servers and clients as processes of their own: the same words, and runs that outlive whoever follows them."""

import getpass
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.app import access, people, tokens
from orchestrator.cli import main
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Binding, User
from orchestrator.ports.lists import each_request
from orchestrator.wiring import App, open_app
from tests.cli.test_change_requests import git
from tests.server.remote_site import Said, difference, serving_application
from tests.server.test_process import free_port
from tests.server.test_remote_commands import PLAN
from tests.server.test_remote_stories import do_work, laid, ways
from tests.server.test_uploads import ENVIRONMENT, sealed, server, write

__all__ = ["sealed", "ways"]  # the fixtures
ME = getpass.getuser()
ID = re.compile(r"c-[0-9a-f]{8}")
RANDOM = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{16})\b")
"""The id of a calendar entry, which is drawn at random."""
COMMANDS = (
    "people add zoe --team red", "people edit zoe --zone Europe/Berlin", "people edit zoe --zone Nowhere/X", "people list",
    "group add ops zoe", "group members ops --remove zoe", "access grant viewer user:zoe", "access show", "can-i view --as zoe",
    "calendar add window day --start 2027-01-01T08:00 --end 2027-01-01T17:00 --zone UTC --environment staging",
    "calendar list", "line stop staging -m leak", "line status", "line resume staging -m fixed",
    "book staging --from 2027-05-01T08:00:00Z --for 2h --purpose load", "booking extend B-1 --until 2027-05-01T12:00:00Z",
    "bookings", "booking cancel B-1", "booking show B-9", "request add filters --value 5 --submit", "request edit R-1 --value 2",
    "request accept R-1", "request list --all", "request show R-1", "release list", "implementation start move",
    "implementation begin IP-1 check", "implementation done IP-1 check --evidence seen", "implementation show IP-1 check",
    "implementation status IP-1", "implementation decide IP-1 switch go", "implementation list --all", "review list",
    "action list", "measures", "status", "matrix", "queue", "history", "show 000001", "package list", "plan 1.0.0 --to staging",
    "promote 1.0.0 --to staging", "promote 1.0.0", "rollback staging --yes", "rollback nowhere --yes", "retry 000001",
    "resume 000001", "whoami", "people disable zoe -m gone", "access revoke viewer user:zoe",
    "package verify {sealed}", "package verify {sealed} --keep", "package verify {requests}", "package list",
    "request import --file {requests} --dry-run", "request import --file {requests}", "request import --file {sealed}",
    "request import --git", "request import --git --from HEAD~1 --package shop", "request import --git --from HEAD~1", "request list",
    "environment list", "environment show staging", "environment show nowhere", "environment preview staging",
    "environment up staging", "environment destroy staging --yes", "environment resolve staging --all-absent",
    "environment override staging s1 -m seen", "environment reap staging", "environment reap",
    "audit verify", "audit verify --against {head}", "audit explain -m failover", "audit explain -m failover --against {head}",
    "audit verify --against {head}", "token exchange", "keys show", "keys rotate", "keys show", "keys rotate --revoke",
    "audit verify", "prune --dry-run", "prune",
)  # fmt: skip
REQUESTS = "apiVersion: orchestrator/v1\nkind: ChangeRequests\nrequests:\n- {reference: T-1, title: Sell, value: 4}\n"


def project_in(folder: Path) -> App:
    """A project whose only user has every role."""
    write(folder, {"orchestrator.yaml": "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n"})
    write(folder, {"environments/staging/environment.yaml": ENVIRONMENT, "implementation/move.yaml": PLAN})
    app = open_app(folder)
    people.add_user(app.acting, User(name=ME))
    for role in sorted(BUILT_IN, key=lambda name: name != "administrator"):
        access.grant(app.acting, Binding(role=role, to=f"user:{ME}"))
    return app


def told(capsys: pytest.CaptureFixture[str], given: dict[str, str], *before: str) -> list[tuple[str, Said]]:
    """What every command prints, in words and as a document. *given* are the files that commands name."""
    found = []
    for words in COMMANDS:
        line = words.format(**given)
        for flag in ((), ("--json",)) if line.split()[0] in READS or line.split()[1] in TWICE else ((),):
            capsys.readouterr()
            code = main([*before, *line.split(), *flag])
            printed = capsys.readouterr()
            found.append(
                (f"{words} {' '.join(flag)}", Said(int(code), ID.sub("c-ID", printed.out), printed.err).plain())
            )
    return found


def files_of(here: App, folder: Path, sealed: Path) -> dict[str, str]:
    """The files that commands name, and a Git repository in the project *here*, of which `clone` is a clone."""
    (folder / "requests.yaml").write_text(REQUESTS)
    (folder / "head").write_text(json.dumps({"project": "shop", "index": 10**6, "code": "a" * 64}))
    (here.root / ".gitignore").write_text(".orchestrator/\n")
    git(here.root, "init", "-q")
    git(here.root, "add", ".")
    for message in ("feat: first", "feat(shop): sell gift cards"):
        (here.root / "notes.txt").write_text(message)
        git(here.root, "add", ".")
        git(here.root, "commit", "-q", "-m", message)
    git(folder, "clone", "-q", str(here.root), "clone")
    return {"sealed": str(sealed), "requests": str(folder / "requests.yaml"), "head": str(folder / "head")}


def alike(said: Said, root: Path) -> Said:
    """*said* without the folder of the project and the identifiers of keys and digests, which are drawn at random."""
    out, err = (RANDOM.sub("RANDOM", text.replace(str(root), "ROOT")) for text in (said.out, said.err))
    return Said(said.code, out, err)


READS = {"bookings", "measures", "status", "matrix", "queue", "history", "promote", "whoami", "prune"}
TWICE = {"list", "show", "verify", "import", "rotate", "reap", "exchange", "explain"}


def test_a_server_process_prints_what_the_folder_does(
    ways: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], sealed: tuple[Path, str, Path]
) -> None:
    """Commands print the same at a server that is a process of its own as in a folder, and end with the same codes."""
    here, there = project_in(tmp_path / "here"), project_in(tmp_path / "there")
    given = files_of(here, tmp_path, sealed[2])
    made = [tokens.create_token(app.acting, ME, lifetime=timedelta(hours=1)) for app in (here, there)]
    ways.chdir(here.root)
    expected = told(capsys, given)
    here.close()
    there.close()
    ways.chdir(tmp_path / "clone")
    ways.setenv("ORCHESTRATOR_TOKEN", made[1].text)
    port = free_port()
    with server(tmp_path / "there", port):
        found = told(capsys, given, "--server", f"http://127.0.0.1:{port}")
    varying = {"whoami ", "whoami --json"}  # the actor is known by a token
    pairs = [
        (line, alike(a, here.root), alike(b, there.root))
        for (line, a), (_, b) in zip(expected, found, strict=True)
        if line not in varying
    ]
    wrong = [f"{line}: {difference(a, b)}" for line, a, b in pairs if a != b]
    assert not wrong, "\n\n".join(wrong)


def test_a_run_goes_on_when_its_follower_is_killed(
    ways: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`kill -9` of a command that follows its promotion at a server has no effect on the promotion."""
    app = laid(tmp_path / "there", ways, capsys)
    app._memory.packages.put(app._memory.release("1.0.0"))
    token = tokens.create_token(app.acting, ME, lifetime=timedelta(hours=1)).text
    environ = {**os.environ, "ORCHESTRATOR_TOKEN": token, "PYTHONPATH": str(Path(__file__).parents[2])}
    with serving_application(app) as url:
        words = [sys.executable, "-m", "orchestrator", "--server", url, "promote", "1.0.0", "--to", "staging"]
        with subprocess.Popen(words, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as follower:
            deadline = time.monotonic() + 60
            while not list(each_request(app.store)) and time.monotonic() < deadline:
                time.sleep(0.05)
            [work] = each_request(app.store)
            assert follower.stderr is not None
            assert "no worker is running" in follower.stderr.readline()
            follower.send_signal(signal.SIGKILL)
            follower.wait(30)
        stop = threading.Event()
        worker = threading.Thread(target=do_work, args=(app, stop))
        worker.start()
        while not app.store.work(work.root).done and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        worker.join(30)
    [run] = app.store.runs()
    assert (run.state.value, run.by) == ("succeeded", ME)
