"""Events of records: one for each entry of the audit stream about an implementation plan.

The order is that of the stream, which omits nothing. An event has no contents: a page requests what has changed with
the rights of its reader.
"""

import time
from typing import TYPE_CHECKING

from orchestrator.domain.listing import PAGE_SIZE, FeedEntry
from orchestrator.domain.model import canonical_json
from orchestrator.domain.moments import moment_text
from orchestrator.web.events import FIRST, Event, place_of

if TYPE_CHECKING:
    from orchestrator.app.application import Application

SHOWN = ("implementation-plan:",)
"""The objects of the stream that have events."""
EVERY_S = 0.5
"""How often the stream is read."""


def record_event(entry: FeedEntry) -> Event:
    """*entry*, encoded. Its run is the object of the stream."""
    about = {"object": entry.run, "index": entry.seq, "at": entry.at}
    return Event(entry, b"id: %s\nevent: record\ndata: %s\n\n" % (entry.cursor.encode(), canonical_json(about)))


class AuditFeed:
    """The `RunFeed` of the audit stream of *project*. A cursor is the index of an entry."""

    def __init__(self, project: "Application") -> None:
        self._project = project

    def feed(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> list[FeedEntry]:
        """The entries after *cursor*."""
        after = place_of(cursor or FIRST)[0]
        found = self._project.register.reading(lambda records: records.audit(after, limit))
        return [
            FeedEntry(
                cursor=f"{entry.index}.0",
                at=moment_text(entry.at),
                environment="",
                run=entry.object,
                seq=entry.index,
                kind="record",
            )
            for entry in found
        ]

    def feed_end(self) -> str | None:
        """The index of the newest entry."""
        index = self._project.register.reading(lambda records: records.head()).index
        return f"{index}.0" if index else None

    def wait_for_entries(self, seconds: float) -> None:
        """Wait: the stream does not report its entries."""
        time.sleep(seconds)


class AuditProject:
    """A project whose feed is its audit stream."""

    def __init__(self, project: "Application") -> None:
        self.feed = AuditFeed(project)
