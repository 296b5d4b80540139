"""What lists are read from, divided by purpose. Each list takes a cursor and a limit; none reads all runs.

A cursor is the one of the page before (`Page.cursor`). `Store` keeps all of these; what only reads a part takes
that part.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from orchestrator.domain.journal import Lease, QueuedRequest, QueueEntry, Record, Run, Verified
from orchestrator.domain.listing import (
    ALL_RELEASES,
    ALL_RUNS,
    PAGE_SIZE,
    EnvironmentSummary,
    FeedChanges,
    FeedEntry,
    HostRow,
    Page,
    ReleaseFilter,
    ReleasePlace,
    ReleaseRow,
    RunFilter,
    StepRow,
)

AT_ONCE = 500
"""The number of rows that are read at once by what needs all rows of a list."""
T = TypeVar("T")


class ListsRuns(Protocol):
    """What lists runs."""

    def list_runs(
        self, chosen: RunFilter = ALL_RUNS, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[Run]:
        """The runs that *chosen* accepts, newest first."""


class RunLists(ListsRuns, Protocol):
    """Runs, their steps, and the hosts of these."""

    def list_runs(
        self,
        chosen: RunFilter = ALL_RUNS,
        *,
        oldest_first: bool = False,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[Run]:
        """The runs that *chosen* accepts, newest first, or with *oldest_first* in the order of their requests."""

    def count_runs(self, chosen: RunFilter) -> int:
        """How many runs *chosen* accepts."""

    def runs_named(self, ids: tuple[str, ...]) -> list[Run]:
        """The runs with these ids."""

    def entries_of(self, runs: tuple[str, ...], keys: tuple[str, ...]) -> list[Record]:
        """The entries of several runs that have one of *keys*, in one query."""

    def ephemeral_environments(self) -> frozenset[str]:
        """The environments in which a run has made an ephemeral stack, and has not recorded that it is gone."""

    def list_steps(self, run: str, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[StepRow]:
        """The steps of *run*, in the order in which they were started."""

    def hosts_of_release(self, environment: str, digest: str, verbs: frozenset[str]) -> set[str]:
        """The hosts on which a step with one of *verbs* was started in *environment* by a run for the release."""


def each_run(store: ListsRuns, chosen: RunFilter, at_once: int = PAGE_SIZE) -> Iterator[Run]:
    """Every run that *chosen* accepts, newest first, read *at_once* at a time as they are consumed."""
    return _each(lambda cursor: store.list_runs(chosen, cursor=cursor, limit=at_once))


def _each(read: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Every item of a list, page by page; *read* gets the cursor of each page."""
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield from page.items
        if (cursor := page.cursor) is None:
            return


def runs_of_request(store: ListsRuns, request_id: str) -> list[Run]:
    """The runs of one request, oldest first."""
    return list(each_run(store, RunFilter(request_id=request_id)))[::-1]


