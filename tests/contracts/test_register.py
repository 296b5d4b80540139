"""The contract of the `Register` port, kept by every adapter of it."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator.adapters.audit_head import HeadFile
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.register import DatabaseRegister
from orchestrator.adapters.database.tables import ABOUT, LISTED, MANAGEMENT, REGISTER
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.domain.access.principals import Actor, User
from orchestrator.domain.admission.overrides import Override
from orchestrator.domain.audit.chain import AuditHead, AuditRecord, Fault, record_by
from orchestrator.domain.calendar.verdict import LineStop
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import ENDED, KINDS, LINE_STOPS, OPEN, OVERRIDES, USERS, RecordKind
from orchestrator.domain.secret import Secret
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.store import BOOKINGS
from orchestrator.management.change_requests.model import ChangeRequest
from orchestrator.management.change_requests.store import CHANGE_REQUESTS
from orchestrator.management.kinds import MANAGEMENT_KINDS
from orchestrator.register_ports import Changes, Records, Register, each_record
from orchestrator.secret_values import SecretValues, process_secrets, use

ANN = Actor(name="ann")
AT = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)

Open = Callable[[], Register]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same register again and again."""
    made: list[Register] = []
    if request.param == "memory":
        one = MemoryRegister()
        yield lambda: one
        return
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").fresh()
    else:
        url = f"sqlite:///{tmp_path}/state.db"

    def again(project: str = "shop") -> Register:
        made.append(DatabaseRegister(url, SystemClock(), project, MemoryKeys(), HeadFile(tmp_path / project)))
        return made[-1]

    yield again
    for register in made:
        register.close()


@pytest.fixture
def register(opened: Open) -> Register:
    return opened()


def about(name: str, **more: object) -> AuditRecord:
    return record_by(ANN, project="shop", at=AT, action="people:manage", object=f"user:{name}", **more)


def add(name: str, expected: int | None = None) -> Callable[[Changes], int]:
    def work(changes: Changes) -> int:
        changes.put(USERS, User(name=name), expected)
        return changes.record(about(name)).index

    return work


def names(records: Records) -> list[str]:
    return [user.name for user in records.all(USERS)]


def stop(name: str, *, resumed: bool = False) -> LineStop:
    at = AT if resumed else None
    return LineStop(id=name, environment="*", stopped_at=AT, stopped_by="ann", reason="leak", resumed_at=at)


def test_a_record_is_found_again_with_its_version(opened: Open) -> None:
    """A record is found by its key in each later transaction; each write raises its version; a removed one is gone."""
    one = opened()
    assert one.changing("ann", add("bob")) == 1
    assert one.changing("ann", add("ann")) == 2
    other = opened()
    assert other.reading(names) == ["ann", "bob"]
    one.changing("ann", add("bob"))
    assert other.reading(lambda records: (records.version(USERS, "bob"), records.version(USERS, "eve"))) == (2, 0)
    assert other.reading(lambda records: records.get(USERS, "bob")) == User(name="bob")
    assert other.reading(lambda records: records.get(USERS, "eve")) is None

    def away(changes: Changes) -> None:
        changes.remove(USERS, "bob")
        changes.record(about("bob"))

    other.changing("ann", away)
    assert one.reading(names) == ["ann"]


def test_records_are_found_by_their_part(register: Register) -> None:
    """A record moves to another part when it is written with one; a search by part finds exactly its records."""

    def stops(changes: Changes) -> None:
        changes.put(LINE_STOPS, stop("a"))
        changes.put(LINE_STOPS, stop("b"))
        changes.record(about("a"))

    def resumed(changes: Changes) -> None:
        changes.put(LINE_STOPS, stop("a", resumed=True))
        changes.record(about("a"))

    def still_open() -> list[str]:
        return [each.id for each in register.reading(lambda records: records.all(LINE_STOPS, OPEN))]

    register.changing("ann", stops)
    assert still_open() == ["a", "b"]
    register.changing("ann", resumed)
    assert still_open() == ["b"]


