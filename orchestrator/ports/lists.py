"""What lists are read from, divided by purpose. Each list takes a cursor and a limit; none reads all runs.

A cursor is the one of the page before (`Page.cursor`). `Store` keeps all of these; what only reads a part takes
that part.
"""

from collections.abc import Iterator
from typing import Protocol

from orchestrator.domain.journal import Lease, QueuedRequest, QueueEntry, Record, Run
from orchestrator.domain.listing import (
    ALL_RUNS,
    PAGE_SIZE,
    EnvironmentSummary,
    FeedEntry,
    Page,
    ReleasePlace,
    ReleaseRow,
    RunFilter,
    StepRow,
)
from orchestrator.domain.plan import HostState


class ListsRuns(Protocol):
    """What lists runs."""

    def list_runs(
        self, chosen: RunFilter = ALL_RUNS, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[Run]:
        """The runs that *chosen* accepts, newest first."""


class RunLists(ListsRuns, Protocol):
    """Runs, their steps, and the hosts of these."""

    def count_runs(self, chosen: RunFilter) -> int:
        """How many runs *chosen* accepts."""

    def runs_named(self, ids: tuple[str, ...]) -> list[Run]:
        """The runs with these ids."""

    def entries_of(self, runs: tuple[str, ...], keys: tuple[str, ...]) -> list[Record]:
        """The entries of several runs that have one of *keys*, in one query."""

    def runs_of(self, request_id: str) -> list[Run]:
        """The runs of one request, oldest first."""

    def list_steps(self, run: str, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[StepRow]:
        """The steps of *run*, in the order in which they were started."""

    def hosts_of_release(self, environment: str, digest: str, verbs: frozenset[str]) -> set[str]:
        """The hosts on which a step with one of *verbs* was started in *environment* by a run for the release."""


def each_run(store: ListsRuns, chosen: RunFilter, at_once: int = PAGE_SIZE) -> Iterator[Run]:
    """Every run that *chosen* accepts, newest first, read *at_once* at a time as they are consumed."""
    page = store.list_runs(chosen, limit=at_once)
    yield from page.items
    while page.cursor is not None:
        page = store.list_runs(chosen, cursor=page.cursor, limit=at_once)
        yield from page.items


class ReleaseLists(Protocol):
    """Releases, and the environments that had them."""

    def list_releases(
        self, name: str | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[ReleaseRow]:
        """The releases that a run was for, of all names or of one, the one with the newest run first."""

    def release_places(self, digests: tuple[str, ...], environments: tuple[str, ...]) -> list[ReleasePlace]:
        """What each of the releases is in each of *environments*; nothing where it never was."""

    def places_of_release(
        self, digest: str, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[ReleasePlace]:
        """The environments that have something to do with the release, by name."""


class HostLists(Protocol):
    """Environments and their hosts."""

    def list_environments(
        self, environments: tuple[str, ...] | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[EnvironmentSummary]:
        """A row for each environment that a run was for, by name: of all, or of those in *environments*."""

    def hosts_of(self, environments: tuple[str, ...]) -> dict[str, list[HostState]]:
        """What is known of the hosts of several environments, in one query."""


class LeaseLists(Protocol):
    """The holders of environments."""

    def leases_of(self, environments: tuple[str, ...]) -> dict[str, Lease]:
        """The leases of several environments, in one query; nothing for one that is free."""


class QueueLists(Protocol):
    """What waits for environments and for workers."""

    def queues_of(self, environments: tuple[str, ...]) -> dict[str, list[QueueEntry]]:
        """The queues of several environments, in one query."""

    def list_requests(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[QueuedRequest]:
        """The requests that are not done, oldest first."""


class Feed(Protocol):
    """One order over the entries of all runs."""

    def feed(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> list[FeedEntry]:
        """The entries after *cursor* (None: from the start), oldest first. No entry is passed over.

        An entry is listed as soon as no entry that could come before it is still being written. So another process that
        writes delays it, and never hides it.
        """

    def feed_end(self) -> str | None:
        """The cursor of the newest entry that is currently listed; None while there is none."""


class Rebuilt(Protocol):
    """What is derived from the journal, and can be derived again."""

    def rebuild(self) -> int:
        """Write everything that lists are read from again, from the journal. Returns the number of runs."""


class Lists(Rebuilt, RunLists, ReleaseLists, HostLists, LeaseLists, QueueLists, Feed, Protocol):
    """Every list of the store."""