class ReleaseLists(Protocol):
    """Releases, and the environments that had them."""

    def list_releases(
        self, chosen: ReleaseFilter = ALL_RELEASES, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[ReleaseRow]:
        """The releases that a run was for and that *chosen* accepts, the one with the newest run first."""

    def find_releases(self, words: tuple[str, ...], limit: int = PAGE_SIZE) -> list[ReleaseRow]:
        """The first *limit* of them that contain all of *words*; see `has_words`."""

    def release_places(self, digests: tuple[str, ...], environments: tuple[str, ...]) -> list[ReleasePlace]:
        """What each of the releases is in each of *environments*; nothing where it never was."""

    def places_of_release(
        self, digest: str, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[ReleasePlace]:
        """The environments that have something to do with the release, by name."""

    def list_verified(
        self, environment: str, digest: str | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[Verified]:
        """The releases whose tests passed in *environment*, newest first; with *digest* only that one."""


def each_verified(store: ReleaseLists, environment: str, at_once: int = AT_ONCE) -> Iterator[Verified]:
    """The releases whose tests passed in *environment*, newest first, read *at_once* at a time."""
    return _each(lambda cursor: store.list_verified(environment, cursor=cursor, limit=at_once))


class HostLists(Protocol):
    """Environments and their hosts."""

    def list_environments(
        self, environments: tuple[str, ...] | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[EnvironmentSummary]:
        """A row for each environment that a run was for, by name: of all, or of those in *environments*."""

    def list_hosts(
        self, environments: tuple[str, ...], *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[HostRow]:
        """The recorded states of the hosts of several environments, by the names of environment and host."""


def each_host(store: HostLists, environments: tuple[str, ...], at_once: int = AT_ONCE) -> Iterator[HostRow]:
    """What is known of each host of *environments*, read *at_once* at a time."""
    return _each(lambda cursor: store.list_hosts(environments, cursor=cursor, limit=at_once))


class LeaseLists(Protocol):
    """The holders of environments."""

    def leases_of(self, environments: tuple[str, ...]) -> dict[str, Lease]:
        """The leases of several environments, in one query; nothing for one that is free."""


class ListsQueues(Protocol):
    """What lists the runs that wait."""

    def list_queue(
        self,
        environments: tuple[str, ...],
        run: str | None = None,
        *,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[QueueEntry]:
        """The runs that wait for *environments*, in order for each; with *run* only that one.

        Those that were superseded are listed until they have noticed.
        """


class QueueLists(ListsQueues, Protocol):
    """What waits for environments and for workers."""

    def list_requests(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[QueuedRequest]:
        """The requests that are not done, oldest first."""

    def takeable(
        self, queue: str, unread: Callable[[str, str], None], *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[QueuedRequest]:
        """What was left to the workers of *queue*, is not done, and waits for no environment, oldest first.

        It costs as much whether one request waits for an environment or a thousand do. *unread* is called with the root
        of each that this program cannot read, and why: a newer one wrote it.
        """


def queue_of(store: ListsQueues, environment: str) -> list[QueueEntry]:
    """The runs that wait for *environment*, in order."""
    return list(_each(lambda cursor: store.list_queue((environment,), cursor=cursor, limit=AT_ONCE)))


def queues_of(store: ListsQueues, environments: tuple[str, ...]) -> dict[str, list[QueueEntry]]:
    """The queues of several environments."""
    found: dict[str, list[QueueEntry]] = {name: [] for name in environments}
    for entry in _each(lambda cursor: store.list_queue(environments, cursor=cursor, limit=AT_ONCE)):
        found[entry.environment].append(entry)
    return found


def queue_entry(store: ListsQueues, environment: str, run: str) -> QueueEntry | None:
    """The place of *run* in the queue of *environment*; None if it does not wait."""
    return next(iter(store.list_queue((environment,), run, limit=1).items), None)


def each_request(store: QueueLists, at_once: int = AT_ONCE) -> Iterator[QueuedRequest]:
    """The requests that are not done, oldest first, read *at_once* at a time."""
    return _each(lambda cursor: store.list_requests(cursor=cursor, limit=at_once))


def each_takeable(store: QueueLists, queue: str, unread: Callable[[str, str], None]) -> Iterator[QueuedRequest]:
    """The requests that the workers of *queue* can take, oldest first, read as they are consumed."""
    return _each(lambda cursor: store.takeable(queue, unread, cursor=cursor))


class Feed(Protocol):
    """One order over the entries of all runs."""

    def feed(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> list[FeedEntry]:
        """The entries after *cursor* (None: from the start), oldest first. No entry is passed over.

        An entry is listed as soon as no entry that could come before it is still being written. So another process that
        writes delays it, and never hides it.
        """

    def feed_end(self) -> str | None:
        """The cursor of the newest entry that is currently listed; None while there is none."""

    def feed_changes(self, cursor: str | None) -> FeedChanges | None:
        """The environments with entries after *cursor*, also those that are not listed yet, and the next cursor.

        What was read after this call, of an environment that no later call names, is current. None if
        *cursor* is after the end of the feed: then the store is another one.
        """

    def wait_for_entries(self, seconds: float) -> None:
        """Return when there may be new entries, at the latest after so many *seconds*. One thread calls it."""


class Rebuilt(Protocol):
    """What is derived from the journal, and can be derived again."""

    def rebuild(self) -> int:
        """Write everything that lists are read from again, from the journal. Returns the number of runs."""


class Lists(Rebuilt, RunLists, ReleaseLists, HostLists, LeaseLists, QueueLists, Feed, Protocol):
    """Every list of the store."""
