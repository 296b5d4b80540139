"""The journal and what is folded from it, divided by purpose. Every method is one transaction."""

from collections.abc import Iterable
from typing import Protocol

from orchestrator.domain.journal import Entry, Lease, QueuedRequest, QueueEntry, Record, Run, Verified
from orchestrator.domain.listing import StoreFigures
from orchestrator.domain.plan import HostState
from orchestrator.ports.lists import Lists


class RunJournal(Protocol):
    """Runs and their entries, and what these record of hosts and releases."""

    def create(self, run: Run) -> None:
        """Write a run's first record. The same run again changes nothing."""

    def append(self, run: str, entries: Iterable[Entry], fence: int = 0) -> int:
        """Write entries, durably, in order; those whose key exists already are left out. Returns the last seq.

        With a *fence*, nothing is written when the run's environment has seen a higher one: raises S103.
        """

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The run's records with a higher seq than *after*, in order."""

    def has_entry(self, run: str, key: str) -> bool:
        """Whether an entry with this key has been written."""

    def entry(self, run: str, key: str) -> Record | None:
        """The entry of *run* with this key; None when there is none."""

    def run(self, run: str) -> Run:
        """The run with this id, or the only one that starts with it. Raises R-codes."""

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        """Runs, newest first; those that record locks are only in :meth:`list_runs`."""

    def hosts(self, environment: str) -> list[HostState]:
        """What is known of each host that a run ever touched."""

    def verified(self, environment: str, digest: str | None = None, limit: int | None = None) -> list[Verified]:
        """Releases whose tests passed there, newest first; with *digest* only that one, and *limit* at most."""


class Leases(Protocol):
    """Who may act on an environment."""

    def acquire(
        self, environment: str, holder: str, by: str, reason: str, *, worker: str = "", until: str | None = None
    ) -> Lease:
        """Take the environment's lease with a new fence, or the one that *holder* has.

        The same holder with another *worker* gets a new fence: a process that acted for it until now is refused from
        here on. It also gets one if a host has seen a newer one than its own (:meth:`raise_fence`). A lock whose
        *until* is past does not count. Raises S101 if another holder has the lease, or waits for it, and S103 if
        *worker* has not claimed the request to which the run *holder* belongs.
        """

    def release(self, environment: str, holder: str, worker: str | None = None) -> None:
        """Give the lease back. Without effect when *holder* has it no longer, or another process than *worker* acts."""

    def lock(self, run: Run, why: str, until: str | None = None) -> Lease:
        """Lock the environment of *run*, which records it, because of *why*. *until* is the end of the lock.

        The lease and the entries of the run are written together. Raises S101 as :meth:`acquire`. The same run again
        changes nothing.
        """

    def unlock(self, run: Run, why: str) -> Lease | None:
        """Remove the lock of the environment of *run*, which records it, because of *why*.

        Returns the lock; None, with nothing written, if there was none. Raises S101 if a run holds the environment.
        """

    def lease(self, environment: str) -> Lease | None:
        """Who holds the environment."""

    def newest_fence(self, environment: str) -> int:
        """The newest fencing token that was given out for the environment; 0 if none was."""

    def raise_fence(self, environment: str, fence: int) -> None:
        """Ensure that every later lease has a higher fence than *fence*, which a host has seen.

        None is raised above `fencing.HIGHEST`: the tokens that follow must have as many digits as hosts read.
        """


class WaitingRuns(Protocol):
    """The runs that wait for an environment."""

    def enqueue(self, environment: str, run: Run, *, supersede: bool, worker: str = "") -> QueueEntry:
        """Wait for the environment behind those who wait already; the same run keeps its place.

        With *supersede*, older runs with another release of that name wait no longer. Raises S103 as :meth:`acquire`.
        """

    def dequeue(self, environment: str, run: str) -> None:
        """Wait no longer."""


class Requests(Protocol):
    """The requests, and the workers that have claimed them."""

    def submit(self, work: QueuedRequest, run: Run) -> bool:
        """Record a request with its first run, in one transaction. A repetition changes nothing.

        Returns False, with nothing recorded, if the root belongs to another request already.
        """

    def work(self, root: str) -> QueuedRequest:
        """The request with this *root*. Raises R101."""

    def claim(self, root: str, worker: str, host: str, ttl: float, *, dead: bool = False) -> QueuedRequest:
        """Claim it as *worker* for *ttl* seconds; *dead*: the previous worker is known to have ended.

        Raises S120 when another worker may still be working on it.
        """

    def renew(self, worker: str, ttl: float) -> list[str]:
        """Renew the claims for *ttl* seconds from this call. Returns the roots that *worker* still has."""

    def release_claim(self, root: str, worker: str, *, done: bool) -> None:
        """Work on it no longer. Without effect when another worker has it."""

    def transfer(self, root: str, queue: str) -> bool:
        """Leave a request to the workers of *queue* that is not done, and that its own process was to execute.

        Returns False, with nothing changed, if it is done, or was left to workers before. Raises R101.
        """


class Store(RunJournal, Leases, WaitingRuns, Requests, Lists, Protocol):
    """The journal and what is folded from it. Every method is one transaction."""

    def news(self) -> bool:
        """Whether anything may have been written since the last call. It reads no table."""

    def require_schema(self) -> None:
        """Return if the journal has the schema of this program. Raises S115."""

    def figures(self) -> StoreFigures:
        """What monitoring reads. It visits every run once."""

    def close(self) -> None:
        """Give connections back."""
