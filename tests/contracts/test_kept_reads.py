"""What a process keeps of the register: never older than the register, whoever has changed it."""

import gc
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator.adapters.audit_head import HeadFile
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database import kept_reads
from orchestrator.adapters.database import register as databases
from orchestrator.adapters.database.kept_reads import ReadCache
from orchestrator.adapters.database.register import DatabaseRegister
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.adapters.database.thread_connections import CACHE_KIB, KEEPS, keep_connections
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.domain.access.principals import Actor, Binding, User
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.calendar.verdict import LineStop
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.listing import Page
from orchestrator.domain.register import BINDINGS, LINE_STOPS, OPEN, USERS
from orchestrator.register_ports import Changes, Records

ANN = Actor(name="ann")
AT = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
NAMES = ("ann", "bob", "eve", "vic")


class Registers:
    """One register, opened by several processes."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder, self.made = url, folder, list[DatabaseRegister]()

    def open(self) -> DatabaseRegister:
        """The register of one more process."""
        head = HeadFile(self._folder / "shop")
        self.made.append(DatabaseRegister(self._url, SystemClock(), "shop", MemoryKeys(), head))
        return self.made[-1]


@pytest.fixture(params=["sqlite", "server", "postgres"])
def registers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registers]:
    """The register in a file, in a file for a server whose threads keep connections, and in Postgres."""
    is_postgres = request.param == "postgres"
    if request.param == "server":
        request.getfixturevalue("keeping")
    url = request.getfixturevalue("postgres").fresh() if is_postgres else f"sqlite:///{tmp_path}/state.db"
    found = Registers(url, tmp_path)
    yield found
    for register in found.made:
        register.close()


@pytest.fixture
def keeping() -> Iterator[None]:
    """The threads of this process keep connections, as those of a server do."""
    keep_connections()
    yield
    KEEPS.clear()


def snapshot(records: Records) -> tuple[object, ...]:
    """Everything that reads give, in each way in which records are read."""
    return (
        records.all(USERS),
        records.all(LINE_STOPS, OPEN),
        [records.get(USERS, name) for name in NAMES],
        [records.version(USERS, name) for name in NAMES],
        records.page(USERS, limit=2),
        records.page(USERS, newest_first=True, limit=2),
        records.page(BINDINGS, prefix="auditor"),
        records.count(LINE_STOPS),
        records.head(),
        records.newest_time(),
        records.audit(limit=3),
        records.kept("names", lambda: [user.name for user in records.all(USERS)]),
    )


def changed(chance: random.Random) -> Any:
    """A change by chance: a record that is added, changed or removed, or an audit entry alone."""
    name, what = chance.choice(NAMES), chance.choice(("put", "remove", "stop", "bind", "entry"))

    def work(changes: Changes) -> None:
        if what == "put":
            changes.put(USERS, User(name=name, team=f"t{chance.randrange(3)}"))
        elif what == "remove":
            changes.remove(USERS, name)
        elif what == "bind":
            changes.put(BINDINGS, Binding(role="auditor", to=f"user:{name}"))
        elif what == "stop":
            stop = LineStop(id=name, environment="*", stopped_at=AT, stopped_by="ann", reason="why")
            ended = {"resumed_at": AT, "resumed_by": "ann"} if chance.random() < 0.5 else {}
            changes.put(LINE_STOPS, stop.model_copy(update=ended))
        changes.record(record_by(ANN, project="shop", at=AT, action="people:manage", object=f"user:{name}"))

    return work


def test_what_is_kept_is_what_is_recorded(registers: Registers) -> None:
    """After every change, by this or another process, a process that keeps what it read reads what a new one reads."""
    chance, ours, other = random.Random(7), registers.open(), registers.open()
    for _ in range(25):
        chance.choice((ours, other)).changing("ann", changed(chance))
        found = [each.reading(snapshot) for each in (ours, other, ours)]
        fresh = registers.open()
        assert found == [fresh.reading(snapshot)] * 3
        fresh.close()


def test_a_change_that_is_undone_is_not_kept(registers: Registers) -> None:
    """What a transaction wrote before it failed is not read by anyone, and a transaction reads its own writes."""
    register = registers.open()
    register.changing("ann", changed(random.Random(1)))
    before = register.reading(snapshot)

    def failing(changes: Changes) -> None:
        added("eve", changes)
        assert changes.get(USERS, "eve") == User(name="eve")
        assert User(name="eve") in changes.all(USERS)
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        register.changing("ann", failing)
    assert register.reading(snapshot) == before
    assert register.reading(lambda records: records.get(USERS, "eve")) is None


@contextmanager
def statements() -> Iterator[list[str]]:
    """The queries of the block."""
    found: list[str] = []

    def keep(_c: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith("SELECT"):
            found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", keep)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", keep)


def test_the_same_records_are_read_once(registers: Registers) -> None:
    """A second reading asks the database for the newest audit entry alone, and gets the same values."""
    register = registers.open()
    register.changing("ann", changed(random.Random(1)))
    first = register.reading(lambda records: records.all(USERS))
    with statements() as found:
        assert register.reading(lambda records: records.all(USERS)) is first
    assert len(found) == 1
    assert "audit" in found[0]


def added(name: str, changes: Changes) -> None:
    """Add the user *name*."""
    changes.put(USERS, User(name=name))
    changes.record(record_by(ANN, project="shop", at=AT, action="people:manage", object=f"user:{name}"))


def test_few_records_are_kept(registers: Registers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has read more records than it may keep forgets them, and reads them again."""
    monkeypatch.setattr(databases, "ReadCache", lambda: ReadCache(most=2))
    register = registers.open()
    for name in NAMES:
        register.changing("ann", partial(added, name))
    assert len(register.reading(lambda records: records.all(USERS))) > 2
    with statements() as found:
        register.reading(lambda records: records.all(USERS))
    assert sum("users" in statement for statement in found) == 1


