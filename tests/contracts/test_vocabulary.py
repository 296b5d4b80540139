"""The number of the schema rises with the words of the journal, and a word that is not known is told as such."""

import json
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy as sa

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import SCHEMA, alembic_config
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import ControlVerb, Kind, QueuedRequest, Run
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.step import Outcome
from orchestrator.domain.worker import WorkerConfig, WorkerEvent
from orchestrator.engine.worker import Worker
from orchestrator.ports.lists import each_request

WORDS = {
    "0004": "sha256:dc377fdfa5616e6c014ad3f519cbcaf770b987b5c000696e4b29c409b61960f8",
    "0005": "sha256:dc377fdfa5616e6c014ad3f519cbcaf770b987b5c000696e4b29c409b61960f8",
    "0006": "sha256:dc377fdfa5616e6c014ad3f519cbcaf770b987b5c000696e4b29c409b61960f8",
    "0007": "sha256:dc377fdfa5616e6c014ad3f519cbcaf770b987b5c000696e4b29c409b61960f8",
    "0008": "sha256:dc377fdfa5616e6c014ad3f519cbcaf770b987b5c000696e4b29c409b61960f8",
    "0009": "sha256:dc377fdfa5616e6c014ad3f519cbcaf770b987b5c000696e4b29c409b61960f8",
    "0010": "sha256:dc377fdfa5616e6c014ad3f519cbcaf770b987b5c000696e4b29c409b61960f8",
    "0013": "sha256:dc377fdfa5616e6c014ad3f519cbcaf770b987b5c000696e4b29c409b61960f8",
    "0014": "sha256:a9f4bf6038c638b3bcccef3a438fed7865ee2ebb3fa89aac7d10d775740067fe",
    "0015": "sha256:a9f4bf6038c638b3bcccef3a438fed7865ee2ebb3fa89aac7d10d775740067fe",
    "0016": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0017": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0018": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0019": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0020": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0021": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0022": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0023": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0024": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0025": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0026": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0027": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0029": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0030": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0031": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0032": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0033": "sha256:2cff4f40e29ec1256330c64049dceeb225ceb0e9f8bfb24cfb1a175171e5ae8d",
    "0034": "sha256:c79966142a01ec145003dd1ba899a6d84b6b3c09c3634a6b07cefbe600914b70",
    "0035": "sha256:c79966142a01ec145003dd1ba899a6d84b6b3c09c3634a6b07cefbe600914b70",
    "0036": "sha256:c79966142a01ec145003dd1ba899a6d84b6b3c09c3634a6b07cefbe600914b70",
}
"""The digest of all words for each schema. A new word needs a new schema, with a migration that may do nothing else."""


def words() -> dict[str, list[str]]:
    return {
        "kinds": sorted(get_args(Kind)),
        "controls": sorted(get_args(ControlVerb)),
        "truths": sorted(get_args(HostState.model_fields["truth"].annotation)),
        "states": sorted(State),
        "events": sorted(Event),
        "outcomes": sorted(Outcome),
        "fields": sorted({*Run.model_fields, *QueuedRequest.model_fields, *HostState.model_fields}),
    }


def test_a_new_word_needs_a_new_schema() -> None:
    """An older program refuses a journal with words that it does not know, because the schema is another one (S115)."""
    assert WORDS[SCHEMA] == digest_of(words())


def test_the_schema_of_the_program_is_that_of_its_newest_migration() -> None:
    """A database that this program has migrated is one that it knows."""
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == SCHEMA


@pytest.fixture
def store(tmp_path: Path) -> DatabaseStore:
    return DatabaseStore(f"sqlite:///{tmp_path}/state.db", SystemClock())


def ask(store: DatabaseStore, root: str, environment: str) -> None:
    run = Run(id=f"{root}-{environment}", root=root, kind="promotion", environment=environment)
    store.submit(QueuedRequest(root=root, request={"targets": [environment]}, queue="q"), run)
    store.enqueue(environment, run, supersede=False)


def spoil(store: DatabaseStore, table: str, where: str, name: str, value: str) -> None:
    """Write a field as a newer program would."""
    with store._engine.begin() as db:
        text = db.execute(sa.text(f"SELECT data FROM {table} WHERE {where}")).scalar_one()
        data = {**json.loads(text), name: value}
        db.execute(sa.text(f"UPDATE {table} SET data = :data WHERE {where}"), {"data": json.dumps(data)})


def test_a_word_of_a_newer_program_is_told_as_such(store: DatabaseStore) -> None:
    """A run, a host or a request with a value that this program does not know is S115, and no internal error."""
    ask(store, "a1", "one")
    spoil(store, "runs", "id = 'a1-one'", "kind", "teleportation")
    with pytest.raises(OrchestratorError) as caught:
        store.runs()
    assert (caught.value.code, "kind" in caught.value.message) == ("S115", True)


class Idle:
    """An engine on which nobody works."""

    def works_on(self, work: QueuedRequest) -> bool:
        del work
        return False


@pytest.mark.parametrize(
    ("table", "where", "name"), [("queued_requests", "root = 'a1'", "shape"), ("runs", "root = 'a1'", "kind")]
)
def test_a_request_that_cannot_be_read_keeps_only_itself(
    store: DatabaseStore, table: str, where: str, name: str
) -> None:
    """A worker leaves a request of a newer program to newer workers, says so once, and takes the others."""
    ask(store, "a1", "one")
    ask(store, "b1", "two")
    spoil(store, table, where, name, "teleportation")
    took, told = list[str](), list[WorkerEvent]()

    def start(root: str) -> int:
        took.append(root)
        store.dequeue("two", "b1-two")
        store.release_claim(root, "", done=True)
        return 0

    worker = Worker(Idle(), store, start, told.append, WorkerConfig("q", once=True))
    for _ in range(3):
        worker._take()
        worker._children.clear()
    assert took == ["b1"]
    assert [news.root for news in told if news.what == "left to others"] == ["a1"]
    assert "b1" not in {work.root for work in each_request(store)}


@pytest.mark.parametrize("blocked", [5, 100])
def test_a_request_that_waits_costs_nothing(store: DatabaseStore, blocked: int) -> None:
    """A look of a worker is one statement, however many requests wait for a locked environment; without news it reads no table."""
    store.acquire("one", "lock:1", "ann", "inventory")
    for number in range(blocked):
        ask(store, f"a{number:03}", "one")
    statements = list[str]()
    sa.event.listen(store._engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def start(root: str) -> int:
        raise AssertionError(f"{root} waits")

    worker = Worker(Idle(), store, start, lambda _news: None, WorkerConfig("q", concurrency=4))
    assert worker._take() == 0
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 1
    statements.clear()
    for _ in range(10):
        assert worker._take() == 0
    assert statements == []
