"""The orders of what happens to a promotion that waits, on a database, as trees with a savepoint at each branch.

All orders are one tree. Of longer orders the seed draws beginnings, which are one event shorter than an order, and each of
them is continued with every event. So *share* percent of the beginnings are *share* percent of the orders, and what
begins alike is done once. Half of the beginnings need one vote, and the other half two.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from orchestrator.adapters.database.engine import open_database
from orchestrator.adapters.database.register import DatabaseChanges
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.domain.model import Model
from orchestrator.domain.register import ACCESS_KINDS, RecordKind, SchedulerLease
from orchestrator.register_ports import Changes, Records
from tests.campaigns.waiting_promotion import EVENTS, NINE, Runs, Scene, lay

R = TypeVar("R")
M = TypeVar("M", bound=Model)
Order = tuple[str, ...]


class WithKnownAccess(DatabaseChanges):
    """The register in one transaction. Users and rights are read once, because no event of an order changes them."""

    def __init__(self, db: sa.Connection, access: dict[str, Any], project: str, *rest: Any) -> None:
        super().__init__(db, project, *rest)
        self._access = access

    def all(self, kind: RecordKind[M], part: str | None = None) -> tuple[M, ...]:
        """The records of *kind*."""
        if part is not None or kind not in ACCESS_KINDS.values():
            return super().all(kind, part)
        if kind.name not in self._access:
            self._access[kind.name] = super().all(kind)
        return cast("tuple[M, ...]", self._access[kind.name])

    def put(self, kind: RecordKind[M], value: M, expected: int | None = None) -> None:
        """Write a record."""
        self._access.pop(kind.name, None)
        super().put(kind, value, expected)


class OneTransaction:
    """The register of the database within one transaction of the caller, so that savepoints can go back."""

    def __init__(self, db: sa.Connection, project: str = "shop") -> None:
        self.db, self.project, self._keys, self._calls = db, project, MemoryKeys(), 0
        self._access: dict[str, Any] = {}

    def reading(self, work: Callable[[Records], R]) -> R:
        """What *work* finds."""
        return work(WithKnownAccess(self.db, self._access, self.project, self._keys))

    def changing(self, by: str, work: Callable[[Changes], R], fence: int | None = None) -> R:
        """What *work* returns; what it wrote is gone if it raises."""
        del fence
        self._calls += 1
        self.db.exec_driver_sql("SAVEPOINT work")
        try:
            changes = WithKnownAccess(self.db, self._access, self.project, self._keys, by, "", str(self._calls))
            result = work(changes)
            changes.check()
        except BaseException:
            self.db.exec_driver_sql("ROLLBACK TO work")
            raise
        finally:
            self.db.exec_driver_sql("RELEASE work")
        return result

    def take_scheduler(self, holder: str, until: datetime) -> SchedulerLease | None:
        """Nobody: no scheduler takes part."""
        del holder, until
        return None

    def leave_scheduler(self, holder: str) -> None:
        """Nothing: no scheduler takes part."""

    def scheduler(self) -> SchedulerLease | None:
        """Nobody."""
        return None

    def close(self) -> None:
        """Nothing is open."""


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

    return sum(1 + _branch(scene, db, event, following) for event in NINE) if length else 0


def beginnings(length: int, share: float, seed: int) -> tuple[list[Order], list[Order]]:
    """*share* percent of the beginnings of orders of *length*, by *seed* and none twice: with one vote, and with two."""
    there = len(EVENTS) ** (length - 1)
    numbers = random.Random(seed).sample(range(there), max(2, round(there * share / 100)))
    half = len(numbers) // 2
    return _orders(numbers[:half], length - 1), _orders(numbers[half:], length - 1)


def _orders(numbers: list[int], length: int) -> list[Order]:
    places = [len(EVENTS) ** at for at in reversed(range(length))]
    return [tuple(EVENTS[number // place % len(EVENTS)] for place in places) for number in sorted(numbers)]


def walk(url: str, length: int, share: float, seed: int) -> Iterator[tuple[int, int, float]]:
    """Do *share* percent of the orders of *length* on the empty database at *url*. Yields orders, events and seconds so far.

    What begins with the same event is one transaction, which is rolled back. Raises `AssertionError` of the checker.
    """
    since, orders, events = time.monotonic(), 0, 0
    engine = open_database(url)
    with engine.connect() as db:
        _parse_each_time(db)
        laid = {count: lay(OneTransaction(db, f"votes{count}"), count) for count in (1, 2)}
        db.commit()
        for scene, alike in _alike(laid, beginnings(length, share, seed)):
            done = _drawn(scene, db, alike, 0)
            db.rollback()
            orders, events = orders + done[0], events + done[1]
            yield orders, events, time.monotonic() - since
    engine.dispose()


def _alike(laid: dict[int, Scene], drawn: tuple[list[Order], list[Order]]) -> Iterator[tuple[Scene, list[Order]]]:
    """What begins with the same event and needs as many votes, with the scene in which it begins."""
    for event in EVENTS:
        for scene, orders in zip(laid.values(), drawn, strict=True):
            alike = [order for order in orders if order[0] == event]
            if alike:
                yield scene, alike


def _drawn(scene: Scene, db: sa.Connection, drawn: Sequence[Order], at: int) -> tuple[int, int]:
    """Every order of *drawn* from its event *at* on, and every event after it. Returns how many orders and events."""
    if at == len(drawn[0]):
        for event in EVENTS:
            _branch(scene, db, event, lambda _: None)
        return len(EVENTS), len(EVENTS)
    orders = events = 0
    for event, alike in groupby(drawn, lambda order: order[at]):
        these = list(alike)

        def following(branch: Scene, these: Sequence[Order] = these) -> tuple[int, int]:
            return _drawn(branch, db, these, at + 1)

        done = _branch(scene, db, event, following)
        orders, events = orders + done[0], events + done[1] + 1
    return orders, events


def _branch(scene: Scene, db: sa.Connection, event: str, following: Callable[[Scene], R]) -> R:
    """Do *event* and what is *following*, and take both back."""
    db.exec_driver_sql("SAVEPOINT branch")
    branch = Scene(scene.register, ManualClock(scene.log.now), scene.log, Runs(scene.runs.works))
    branch.do(event)
    done = following(branch)
    db.exec_driver_sql("ROLLBACK TO branch")
    db.exec_driver_sql("RELEASE branch")
    return done


def _parse_each_time(db: sa.Connection) -> None:
    """Let the driver of Postgres prepare nothing: it would forget all of it at every savepoint that is rolled back."""
    driver: Any = db.connection.driver_connection
    if hasattr(driver, "prepare_threshold"):
        driver.prepare_threshold = None
