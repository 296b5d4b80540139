"""Server-sent events: one reader of the feed in each process, and any number of listeners.

Only the event loop touches the newest events. A listener starts at its `Last-Event-ID`; one that is older than the
newest events reads from the feed until it has reached them.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from orchestrator.app.front_end import RunFeed
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import FeedEntry
from orchestrator.domain.model import canonical_json

KEPT = 1000
"""How many of the newest events a process keeps for listeners; one that is further behind reads them from the store."""
PAGE = 500
HEARTBEAT_S = 15.0
COMMENT = b": still connected\n\n"
FIRST = "0.0"
"""The cursor before every entry."""
LASTS_S = 300.0
"""How long a listener is served. It connects again with its last id, and its rights are checked again."""
SPREAD = 300
"""By how many thousandths that time is shorter, at random: listeners that came together do not return together."""


@dataclass(frozen=True)
class Event:
    """One *entry* of the feed, and the bytes (*data*) that every listener gets."""

    entry: FeedEntry
    data: bytes


def event_of(entry: FeedEntry) -> Event:
    """*entry*, encoded. It has no contents: a page requests what has changed with the rights of its reader."""
    about = {"run": entry.run, "environment": entry.environment, "seq": entry.seq, "kind": entry.kind, "at": entry.at}
    return Event(entry, b"id: %s\nevent: run\ndata: %s\n\n" % (entry.cursor.encode(), canonical_json(about)))


def place_of(cursor: str) -> tuple[int, int]:
    """The place of *cursor* in the order of the feed."""
    first, _, second = cursor.partition(".")
    return int(first), int(second)


def restart_event(cursor: str, end: str) -> bytes:
    """The event for a listener whose *cursor* is after the *end* of the feed, where it continues.

    Which entries it has missed is not known: it has to read again what it shows.
    """
    return b"id: %s\nevent: restart\ndata: %s\n\n" % (end.encode(), canonical_json({"after": cursor, "end": end}))


class HasFeed(Protocol):
    """A project. Its database is opened when the feed is first used, and may be away at that time."""

    @property
    def feed(self) -> RunFeed:
        """The entries of all runs. Raises S-codes."""


class Broadcast:
    """Reads the feed of *project* when it has news, at the latest every *pause_s* seconds, and wakes the listeners."""

    def __init__(self, project: HasFeed, pause_s: float = 0.2, encode: Callable[[FeedEntry], Event] = event_of) -> None:
        self._project, self._pause, self._encode = project, pause_s, encode
        self._newest: deque[Event] = deque()
        self._cursor: str | None = None
        self._start: str | None = None  # the cursor before the first of the newest events
        self._changed = asyncio.Event()
        self._stopped = False
        self.listeners = 0

    async def run(self) -> None:
        """Read for as long as the server runs. A database that is away is read again later."""
        with ThreadPoolExecutor(1, "feed") as waiting:  # a thread of its own: it waits nearly all the time
            await self._read(waiting)

    async def _read(self, waiting: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                if self._cursor is None:
                    self._cursor = self._start = await asyncio.to_thread(self._end)
                found = await asyncio.to_thread(self._page, self._cursor)
            except Exception:  # noqa: BLE001 - readiness reports it; the next reading may succeed
                found = []
            if found:
                self._add(map(self._encode, found))
                self._cursor = found[-1].cursor
                self._wake()
            if len(found) < PAGE:
                await loop.run_in_executor(waiting, self._wait_for_entries)

    def _add(self, events: Iterable[Event]) -> None:
        """Add to the newest events, of which the first ones are forgotten when there are too many."""
        for event in events:
            self._newest.append(event)
            if len(self._newest) > KEPT:
                self._start = self._newest.popleft().entry.cursor

    async def stop(self) -> None:
        """End every stream: its listener connects again, to another server or to the next process."""
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        """Wake every listener that waits."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def end(self) -> str:
        """The cursor after which a listener without one starts."""
        return self._cursor if self._cursor is not None else await asyncio.to_thread(self._end)

    def _end(self) -> str:
        return self._project.feed.feed_end() or FIRST

    def _wait_for_entries(self) -> None:
        try:
            self._project.feed.wait_for_entries(self._pause)
        except OrchestratorError:  # the database is away: it is opened again after a pause
            time.sleep(self._pause)

    def _page(self, cursor: str) -> list[FeedEntry]:
        return self._project.feed.feed(cursor=cursor, limit=PAGE)

    async def listen(self, cursor: str, shown: Callable[[FeedEntry], bool]) -> AsyncIterator[bytes]:
        """The events after *cursor* that are *shown*, and a comment while there are none.

        A *cursor* after the end of the feed is that of a database before a restore: a `restart` event comes first.

        The id comes before the first event: a listener that is cut off before any event also continues from that id.
        """
        self.listeners += 1
        try:
            async for data in self._events(cursor, shown):
                yield data
        finally:
            self.listeners -= 1

    async def _events(self, cursor: str, shown: Callable[[FeedEntry], bool]) -> AsyncIterator[bytes]:
        end_of_feed = await self._end_before(cursor)
        if end_of_feed is not None:
            yield restart_event(cursor, end_of_feed)
            cursor = end_of_feed
        yield b"retry: 1000\nid: %s\n\n" % cursor.encode()
        loop = asyncio.get_running_loop()
        end = loop.time() + LASTS_S * (1 - secrets.randbelow(SPREAD) / 1000)
        while loop.time() < end and not self._stopped:
            events = self._after(cursor)
            if events is None:
                events = [self._encode(entry) for entry in await asyncio.to_thread(self._page, cursor)]
            found = b"".join(event.data for event in events if shown(event.entry))
            cursor = events[-1].entry.cursor if events else cursor
            if found:
                yield found  # at once: each piece is written by a call of its own, of which a backlog would need many
            if not events and cursor != self._cursor:
                await asyncio.sleep(self._pause)  # the reader is behind, or the feed ends before the cursor
            elif not events and not await self._wait(cursor):
                yield COMMENT

    async def _end_before(self, cursor: str) -> str | None:
        """The end of the feed if it is before *cursor*, which means that a backup was restored; None if it is not."""
        if place_of(cursor) <= place_of(self._cursor or FIRST):
            return None
        end = await asyncio.to_thread(self._end)  # another server may have read further than this process
        return end if place_of(end) < place_of(cursor) else None

    def _after(self, cursor: str) -> list[Event] | None:
        """The newest events after *cursor*; None if it is not one of them."""
        if cursor == self._cursor:
            return []
        found: list[Event] = []
        for event in reversed(self._newest):
            if event.entry.cursor == cursor:
                return found[::-1]
            found.append(event)
        return found[::-1] if cursor == self._start else None

    async def _wait(self, cursor: str) -> bool:
        """Whether there was a new event within the time of a heartbeat."""
        if self._stopped or self._cursor != cursor:
            return True
        try:
            async with asyncio.timeout(HEARTBEAT_S):  # `wait_for` of Python 3.11 can lose a cancellation
                await self._changed.wait()
        except TimeoutError:
            return False
        return True
