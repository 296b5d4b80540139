"""All orders of what happens to a promotion that waits, on the real use cases, judged by an independent log.

    python -m tests.campaigns.approvals --memory 7 --sqlite 5 --share 1 --seed 1

In memory, equal states are merged, so that every order up to the length is covered. On SQLite the orders are a tree in
one transaction, with a savepoint at each branch. Of the orders of length 7 the seed draws a share, which is done on
SQLite and on Postgres, see `orders_in_database`. One start at most, none without a valid quorum, and no rollback held.
"""

import argparse
import contextlib
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.domain.register import LINE_STOPS, OPEN, REQUESTS, VOTES, RecordKind
from tests.campaigns.orders_in_database import GROUPS, tree, walk
from tests.campaigns.waiting_promotion import EVENTS, Runs, Scene, lay
from tests.postgres import serving

LONGEST = 7
"""The length of orders of which a share is done on databases."""
KEPT: tuple[RecordKind[Any], ...] = (REQUESTS, VOTES, LINE_STOPS)


def merged(length: int, count: int) -> Iterator[int]:
    """Every order up to *length*, in which equal states are done once. Yields the number of states of each length."""
    first = lay(MemoryRegister(), count)
    level = {_key(first): _saved(first)}
    for _ in range(length):
        following: dict[str, Any] = {}
        for saved in level.values():
            for event in EVENTS:
                scene = _restored(saved)
                scene.do(event)
                following.setdefault(_key(scene), _saved(scene))
        level = following
        yield len(level)
    for saved in list(level.values())[:100]:
        _restored(saved).no_rollback_is_held()


def _saved(scene: Scene) -> Any:
    register = scene.register
    assert isinstance(register, MemoryRegister)
    return register._tables, register._audit[-1:], scene.log, scene.runs.works


def _restored(saved: Any) -> Scene:
    tables, _, log, works = saved
    register = MemoryRegister()
    register._tables = tables
    return Scene(register, ManualClock(log.now), log, Runs(works))


def _key(scene: Scene) -> str:
    """What decides what happens next. A stop that was resumed does not."""
    stops, requests, votes = scene.register.reading(
        lambda records: (records.all(LINE_STOPS, OPEN), records.all(REQUESTS), records.all(VOTES))
    )
    texts = [len(stops), *(value.model_dump_json() for value in (*requests, *votes))]
    return f"{scene.log} {sorted(scene.runs.works)} {texts}"


def main(words: list[str] | None = None) -> int:
    """Do what the command line says, and print the figures."""
    parser = argparse.ArgumentParser(description="All orders of what happens to a promotion that waits.")
    parser.add_argument("--memory", type=int, default=7, help="the length in memory; 0: not")
    parser.add_argument("--sqlite", type=int, default=5, help="the length of all orders on SQLite; 0: not")
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="percent of the orders of length 7, which the seed draws as beginnings of 6 events with every event after them; 0: none",
    )
    parser.add_argument("--on", nargs="*", default=["sqlite", "postgres"], help="where they are done: sqlite, postgres")
    parser.add_argument("--jobs", type=int, default=1, help="in how many processes")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(words)
    for count in (1, 2) if chosen.memory else ():
        since = time.monotonic()
        for number, states in enumerate(merged(chosen.memory, count), start=1):
            print(
                f"memory, {count} votes, length {number}: {len(EVENTS) ** number} orders, {states} states, {time.monotonic() - since:.0f} s",
                flush=True,
            )
    if chosen.sqlite:
        since = time.monotonic()
        with database("sqlite") as url:
            done = tree(url, chosen.sqlite, 1)
        print(
            f"sqlite, 1 vote, up to length {chosen.sqlite}: {done} orders, {time.monotonic() - since:.0f} s", flush=True
        )
    for kind in chosen.on if chosen.share else ():
        drawn(kind, chosen.share, chosen.seed, chosen.jobs)
    return 0


def drawn(kind: str, share: float, seed: int, jobs: int) -> None:
    """Do *share* percent of the longest orders on databases of *kind*, in so many processes, and print the figures."""
    since, orders, events = time.monotonic(), 0, 0
    works = [(kind, share, seed, group) for group in range(GROUPS)]
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for done in pool.imap_unordered(_group, works):
            orders, events = orders + done[0], events + done[1]
            print(
                f"{kind}, {share:g} % by seed {seed}: {orders} orders of length {LONGEST}, {events} events, {time.monotonic() - since:.0f} s",
                flush=True,
            )


def _group(work: tuple[str, float, int, int]) -> tuple[int, int]:
    """Do one group of the drawn orders, on a database of its own."""
    kind, share, seed, group = work
    with database(kind) as url:
        return walk(url, LONGEST, share, seed, [group])


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """The URL of an empty database of its own: a file of `sqlite`, or a server of `postgres`."""
    if kind == "postgres":
        with serving() as server:
            yield server.fresh()
    else:
        with tempfile.TemporaryDirectory(prefix="approvals-") as folder:
            yield f"sqlite:///{folder}/state.db"


if __name__ == "__main__":
    sys.exit(main())