def test_a_change_that_fails_changes_nothing(register: Register) -> None:
    """An error in a change leaves no record and no audit entry, and is raised as it is."""

    def failing(changes: Changes) -> None:
        add("bob")(changes)
        raise OrchestratorError("A101", "no")

    with pytest.raises(OrchestratorError, match="no"):
        register.changing("ann", failing)
    assert register.reading(names) == []
    assert register.reading(lambda records: records.head().index) == 0


def test_a_change_without_an_audit_entry_is_refused(register: Register) -> None:
    """What is not recorded in the audit stream is not changed."""
    with pytest.raises(RuntimeError, match="audit"):
        register.changing("ann", lambda changes: changes.put(USERS, User(name="bob")))
    assert register.reading(names) == []


def test_of_two_changes_for_one_version_the_second_is_refused(opened: Open) -> None:
    """Of changes made for the same version at the same moment exactly one is done; the others get A107."""
    opened().changing("ann", add("bob"))
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def change(register: Register) -> None:
        start.wait()
        try:
            register.changing("ann", add("bob", expected=1))
            outcomes.append("done")
        except OrchestratorError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=change, args=(opened(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["A107", "A107", "A107", "done"]
    assert opened().reading(lambda records: (records.version(USERS, "bob"), records.head().index)) == (2, 2)


def test_the_audit_stream_has_no_gaps_between_many_writers(opened: Open) -> None:
    """Entries of writers at the same moment have the indexes 1, 2, 3, … and one unbroken chain."""
    start = threading.Barrier(4)

    def write(register: Register, name: str) -> None:
        start.wait()
        for number in range(5):
            register.changing("ann", add(f"{name}{number}"))

    threads = [threading.Thread(target=write, args=(opened(), name)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = opened().reading(lambda records: records.audit())
    assert [entry.index for entry in entries] == list(range(1, 21))
    assert MemoryKeys().broken(entries) is None
    assert opened().reading(lambda records: [e.index for e in records.audit(after=17, limit=2)]) == [18, 19]
    assert opened().reading(lambda records: records.newest_time()) == AT


def test_the_lease_of_the_scheduler_is_fenced(opened: Open) -> None:
    """One holder at a time; a new holder has a new fence, with which changes of the former one are refused (S103)."""
    one, other = opened(), opened()
    assert one.scheduler() is None
    later = datetime(2990, 1, 1, tzinfo=UTC)
    first = one.take_scheduler("a", later)
    assert first is not None
    assert (other.take_scheduler("b", later), one.take_scheduler("a", later)) == (None, first)
    assert other.changing("system", add("bob"), first.fence) == 1
    one.release_scheduler("b")
    assert other.take_scheduler("b", later) is None
    one.release_scheduler("a")
    second = other.take_scheduler("b", later)
    assert second is not None
    assert (second.fence, second == one.scheduler()) == (first.fence + 1, True)
    with pytest.raises(OrchestratorError, match="another process is the scheduler"):
        one.changing("system", add("eve"), first.fence)
    assert one.changing("system", add("joe"), second.fence) == 2
    assert one.reading(names) == ["bob", "joe"]


def test_records_are_listed_page_by_page(register: Register) -> None:
    """A page goes on after its cursor in the order of position and key, in the parts that were chosen, and counts agree."""
    placed = [("b", 1.0), ("a", 1.0), ("d", 3.0), ("c", 2.0), ("e", 2.0)]

    def write(changes: Changes) -> None:
        for number, (title, rank) in enumerate(placed, 1):
            at = {"rank": rank, "by": "ann", "at": AT, "reason": "x"}
            fields = {"title": title, "number": number, "reporter": "ann", "created_at": AT, "override": at}
            changes.put(CHANGE_REQUESTS, ChangeRequest.model_validate(fields))
        changes.record(about("a"))

    register.changing("ann", write)

    def titles(*parts: str, **given: Any) -> tuple[str, str | None]:
        page = register.reading(lambda records: records.page(CHANGE_REQUESTS, parts or None, **given))
        return "".join(request.title for request in page.items), page.cursor

    assert titles() == ("dceba", None)
    first, cursor = titles("draft", "closed", limit=2)
    second, last = titles("draft", cursor=cursor, limit=3)
    assert (first, second, last) == ("dc", "eba", None)
    assert titles("closed") == ("", None)
    assert titles(start="098.5") == ("ba", None)
    last_two, cursor = titles(newest_first=True, limit=2)
    rest, end = titles(newest_first=True, cursor=cursor)
    assert (last_two, rest, end) == ("ab", "ecd", None)
    assert titles("draft", newest_first=True, limit=1)[0] == "a"
    assert register.reading(lambda records: records.count(CHANGE_REQUESTS)) == {"draft": 5}


def test_records_are_listed_by_the_beginning_of_their_keys(register: Register) -> None:
    """Records of any kind are listed in pages in the order of their keys, also those alone whose keys begin with a text."""

    def write(changes: Changes) -> None:
        for name in ("anna", "ann", "bob"):
            changes.put(USERS, User(name=name))
        changes.record(about("ann"))

    def listed(**given: Any) -> list[str]:
        return [user.name for user in register.reading(lambda records: records.page(USERS, **given)).items]

    register.changing("ann", write)
    assert (listed(), listed(newest_first=True)) == (["ann", "anna", "bob"], ["bob", "anna", "ann"])
    assert [listed(prefix=text) for text in ("ann", "anna", "an_", "a%")] == [["ann", "anna"], ["anna"], [], []]
    first = register.reading(lambda records: records.page(USERS, prefix="ann", limit=1))
    assert listed(prefix="ann", cursor=first.cursor) == ["anna"]
    everyone = register.reading(lambda records: tuple(each_record(records, USERS)))
    assert everyone == register.reading(lambda records: records.all(USERS))


def test_records_are_found_by_what_they_are_about(register: Register) -> None:
    """Records of one environment are listed in pages of their own; positions and times of writing are found as well."""

    def write(changes: Changes) -> None:
        for number, environment in enumerate(("staging", "production", "staging", "staging"), 1):
            fields = {"start": AT, "end": AT.replace(hour=23 - number), "purpose": "x", "holder": "user:ann"}
            fields |= {"number": number, "environment": environment, "owner": "ann", "created_at": AT}
            changes.put(BOOKINGS, EnvironmentBooking.model_validate(fields))
        changes.record(about("ann"))

    def listed(**given: Any) -> list[str]:
        return [each.id for each in register.reading(lambda records: records.page(BOOKINGS, [OPEN], **given)).items]

    started = datetime.now(UTC)
    register.changing("ann", write)
    assert listed(about="staging") == ["B-4", "B-3", "B-1"]
    assert (listed(about="production"), listed(about="moon")) == (["B-2"], [])
    first = register.reading(lambda records: records.page(BOOKINGS, about="staging", limit=2))
    assert listed(about="staging", cursor=first.cursor) == ["B-1"]
    assert listed(about="staging", newest_first=True) == ["B-1", "B-3", "B-4"]
    places = register.reading(lambda records: records.positions(BOOKINGS, [OPEN]))
    assert [place[-1] for place in places] == ["4", "3", "2", "1"]
    assert register.reading(lambda records: records.positions(BOOKINGS, [ENDED])) == []
    since = started.replace(microsecond=0)
    assert len(register.reading(lambda records: records.written_since(BOOKINGS, since))) == 4
    assert register.reading(lambda records: records.written_since(BOOKINGS, since.replace(year=9000))) == ()


def test_records_of_an_earlier_schema_get_what_they_are_about(tmp_path: Path) -> None:
    """After the upgrade, records of each kind that were recorded before it are found by what they are about."""
    from alembic import command

    from orchestrator.adapters.database.engine import alembic_config

    file = tmp_path / "state.db"
    engine, config = sa.create_engine(f"sqlite:///{file}"), alembic_config()
    values: dict[str, Any] = {"environment": "staging", "source_ref": "T-1", "review": "REL-1", "line": "weekly",
                              "rule": "chat"}  # fmt: skip
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0027")
        for name in ABOUT:
            row = dict.fromkeys(("part", "created_at", "created_by", "changed_at", "changed_by", "position"), "x")
            row |= {"project": "shop", "key": "1", "data": json.dumps(values), "version": "1"}
            names, places = ", ".join(row), ", ".join(f":{each}" for each in row)
            connection.execute(sa.text(f"INSERT INTO {name} ({names}) VALUES ({places})"), row)
        command.upgrade(config, "head")
        found = {name: connection.execute(sa.text(f"SELECT about FROM {name}")).scalar() for name in ABOUT}
    engine.dispose()
    assert found == {
        "bookings": "staging", "change_requests": "T-1", "review_actions": "REL-1", "trains": "weekly",
        "notifications": "chat",
    }  # fmt: skip


def test_records_of_an_earlier_schema_get_their_positions(tmp_path: Path) -> None:
    """After the upgrade, overrides that were recorded before it are listed in the order of their times."""
    from alembic import command

    from orchestrator.adapters.database.engine import alembic_config

    file = tmp_path / "state.db"
    engine, config = sa.create_engine(f"sqlite:///{file}"), alembic_config()
    fields = {"package": f"sha256:{'1' * 64}", "environment": "staging", "entry": "windows", "text": "t", "by": "ann"}
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0019")
        for hour in (9, 7, 8):
            at = AT.replace(hour=hour)
            value = Override(**fields, reason=str(hour), at=at, until=at)
            row = {
                "project": "shop",
                "key": value.key,
                "part": "staging",
                "data": value.model_dump_json(),
                "version": 1,
            }
            row |= dict.fromkeys(("created_at", "created_by", "changed_at", "changed_by"), "x")
            names = ", ".join(row)
            connection.execute(
                sa.text(f"INSERT INTO overrides ({names}) VALUES ({', '.join(f':{n}' for n in row)})"), row
            )
    engine.dispose()
    register = DatabaseRegister(f"sqlite:///{file}", SystemClock(), "shop", MemoryKeys(), HeadFile(tmp_path / "head"))
    page = register.reading(lambda records: records.page(OVERRIDES, newest_first=True, limit=2))
    assert [each.reason for each in page.items] == ["9", "8"]
    assert [each.reason for each in register.reading(lambda r: r.page(OVERRIDES, start="2026-11-29T07:30").items)] == [
        "8",
        "9",
    ]
    register.close()


def test_every_kind_has_a_table() -> None:
    """The database has one table for each kind of record that the register keeps."""
    kinds: list[RecordKind[Any]] = [*KINDS, *MANAGEMENT_KINDS]
    assert {kind.name for kind in kinds} == {*REGISTER, *MANAGEMENT, *LISTED}
    assert {kind.name for kind in kinds if kind.position is not None} == {*LISTED}
    assert {kind.name for kind in kinds if kind.about is not None} == ABOUT


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_projects_are_apart(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Two projects in one database have records and audit streams of their own."""
    url = request.getfixturevalue("postgres").fresh() if store == "postgres" else f"sqlite:///{tmp_path}/state.db"
    made = {
        name: DatabaseRegister(url, SystemClock(), name, MemoryKeys(), HeadFile(tmp_path / name))
        for name in ("shop", "bank")
    }
    made["shop"].changing("ann", add("bob"))
    assert made["bank"].reading(names) == []
    assert made["bank"].reading(lambda records: records.head()) == AuditHead(project="bank", index=0, code="0" * 64)
    for register in made.values():
        register.close()


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_change_whose_answer_was_lost_is_done_once(
    store: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the answer of a commit is lost and the change is repeated, it is there once, and its first result counts."""
    url = request.getfixturevalue("postgres").fresh() if store == "postgres" else f"sqlite:///{tmp_path}/state.db"
    register = DatabaseRegister(url, SystemClock(), "shop", MemoryKeys(), HeadFile(tmp_path))
    heads = HeadFile(tmp_path)
    lost: list[str] = []

    def write(project: str, newer: Callable[[AuditHead | None], AuditHead | None]) -> None:
        if not lost:
            lost.append(project)
            error = OrchestratorError("S112", "the server is away")
            error.__cause__ = ConnectionError()
            raise error
        heads.write(project, newer)

    monkeypatch.setattr(register._heads, "write", write)
    monkeypatch.setattr("orchestrator.adapters.database.engine.passing", lambda _error: True)
    assert register.changing("ann", add("bob")) == 1
    assert register.reading(lambda records: records.head().index) == 1
    register.close()


def test_the_head_beside_the_database_is_never_older(tmp_path: Path) -> None:
    """The head file has the newest place after each change, and is not replaced by an older one."""
    heads = HeadFile(tmp_path)
    register = DatabaseRegister(f"sqlite:///{tmp_path}/state.db", SystemClock(), "shop", MemoryKeys(), heads)
    register.changing("ann", add("bob"))
    old = heads.read()
    register.changing("ann", add("eve"))
    newest = register.reading(lambda records: records.head())
    assert old is not None
    register.changing("ann", lambda _: None)
    assert heads.read() == newest
    assert oct((tmp_path / "audit-head").stat().st_mode & 0o777) == "0o600"
    register.close()


def test_what_is_changed_in_the_database_is_found(tmp_path: Path) -> None:
    """An entry that was edited in the database is named by `verify`, and a removed last one by the head."""
    heads, keys = HeadFile(tmp_path), MemoryKeys()
    register = DatabaseRegister(f"sqlite:///{tmp_path}/state.db", SystemClock(), "shop", keys, heads)
    for name in ("bob", "eve", "joe"):
        register.changing("ann", add(name))
    with sqlite3.connect(tmp_path / "state.db") as db:
        row = json.loads(db.execute('SELECT data FROM audit WHERE "index" = 2').fetchone()[0])
        db.execute('UPDATE audit SET data = ? WHERE "index" = 2', (json.dumps({**row, "actor": "bob"}),))
    found = keys.broken(register.reading(lambda records: records.audit()), head=heads.read())
    assert found is not None
    assert (found.index, found.fault) == (2, Fault.EDITED)
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute('UPDATE audit SET data = ? WHERE "index" = 2', (json.dumps(row),))
        db.execute('DELETE FROM audit WHERE "index" = 3')
    found = keys.broken(register.reading(lambda records: records.audit()), head=heads.read())
    assert found is not None
    assert (found.index, found.fault) == (3, Fault.TRUNCATED)
    register.close()


def test_secrets_are_masked_before_the_chain_is_made(tmp_path: Path) -> None:
    """An entry with a known secret is kept without it, and its chain is whole."""
    from orchestrator.adapters.database.masking import mask_databases

    mask_databases()
    before, values = process_secrets(), SecretValues()
    use(values)
    try:
        values.learn("test", [Secret("password", b"s3cr3t-hunter2-xyz")])
        register = DatabaseRegister(
            f"sqlite:///{tmp_path}/state.db", SystemClock(), "shop", MemoryKeys(), HeadFile(tmp_path)
        )
        register.changing("ann", lambda changes: changes.record(about("bob", reason="it is s3cr3t-hunter2-xyz")))
        (entry,) = register.reading(lambda records: records.audit())
        assert "hunter2" not in entry.reason
        assert MemoryKeys().broken([entry]) is None
        register.close()
    finally:
        use(before)
