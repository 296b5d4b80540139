"""Servers and clients as processes of their own: the same words, and runs that outlive whoever follows them."""

import getpass
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
from tests.server.remote_site import Said, difference, serving_application
from tests.server.test_process import free_port
from tests.server.test_remote_commands import PLAN
from tests.server.test_remote_stories import do_work, laid, ways
from tests.server.test_uploads import ENVIRONMENT, server, write

__all__ = ["ways"]  # the fixture
ME = getpass.getuser()
ID = re.compile(r"c-[0-9a-f]{8}")
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
)  # fmt: skip


def project_in(folder: Path) -> App:
    """A project whose only user has every role."""
    write(folder, {"orchestrator.yaml": "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n"})
    write(folder, {"environments/staging/environment.yaml": ENVIRONMENT, "implementation/move.yaml": PLAN})
    app = open_app(folder)
    people.add_user(app.acting, User(name=ME))
    for role in sorted(BUILT_IN, key=lambda name: name != "administrator"):
        access.grant(app.acting, Binding(role=role, to=f"user:{ME}"))
    return app


def told(capsys: pytest.CaptureFixture[str], *before: str) -> list[tuple[str, Said]]:
    """What every command prints, in words and as a document."""
    found = []
    for line in COMMANDS:
        for flag in ((), ("--json",)) if line.split()[0] in READS or line.split()[1] in {"list", "show"} else ((),):
            capsys.readouterr()
            code = main([*before, *line.split(), *flag])
            printed = capsys.readouterr()
            found.append(
                (f"{line} {' '.join(flag)}", Said(int(code), ID.sub("c-ID", printed.out), printed.err).plain())
            )
    return found


READS = {"bookings", "measures", "status", "matrix", "queue", "history", "promote", "whoami"}


def test_a_server_process_prints_what_the_folder_does(
    ways: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands print the same at a server that is a process of its own as in a folder, and end with the same codes."""
    here, there = project_in(tmp_path / "here"), project_in(tmp_path / "there")
    ways.chdir(here.root)
    expected = told(capsys)
    token, port = tokens.create_token(there.acting, ME, lifetime=timedelta(hours=1)).text, free_port()
    here.close()
    there.close()
    ways.chdir(tmp_path)
    ways.setenv("ORCHESTRATOR_TOKEN", token)
    with server(tmp_path / "there", port):
        found = told(capsys, "--server", f"http://127.0.0.1:{port}")
    varying = {"whoami ", "whoami --json"}  # the actor is known by a token
    wrong = [f"{line}: {difference(a, b)}" for (line, a), (_, b) in zip(expected, found, strict=True)
             if a != b and line not in varying]  # fmt: skip
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
