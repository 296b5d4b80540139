"""The contract of the `KeptReplies` port, kept by every adapter of it, and what requests with keys are answered."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.adapters.database.kept_replies import DatabaseKeptReplies
from orchestrator.adapters.memory.kept_replies import MemoryKeptReplies
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.app.idempotency import IdempotentRequests
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.idempotency import KeptReply
from orchestrator.register_ports import KeptReplies

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ONE, OTHER = (f"sha256:{digit * 64}" for digit in "12")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeptReplies]:
    made: KeptReplies = MemoryKeptReplies()
    if request.param == "sqlite":
        made = DatabaseKeptReplies(f"sqlite:///{tmp_path}/state.db", "shop")
    if request.param == "postgres":
        made = DatabaseKeptReplies(request.getfixturevalue("postgres").fresh(), "shop")
    yield made
    made.close()


def test_the_first_of_a_key_is_kept(kept: KeptReplies) -> None:
    """A key is of one actor; the first request with it is kept, and later ones get its reply."""
    first = KeptReply(request=ONE, at=NOON)
    assert (kept.open("ann", "k", first), kept.open("bob", "k", first)) == (None, None)
    assert kept.open("ann", "k", KeptReply(request=OTHER, at=NOON)) == first
    done = first.model_copy(update={"status": 201, "body": "{}"})
    kept.close_with("ann", "k", done)
    assert kept.open("ann", "k", first) == done
    kept.forget("ann", "k")
    assert kept.open("ann", "k", first) is None
    kept.remove_before(NOON + timedelta(seconds=1))
    assert kept.open("bob", "k", first) is None


def test_of_many_at_the_same_moment_one_is_first(kept: KeptReplies) -> None:
    """Of eight requests with one key at the same moment, exactly one is executed."""
    found: list[KeptReply | None] = []

    def one() -> None:
        found.append(kept.open("ann", "k", KeptReply(request=ONE, at=NOON)))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), found.count(None)) == (8, 1)


def test_a_request_is_executed_once(kept: KeptReplies) -> None:
    """A repeated request gets the first reply for 24 hours; a refused one is free again, and one without a reply waits."""
    clock = ManualClock(NOON)
    once, calls = IdempotentRequests(kept, clock, MemoryKeys()), []

    def work() -> tuple[int, str]:
        calls.append(1)
        return 201, f"{len(calls)}"

    def refused() -> tuple[int, str]:
        raise OrchestratorError("A101", "no")

    with pytest.raises(OrchestratorError, match="A101"):
        once.reply_to("ann", "k", ONE, refused)
    assert once.reply_to("ann", "k", ONE, work) == ((201, "1"), False)
    assert once.reply_to("ann", "k", ONE, work) == ((201, "1"), True)
    with pytest.raises(OrchestratorError, match="N126"):
        once.reply_to("ann", "k", OTHER, work)
    kept.open("ann", "open", KeptReply(request=ONE, at=NOON))
    with pytest.raises(OrchestratorError, match="N127"):
        once.reply_to("ann", "open", ONE, work)
    clock.sleep(25 * 3600)
    assert once.reply_to("ann", "k", ONE, work) == ((201, "2"), False)


def test_a_kept_reply_is_encrypted(kept: KeptReplies) -> None:
    """A reply with a secret, such as a new token, is repeated, and is not in the database as text."""
    once = IdempotentRequests(kept, ManualClock(NOON), MemoryKeys())
    assert once.reply_to("ann", "k", ONE, lambda: (201, "orc_secret")) == ((201, "orc_secret"), False)
    assert once.reply_to("ann", "k", ONE, lambda: (500, "")) == ((201, "orc_secret"), True)
    found = kept.open("ann", "k", KeptReply(request=ONE, at=NOON))
    assert found is not None
    assert found.is_sealed
    assert "orc_secret" not in found.model_dump_json()


def test_a_reply_of_an_earlier_version_is_read(kept: KeptReplies) -> None:
    """A reply that an earlier version kept as text is repeated as it is."""
    kept.open("ann", "k", KeptReply(request=ONE, at=NOON))
    kept.close_with("ann", "k", KeptReply(request=ONE, status=201, body="{}", at=NOON))
    once = IdempotentRequests(kept, ManualClock(NOON), MemoryKeys())
    assert once.reply_to("ann", "k", ONE, lambda: (500, "")) == ((201, "{}"), True)
