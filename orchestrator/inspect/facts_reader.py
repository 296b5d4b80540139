"""What the facts of environments are read from: the store, or what was read of many environments at once."""

from collections.abc import Iterable
from typing import Protocol

from orchestrator.domain.facts import is_settled
from orchestrator.domain.journal import Lease, QueuedRequest, QueueEntry, Record, Run
from orchestrator.domain.listing import ALL_RUNS, PAGE_SIZE, EnvironmentSummary, Page, RunFilter
from orchestrator.domain.plan import HostState
from orchestrator.ports import Store
from orchestrator.ports.lists import each_host, each_run, queues_of


class FactsStore(Protocol):
    """The part of the store that facts are read from."""

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        """Runs, newest first."""

    def list_runs(
        self, chosen: RunFilter = ALL_RUNS, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[Run]:
        """The runs that *chosen* accepts, newest first."""

    def list_environments(
        self, environments: tuple[str, ...] | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[EnvironmentSummary]:
        """A row for each environment that a run was for."""

    def hosts(self, environment: str) -> list[HostState]:
        """What is known of each host."""

    def lease(self, environment: str) -> Lease | None:
        """The lease of the environment."""

    def list_queue(
        self,
        environments: tuple[str, ...],
        run: str | None = None,
        *,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[QueueEntry]:
        """The runs that wait, in order."""

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The run's records."""

    def entries_of(self, runs: tuple[str, ...], keys: tuple[str, ...]) -> list[Record]:
        """The entries of several runs that have one of *keys*."""

    def work(self, root: str) -> QueuedRequest:
        """The request *root*."""


class OpenWork:
    """What is under way in the environments *names*: leases, queues, and the open runs of all environments."""

    def __init__(self, store: Store, names: tuple[str, ...]) -> None:
        self.leases, self.queues = store.leases_of(names), queues_of(store, names)
        self.runs: dict[str, list[Run]] = {}
        for run in each_run(store, RunFilter(is_open=True)):
            self.runs.setdefault(run.environment, []).append(run)

    @property
    def environments(self) -> frozenset[str]:
        """The environments in which something is under way."""
        return frozenset(self.runs) | self.leases.keys() | {name for name, queue in self.queues.items() if queue}


class FactsReader:
    """The environments *names*, read in a few queries. What is seldom needed is read from the store when it is.

    *keys* are the entries of the newest run of each environment that are read with it. *open_work* was just read.
    """

    def __init__(
        self, store: Store, names: tuple[str, ...], keys: tuple[str, ...], open_work: OpenWork | None = None
    ) -> None:
        self._store, self._open_work = store, open_work or OpenWork(store, names)
        self._hosts: dict[str, list[HostState]] = {name: [] for name in names}
        for host in each_host(store, names):
            self._hosts[host.environment].append(host.state)
        rows = store.list_environments(names, limit=max(1, len(names))).items
        self._summaries = {row.environment: row for row in rows}
        newest = tuple(row.run for row in rows if row.run is not None)
        self._newest = {run.environment: run for run in store.runs_named(newest)}
        self._entries = {(record.run, record.key): record for record in store.entries_of(newest, keys)}
        self._keys, self._read = keys, frozenset(newest)

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        """The newest run alone, if it left nothing open and recorded the hosts; otherwise those of the store."""
        newest = self._newest.get(environment or "")
        if newest is not None and is_settled(newest) and any((newest.id, key) in self._entries for key in self._keys):
            return [newest]
        return self._store.runs(environment, limit)

    def list_runs(
        self, chosen: RunFilter = ALL_RUNS, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[Run]:
        """The open runs of an environment; all others are those of the store."""
        if cursor is None and chosen == RunFilter(environment=chosen.environment, is_open=True):
            return Page(items=tuple(self._open_work.runs.get(chosen.environment or "", ())))
        return self._store.list_runs(chosen, cursor=cursor, limit=limit)

    def list_environments(
        self, environments: tuple[str, ...] | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[EnvironmentSummary]:
        """The rows of *environments*."""
        del cursor, limit
        found: Iterable[str] = self._summaries if environments is None else environments
        return Page(items=tuple(self._summaries[name] for name in found if name in self._summaries))

    def hosts(self, environment: str) -> list[HostState]:
        """What is known of each host."""
        return self._hosts[environment]

    def lease(self, environment: str) -> Lease | None:
        """The lease of the environment."""
        return self._open_work.leases.get(environment)

    def list_queue(
        self,
        environments: tuple[str, ...],
        run: str | None = None,
        *,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[QueueEntry]:
        """The runs that wait for *environments*."""
        del cursor, limit
        found = (entry for name in environments for entry in self._open_work.queues[name])
        return Page(items=tuple(entry for entry in found if run in {None, entry.run}))

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The run's records."""
        return self._store.records(run, after, limit)

    def entries_of(self, runs: tuple[str, ...], keys: tuple[str, ...]) -> list[Record]:
        """The entries of several runs that have one of *keys*."""
        if self._read.issuperset(runs) and set(keys) <= set(self._keys):
            found = (self._entries.get((run, key)) for run in runs for key in keys)
            return [record for record in found if record is not None]
        return self._store.entries_of(runs, keys)

    def work(self, root: str) -> QueuedRequest:
        """The request *root*."""
        return self._store.work(root)