def test_a_transaction_that_reads_everything_keeps_few_records(
    registers: Registers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction that reads a long list page by page keeps no more records than may be kept, and gets all of them."""
    cache = ReadCache(most=2)
    monkeypatch.setattr(databases, "ReadCache", lambda: cache)
    register = registers.open()
    numbers = [f"n{number:03}" for number in range(50)]
    for name in numbers:
        register.changing("ann", partial(added, name))
    kept: list[int] = []

    def read_all(records: Records) -> list[str]:
        found, cursor = list[str](), None
        while True:
            page = records.page(USERS, cursor=cursor, limit=1)
            found += [user.name for user in page.items]
            if (cursor := page.cursor) is None:
                kept.append(sum(len(each.items) for each in vars(records)["_reads"].values() if isinstance(each, Page)))
                return found

    assert register.reading(read_all) == numbers
    assert kept == [3]


def user_of(name: str, records: Records) -> User | None:
    """The user *name*."""
    return records.get(USERS, name)


def test_few_single_records_are_kept(registers: Registers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the records that are read one by one a process keeps the last ones, and the lists that it has read stay."""
    monkeypatch.setattr(kept_reads, "MOST_SINGLE", 2)
    register = registers.open()
    for name in NAMES[:3]:
        register.changing("ann", partial(added, name))
    every = register.reading(lambda records: records.all(USERS))
    for name in NAMES[:3]:
        assert register.reading(partial(user_of, name)) is not None
    with statements() as found:
        register.reading(partial(user_of, NAMES[2]))
        assert register.reading(lambda records: records.all(USERS)) is every
    assert not any("users" in statement for statement in found)
    with statements() as found:
        register.reading(partial(user_of, NAMES[0]))
    assert any("users" in statement for statement in found)


def test_threads_that_keep_connections_read_what_others_write(tmp_path: Path, keeping: None) -> None:
    """A statement on a kept connection sees every commit, and a connection that failed is replaced."""
    del keeping
    url = f"sqlite:///{tmp_path}/state.db"
    store, other = DatabaseStore(url, SystemClock()), DatabaseStore(url, SystemClock())
    run = Run(id="r1", root="r1", kind="promotion", environment="staging")
    assert store.runs() == []
    other.create(run)
    for number in range(3):
        other.append("r1", [Entry(kind="notice", data={"n": number})])
        assert [record.data["n"] for record in store.records("r1")] == list(range(number + 1))
    mine = store._threads._mine()
    assert store._threads._mine() is mine
    assert mine.exec_driver_sql("PRAGMA cache_size").scalar() == -CACHE_KIB, "each thread would take 2 MiB"
    with pytest.raises(sa.exc.OperationalError):
        store._threads.rows(sa.select(sa.column("none")).select_from(sa.table("none")))
    assert mine.closed
    assert [each.id for each in store.runs()] == ["r1"]
    found: list[sa.Connection] = []
    thread = threading.Thread(target=lambda: found.append(store._threads._mine()))
    thread.start()
    thread.join()
    gc.collect()
    assert [each.closed for each in found] == [True]
    last = store._threads._mine()
    store.close()
    assert last.closed
    other.close()
