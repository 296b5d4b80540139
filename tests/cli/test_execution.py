"""A promotion is followed to its end, also while its journal cannot be read."""

import signal
import threading
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.app.requests import Promote
from orchestrator.app.run_reader import RunReader
from orchestrator.cli import execution
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry, Record, Run
from orchestrator.domain.release import PackageRef

REF = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'0' * 64}")
REQUEST = Promote(root="abc", package=REF, targets=("staging",), by="ann")


def parts_over(store: MemoryStore) -> dict[str, Any]:
    """What a follower uses of an application over *store*: what reads runs, and nothing that a run waits for."""
    reader = RunReader(cast("Any", SimpleNamespace(store=store)))
    queries = SimpleNamespace(reader=lambda _actor: reader, current_run=lambda _actor, root: store.run(root))
    return {"queries": queries, "resumption": SimpleNamespace(blockers=lambda _: SimpleNamespace(resume=tuple))}


class Locked(MemoryStore):
    """A store that somebody else has locked for a while."""

    refused = 0

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """What there is, once it is open again."""
        if self.refused < 3:
            self.refused += 1
            raise OrchestratorError("S112", "the database is locked")
        return super().records(run, after, limit)


def test_a_journal_that_cannot_be_read_is_read_later() -> None:
    """A database that does not answer for a while ends no command: the promotion goes on, and its end is told."""
    store = Locked()
    store.create(Run(id="abc-staging", root="abc", kind="promotion", environment="staging"))
    app: Any = SimpleNamespace(**parts_over(store), parked=False)

    def wait() -> dict[str, Any]:
        time.sleep(0.6)
        ending: Iterable[Entry] = [Entry(kind="ended", data={"state": "succeeded", "exit": 0, "message": "done"})]
        store.append("abc-staging", ending)
        return {}

    (story,) = execution.run_and_follow(app, REQUEST, wait)
    assert store.refused == 3
    assert story.ending is not None
    assert story.ending["exit"] == 0


class Detached(Exception):
    """The process would have ended here."""


@pytest.mark.parametrize("unwritten", [0, 1])
def test_two_interrupts_at_once_cancel_and_leave(monkeypatch: pytest.MonkeyPatch, unwritten: int) -> None:
    """Two Ctrl-C between two looks cancel the run and then leave it; where that cannot be written down, it is tried again before."""
    wished: list[str] = []
    failures = [OrchestratorError("S112", "the database is locked")] * unwritten

    class Interrupted(MemoryStore):
        def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
            """What there is; two interrupts come meanwhile, once."""
            if not app.interrupted:
                app.interrupted = True
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return super().records(run, after, limit)

    def wish(_actor: Actor, _run: Run, what: str, _why: str) -> None:
        if failures:
            raise failures.pop()
        wished.append(what)

    def detach(*_: object) -> None:
        assert wished == ["cancel"]
        raise Detached

    store = Interrupted()
    store.create(Run(id="abc-staging", root="abc", kind="promotion", environment="staging"))
    app: Any = SimpleNamespace(
        **parts_over(store),
        parked=False,
        interrupted=False,
        actor=Actor(name="ann"),
        control=SimpleNamespace(request=wish),
    )
    monkeypatch.setattr(execution, "detach", detach)
    over = threading.Event()
    try:
        with pytest.raises(Detached):
            execution.run_and_follow(app, REQUEST, lambda: {"over": over.wait(20)})
    finally:
        over.set()
    assert wished == ["cancel"]
