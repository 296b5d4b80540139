"""Who resumes a run whose process died: whoever acts or waits, and nobody who only reads.

The release's package is nowhere, so that every run is refused before it touches anything: whole runs without engines.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import pytest

from orchestrator.app.requests import Promote
from orchestrator.domain.journal import QueuedRequest, Run
from orchestrator.ports.lists import queue_of
from orchestrator.wiring import App
from tests.cli.test_waves import REF, Yard


class Recovery(TypedDict):
    """The variable that says what commands do with runs whose process died."""

    ORCHESTRATOR_RECOVERY: str


AUTOMATIC: Recovery = {"ORCHESTRATOR_RECOVERY": "automatic"}
READING = (("status",), ("history",), ("queue",), ("matrix",), ("show", "aaa111-eu-1"))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path, root="ccc333").lay()


def ask(app: App, root: str, wait: float = 0.0) -> Run:
    """A promotion into eu-1 that is asked for."""
    asked = Promote(root=root, package=REF, targets=("eu-1",), by="ann", wait=wait)
    run = asked.first(app.services.clock.now())
    app.store.submit(QueuedRequest(root=root, request=asked.to_json()), run)
    return run


def die(app: App, root: str) -> None:
    """A process has taken the promotion up, and is no more."""
    app.store.claim(root, "worker", app.engine.here, 30.0)
    app.store.release_claim(root, "worker", done=False)


@pytest.fixture
def held(yard: Yard) -> Yard:
    """eu-1 is held by a promotion whose process died."""
    app = yard.app()
    run = ask(app, "aaa111")
    app.store.claim("aaa111", "worker", app.engine.here, 30.0)
    app.store.acquire("eu-1", run.id, "ann", "promotion", worker="worker")
    app.store.release_claim("aaa111", "worker", done=False)
    app.close()
    return yard


def seen(yard: Yard, root: str) -> Run:
    app = yard.app()
    try:
        return app.store.run(f"{root}-eu-1")
    finally:
        app.close()


def eventually(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_commands_that_read_do_not_act(held: Yard) -> None:
    """`status`, `history`, `queue`, `matrix` and `show` report a run whose process died, and start nothing."""
    for words in READING:
        said = held.run(*words, **AUTOMATIC)
        assert "resumes" not in said.err
    assert "interrupted" in held.run("status", **AUTOMATIC).out
    assert not (held.folder / ".orchestrator/background").exists()
    assert not seen(held, "aaa111").ended


def test_a_command_that_acts_recovers(held: Yard) -> None:
    """A command that acts resumes the run that holds the environment, and says so."""
    said = held.run("observe", "eu-1", code=8, **AUTOMATIC)
    assert "aaa111 was interrupted; it resumes in the background" in said.err
    eventually(lambda: seen(held, "aaa111").ended)


def test_a_waiting_process_recovers_what_it_waits_for(held: Yard) -> None:
    """A run that waits resumes the holder whose process died, and comes to its turn."""
    app = held.app()
    ask(app, "bbb222", wait=600.0)
    app.close()
    said = held.run("resume", "bbb222", code=None, **AUTOMATIC)
    assert "aaa111 was interrupted" in said.err
    assert seen(held, "aaa111").ended
    run = seen(held, "bbb222")
    assert (run.ended, "did not become free" in run.message) == (True, False)


@pytest.mark.parametrize("detached", [False, True])
def test_a_process_that_only_waited_leaves_the_queue(yard: Yard, detached: bool) -> None:
    """When the process of a run dies while it waits in the queue, the run ends there, unless it was detached; a read changes nothing."""
    yard.run("lock", "eu-1", "-m", "inventory")
    app = yard.app()
    run = ask(app, "bbb222", wait=600.0)
    if detached:
        app.control.detach(app.actor, run)
    process = yard.start("resume", "bbb222")
    eventually(lambda: any(wait.run == run.id for wait in queue_of(app.store, "eu-1")))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    yard.run("unlock", "eu-1")
    yard.run("status", **AUTOMATIC)
    assert not seen(yard, "bbb222").ended
    said = yard.run("observe", "eu-1", code=None, **AUTOMATIC)
    assert ("bbb222 leaves the queue: its process ended while it waited" in said.err) is not detached
    eventually(lambda: seen(yard, "bbb222").ended)
    assert (seen(yard, "bbb222").message == "cancelled while it waited") is not detached
    assert queue_of(app.store, "eu-1") == []
    app.close()
