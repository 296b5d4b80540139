"""The orders of what happens to a promotion that waits, on a database, as trees with a savepoint at each branch.

All orders are one tree. Of longer orders the seed draws beginnings, which are one event shorter than an order, and each of
them is continued with every event. So *share* percent of the beginnings are *share* percent of the orders, and what
begins alike is done once. Half of the beginnings need one vote, and the other half two.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from orchestrator.adapters.database.engine import open_database
from orchestrator.adapters.database.register_records import DatabaseChanges
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.domain.audit.chain import AuditEntry, AuditRecord
from orchestrator.domain.model import Model
from orchestrator.domain.register import (
    ACCESS_KINDS,
    CALENDAR_RULES,
    LINE_STOPS,
    OPEN,
    REQUESTS,
    REVIEWS,
    RecordKind,
    SchedulerLease,
)
from orchestrator.register_ports import Changes, Records
from tests.campaigns.waiting_promotion import EVENTS, NINE, Runs, Scene, lay

R = TypeVar("R")
M = TypeVar("M", bound=Model)
Order = tuple[str, ...]
READ: tuple[tuple[RecordKind[Any], str | None], ...] = (
    *((kind, None) for kind in ACCESS_KINDS.values()),
    (REQUESTS, None),
    (REQUESTS, OPEN),
    (LINE_STOPS, OPEN),
    (CALENDAR_RULES, None),
    (REVIEWS, OPEN),
)
"""What many events read."""
Known = dict[str, dict[str | None, Any]]
"""What was read, by the kind of record and its part."""


class Remembering(DatabaseChanges):
    """The register in one transaction, in which nothing is read twice as long as it is the same.

    *known* is what was read. *write* is called before each write.
    """

    def __init__(self, db: sa.Connection, known: Known, write: Callable[[], None], project: str, *rest: Any) -> None:
        super().__init__(db, project, *rest)
        self._known, self._write = known, write

    def all(self, kind: RecordKind[M], part: str | None = None) -> tuple[M, ...]:
        """The records of *kind*."""
        here = self._known.setdefault(kind.name, {})
        if part not in here:
            here[part] = super().all(kind, part)
        return cast("tuple[M, ...]", here[part])

    def _row(self, kind: RecordKind[M], key: str) -> Any:
        here = self._known.setdefault(kind.name, {})
        if f"row {key}" not in here:
            here[f"row {key}"] = super()._row(kind, key)
        return here[f"row {key}"]

    def put(self, kind: RecordKind[M], value: M, expected: int | None = None) -> None:
        """Write a record."""
        self._write()
        self._known.pop(kind.name, None)
        super().put(kind, value, expected)

    def remove(self, kind: RecordKind[M], key: str) -> None:
        """Remove a record."""
        self._write()
        self._known.pop(kind.name, None)
        super().remove(kind, key)

    def record(self, record: AuditRecord) -> AuditEntry:
        """Append to the audit stream."""
        self._write()
        entry = super().record(record)
        self._known["audit"] = {None: entry}
        return entry

    def _newest(self) -> AuditEntry | None:
        here = self._known.setdefault("audit", {})
        if None not in here:
            here[None] = super()._newest()
        return cast("AuditEntry | None", here[None])


class OneTransaction:
    """The register of the database within one transaction of the caller, so that savepoints can go back."""

    def __init__(self, db: sa.Connection, project: str = "shop") -> None:
        self.db, self.project, self._keys, self._calls = db, project, MemoryKeys(), 0
        self.known: Known = {}
        self.written = False

    def reading(self, work: Callable[[Records], R]) -> R:
        """What *work* finds."""
        return work(Remembering(self.db, self.known, lambda: None, self.project, self._keys))

    def changing(self, by: str, work: Callable[[Changes], R], fence: int | None = None) -> R:
        """What *work* returns; what it wrote is gone if it raises."""
        del fence
        self._calls += 1
        before, begun = copied(self.known), list[None]()

        def write() -> None:
            if not begun:
                self.db.exec_driver_sql("SAVEPOINT work")
                begun.append(None)

        changes = Remembering(self.db, self.known, write, self.project, self._keys, by, "", str(self._calls))
        try:
            result = work(changes)
            changes.check()
        except BaseException:
            self.known = before
            if begun:
                self.db.exec_driver_sql("ROLLBACK TO work")
                self.db.exec_driver_sql("RELEASE work")
            raise
        if begun:
            self.db.exec_driver_sql("RELEASE work")
            self.written = True
        return result

    def take_scheduler(self, holder: str, until: datetime) -> SchedulerLease | None:
        """Nobody: no scheduler takes part."""
        del holder, until
        return None

    def release_scheduler(self, holder: str) -> None:
        """Nothing: no scheduler takes part."""

    def scheduler(self) -> SchedulerLease | None:
        """Nobody."""
        return None

    def close(self) -> None:
        """Nothing is open."""


def copied(known: Known) -> Known:
    """A copy of *known*, which changes apart from it."""
    return {name: dict(parts) for name, parts in known.items()}


def tree(url: str, length: int, count: int) -> int:
    """Every order up to *length*, with one event of each kind, on the empty database at *url*. Returns how many were done."""
    engine = open_database(url)
    with engine.connect() as db:
        done = _every(lay(OneTransaction(db), count), db, length)
        db.rollback()
    engine.dispose()
    return done


def _every(scene: Scene, db: sa.Connection, length: int) -> int:
    def following(branch: Scene) -> int:
        return _every(branch, db, length - 1)

    if not length:
        return 0
    with _savepoint(scene, db):
        return sum(1 + _branch(scene, db, event, following) for event in NINE)


def beginnings(length: int, share: float, seed: int) -> tuple[list[Order], list[Order]]:
    """*share* percent of the beginnings of orders of *length*, by *seed* and none twice: with one vote, and with two."""
    there = len(EVENTS) ** (length - 1)
    numbers = random.Random(seed).sample(range(there), max(2, round(there * share / 100)))
    half = len(numbers) // 2
    return _orders(numbers[:half], length - 1), _orders(numbers[half:], length - 1)


def _orders(numbers: list[int], length: int) -> list[Order]:
    places = [len(EVENTS) ** at for at in reversed(range(length))]
    return [tuple(EVENTS[number // place % len(EVENTS)] for place in places) for number in sorted(numbers)]


GROUPS = 2 * len(EVENTS)
"""Into how many groups drawn orders fall: by their first event, and by whether they need one vote or two."""


def walk(url: str, length: int, share: float, seed: int, groups: Sequence[int] = range(GROUPS)) -> tuple[int, int]:
    """Do *share* percent of the orders of *length*, those of *groups*, on the empty database at *url*.

    Returns how many orders and events. A group is one transaction, which is rolled back. Raises `AssertionError` of the
    checker.
    """
    drawn, orders, events = beginnings(length, share, seed), 0, 0
    engine = open_database(url)
    with engine.connect() as db:
        _parse_each_time(db)
        laid = [lay(OneTransaction(db, f"votes{count}"), count) for count in (1, 2)]
        db.commit()
        for group in groups:
            alike = [order for order in drawn[group % 2] if order[0] == EVENTS[group // 2]]
            if alike:
                done = _drawn(laid[group % 2], db, alike, 0)
                db.rollback()
                orders, events = orders + done[0], events + done[1]
    engine.dispose()
    return orders, events


def _drawn(scene: Scene, db: sa.Connection, drawn: Sequence[Order], at: int) -> tuple[int, int]:
    """Every order of *drawn* from its event *at* on, and every event after it. Returns how many orders and events."""
    orders = events = 0
    with _savepoint(scene, db):
        if at == len(drawn[0]):
            for event in EVENTS:
                _branch(scene, db, event, lambda _: None)
            return len(EVENTS), len(EVENTS)
        for event, alike in groupby(drawn, lambda order: order[at]):
            these = list(alike)

            def following(branch: Scene, these: Sequence[Order] = these) -> tuple[int, int]:
                return _drawn(branch, db, these, at + 1)

            done = _branch(scene, db, event, following)
            orders, events = orders + done[0], events + done[1] + 1
    return orders, events


def _branch(scene: Scene, db: sa.Connection, event: str, following: Callable[[Scene], R]) -> R:
    """Do *event* and what is *following*, and take both back if anything was written since the savepoint of the caller."""
    register = scene.register
    assert isinstance(register, OneTransaction)
    known, register.known, register.written = register.known, copied(register.known), False
    branch = Scene(register, ManualClock(scene.log.now), scene.log, Runs(scene.runs.works))
    branch.do(event)
    written = register.written
    done = following(branch)
    if written:
        db.exec_driver_sql("ROLLBACK TO branch")
    register.known = known
    return done


@contextmanager
def _savepoint(scene: Scene, db: sa.Connection) -> Iterator[None]:
    """A savepoint, to which each branch goes back. What every branch reads is read before."""
    scene.register.reading(lambda records: (records.newest_time(), *(records.all(*each) for each in READ)))
    db.exec_driver_sql("SAVEPOINT branch")
    yield
    db.exec_driver_sql("RELEASE branch")


def _parse_each_time(db: sa.Connection) -> None:
    """Let the driver of Postgres prepare nothing: it would forget all of it at every savepoint that is rolled back."""
    driver: Any = db.connection.driver_connection
    if hasattr(driver, "prepare_threshold"):
        driver.prepare_threshold = None
