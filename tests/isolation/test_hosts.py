"""Loopback hosts of isolated operations: a broker outside starts and ends them, and only those of the operation's stack."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.adapters.pulumi.sight import BROKER, broker_command
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.view import View
from orchestrator.engine.jobs import LocalJobs
from orchestrator.hosts import loopback, sshd
from orchestrator.hosts.broker import Broker
from orchestrator.isolation.isolator import Isolator
from orchestrator.ports import Job

ROOT = Path(__file__).resolve().parents[2]
STACK = "shop-staging"
CODE = (
    BROKER.partition("from orchestrator")[0]
    + """
import json
from orchestrator.domain.errors import OrchestratorError
from orchestrator.hosts import loopback
answers = {}
def attempt(what, action):
    try:
        answers[what] = action()
    except OrchestratorError as error:
        answers[what] = error.code
"""
)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder, whose hosts are gone afterwards."""
    folder = tmp_path / ("a folder with a long name " * 5).strip() / "state"
    folder.mkdir(parents=True)
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(folder))
    try:
        sshd.find_server(os.environ)
    except OrchestratorError as error:
        pytest.skip(str(error))
    yield folder
    for host in loopback.recorded(folder):
        loopback.remove_host(host)


def asked(isolator: Isolator, state: Path, code: str, verb: str = "up", key: str = "one") -> dict[str, object]:
    """What an isolated job with *code* got for answers."""
    jobs = LocalJobs(state / "jobs", isolator=lambda: isolator)
    env = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "ORCHESTRATOR_STATE", "ORCHESTRATOR_ISOLATION")
        if name in os.environ
    }
    argv = (sys.executable, "-I", "-S", "-c", f"{CODE}\n{code}\nprint(json.dumps(answers))", str(ROOT))
    server = broker_command("shop", STACK.partition("-")[2], verb)
    outcome = jobs.run(Job(key=key, argv=argv, env=env, cwd=Path("/"), outlived=True, server=server, view=View()))
    text = (outcome.folder / "output.log").read_text()
    assert outcome.code == 0, text
    assert not (outcome.folder / "served.sock").exists()
    return dict(json.loads(text))


def test_hosts_outlive_the_isolated_job_that_made_them(isolator: Isolator, state: Path) -> None:
    """A host that an isolated job makes runs on, is found by the next one, and is gone when one has ended it."""
    code = f"""
attempt("made", lambda: loopback.start({STACK!r}, "web1").name)
attempt("again", lambda: loopback.start({STACK!r}, "web1").address == loopback.find_host({STACK!r}, "web1").address)
attempt("alive", lambda: loopback.alive(loopback.find_host({STACK!r}, "web1")))
import os
attempt("seen", lambda: os.path.exists({str(state)!r} + "/hosts"))
"""
    assert asked(isolator, state, code) == {"made": "web1", "again": True, "alive": True, "seen": False}
    [host] = loopback.recorded(state)
    assert loopback.alive(host)
    ending = f'attempt("ended", lambda: loopback.remove_host(loopback.find_host({STACK!r}, "web1")))'
    assert asked(isolator, state, ending, key="two") == {"ended": None}
    assert loopback.recorded(state) == []
    assert not loopback.alive(host)


def test_a_preview_starts_and_ends_no_host(isolator: Isolator, state: Path) -> None:
    """The preview of an isolated program finds hosts, and is refused to start or end one."""
    made = loopback.start(STACK, "web1")
    code = f"""
host = loopback.find_host({STACK!r}, "web1")
attempt("found", lambda: loopback.alive(host))
attempt("start", lambda: loopback.start({STACK!r}, "web2"))
attempt("end", lambda: loopback.remove_host(host))
"""
    assert asked(isolator, state, code, "preview") == {"found": True, "start": "I111", "end": "I111"}
    assert loopback.alive(made)


def test_hosts_of_other_stacks_are_out_of_reach(isolator: Isolator, state: Path) -> None:
    """An isolated program neither finds, starts nor ends the hosts of another stack."""
    other = loopback.start("shop-production", "web1")
    code = """
attempt("find", lambda: loopback.find_host("shop-production", "web1"))
attempt("start", lambda: loopback.start("shop-production", "web2"))
attempt("above", lambda: loopback.find_host("../hosts/shop-production", "web1"))
from dataclasses import replace
attempt("end", lambda: loopback.remove_host(loopback.Host("web1", "127.0.0.1", 1, 1, "root", "/x/shop-production/web1", True)))
"""
    assert asked(isolator, state, code) == dict.fromkeys(("find", "start", "above", "end"), "I111")
    assert loopback.alive(other)


@pytest.mark.parametrize(
    "question",
    [
        b"", b"{", b"[]", b"null", b"7", b'"start"', b"{}", b"\xff\xfe", b"[" * 50_000,
        b'{"what": "start", "stack": "shop-staging"}',
        b'{"what": "start", "stack": ["shop-staging"], "name": "web1"}',
        b'{"what": "start", "stack": "shop-staging", "name": "../web1"}',
        b'{"what": "start", "stack": "shop-staging", "name": null}',
        b'{"what": "start", "stack": "shop-staging", "name": "web1", "address": "10.0.0.1"}',
        b'{"what": "start", "stack": "shop-staging", "name": "web1", "port": 99999}',
        b'{"what": "start", "stack": "shop-staging", "name": "web1", "port": "22"}',
        b'{"what": "start", "stack": "shop-staging", "name": "web1", "port": {}}',
        b'{"what": "start", "stack": "shop-staging", "name": "web1", "address": 7}',
        b'{"what": "start", "stack": "shop-staging", "name": "web1", "more": 1}',
        b'{"what": "end", "stack": "shop-staging", "name": "web1"}',
        b'{"what": ["start"], "stack": "shop-staging", "name": "web1"}',
        b'{"what": "__init__", "stack": "shop-staging", "name": "web1"}',
    ],
)  # fmt: skip
def test_a_question_may_be_anything(question: bytes, state: Path) -> None:
    """Whatever the broker is asked, it answers with an error, and makes nothing."""
    assert "error" in Broker(STACK, acts=True).answer(question)
    assert not (state / "hosts").exists()


def test_a_connection_that_says_nothing_holds_nobody_up(isolator: Isolator, state: Path) -> None:
    """A job that leaves a connection open without a question ends, and its broker with it."""
    code = """
import os, socket
folder, name = os.environ["ORCHESTRATOR_SERVED"].rsplit("/", 1)
os.chdir(folder)
held = [socket.socket(socket.AF_UNIX) for _ in range(3)]
for one in held:
    one.connect(name)
attempt("connected", lambda: len(held))
"""
    assert asked(isolator, state, code) == {"connected": 3}
