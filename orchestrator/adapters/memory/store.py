"""The `Store` and `Clock` ports in memory, with the behaviour of the database."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orchestrator.adapters.memory.lists import MemoryLists, page_of
from orchestrator.domain.fencing import HIGHEST
from orchestrator.domain.journal import (
    LOCK_KINDS,
    Entry,
    Lease,
    QueuedRequest,
    QueueEntry,
    Record,
    Run,
    Verified,
    add_seconds,
    after_entry,
    busy,
    find_run,
    is_past,
    queued,
    replaced,
    run_not_found,
    stale,
    taken,
)
from orchestrator.domain.listing import PAGE_SIZE, Page, RunFigures, StoreFigures
from orchestrator.domain.locks import lock_holder, locked_entries, unlocked_entries
from orchestrator.domain.plan import HostState, after_switch
from orchestrator.domain.story import seconds_between


class ManualClock:
    """A clock that only moves when a test moves it; each reading of the wall clock moves it by a millisecond."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start, self._seconds, self._ahead = start, 0.0, 0.0
        self._second, self._text = -1, ""  # a second is formatted once: a simulation reads the time very often

    def now(self) -> str:
        """The time, later by a millisecond at each call."""
        self._seconds += 0.001
        second, millisecond = divmod(round((self._seconds + self._ahead) * 1000), 1000)
        if second != self._second:
            moment = (self._start + timedelta(seconds=second)).astimezone(UTC)
            self._second, self._text = second, moment.strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{millisecond:03d}Z"

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self._seconds += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back: no time passes."""
        self._ahead += seconds


@dataclass
class MemoryStore(MemoryLists):
    """The journal in dictionaries."""

    clock: ManualClock = field(default_factory=ManualClock)
    _runs: dict[str, Run] = field(default_factory=dict)
    _records: dict[str, list[Record]] = field(default_factory=dict)
    _keys: dict[str, set[str]] = field(default_factory=dict)
    _hosts: dict[tuple[str, str], HostState] = field(default_factory=dict)
    _verified: dict[str, list[Verified]] = field(default_factory=dict)
    _leases: dict[str, Lease] = field(default_factory=dict)
    _fences: dict[str, int] = field(default_factory=dict)
    _works: dict[str, QueuedRequest] = field(default_factory=dict)
    _waits: list[QueueEntry] = field(default_factory=list)
    _waited: int = 0
    _feed: list[tuple[str, int]] = field(default_factory=list)

    def create(self, run: Run) -> None:
        """Write a run's first record."""
        if run.id not in self._runs:
            self._runs[run.id] = run
            self._records[run.id], self._keys[run.id] = [], set()

    def append(self, run: str, entries: Iterable[Entry], fence: int = 0) -> int:
        """Write entries in order. An entry whose key exists is left out."""
        records, environment = self._records[run], self._runs[run].environment
        keys = self._keys[run]
        for entry in entries:
            if entry.key is None or entry.key not in keys:
                newest = self._fences.get(environment, 0)
                if fence and newest > fence:
                    raise stale(environment, fence, newest)
                at = self.clock.now()
                records.append(Record.model_construct(**vars(entry), run=run, seq=len(records) + 1, at=at))
                self._feed.append((run, len(records)))
                if entry.key is not None:
                    keys.add(entry.key)
                self._fold(run, entry, at)
        return len(records)

    def _fold(self, run: str, entry: Entry, at: str) -> None:
        self._runs[run] = after_entry(self._runs[run], entry, at)
        environment = self._runs[run].environment
        if entry.kind == "host":
            state = HostState.from_json({**entry.data, "since": entry.data.get("since") or at})
            self._hosts[environment, entry.host] = state.on_side_of(self._hosts.get((environment, entry.host)))
            if state.truth == "gone":
                del self._hosts[environment, entry.host]
        if entry.kind == "switched":
            states = after_switch(self.hosts(environment), entry.data, at)
            self._hosts |= {(environment, state.host): state for state in states}
        if entry.kind == "verified":
            self._verified.setdefault(environment, []).insert(0, Verified.from_json(entry.data))

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The run's records with a higher seq than *after*."""
        found = [record for record in self._records.get(run, []) if record.seq > after]
        return found[:limit] if limit is not None else found

    def has_entry(self, run: str, key: str) -> bool:
        """Whether an entry with this key has been written."""
        return key in self._keys.get(run, ())

    def entry(self, run: str, key: str) -> Record | None:
        """The entry of *run* with this key."""
        return next((record for record in self._records.get(run, ()) if record.key == key), None)

    def run(self, run: str) -> Run:
        """The run with this id, or the only one whose id starts with it."""
        return find_run(run, self._runs.get(run), [found for found in self._runs.values() if found.id.startswith(run)])

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        """Runs, newest first."""
        mine = (run for run in reversed(self._runs.values()) if environment in (None, run.environment))
        found = [run for run in mine if run.kind not in LOCK_KINDS]
        return found[:limit] if limit is not None else found

    def hosts(self, environment: str) -> list[HostState]:
        """The recorded state of each host, by name."""
        return [state for (where, _), state in sorted(self._hosts.items()) if where == environment]

    def verified(self, environment: str, digest: str | None = None, limit: int | None = None) -> list[Verified]:
        """Releases whose tests passed there, newest first."""
        found = [mark for mark in self._verified.get(environment, []) if digest in {None, mark.release.digest}]
        return found[:limit]

    # -- who may act on an environment -----------------------------------------------------------------------------

    def acquire(
        self, environment: str, holder: str, by: str, reason: str, *, worker: str = "", until: str | None = None
    ) -> Lease:
        """Take the environment's lease."""
        self._refuse_taken_over(holder, worker)
        held, now = self.lease(environment), self.clock.now()
        if held is not None and held.holder != holder:
            raise busy(held, now)
        if held is not None and held.worker == worker and held.fence >= self._fences.get(environment, 0):
            self.dequeue(environment, holder)
            return held
        ahead = next((wait for wait in self._queue(environment) if wait.superseded_by is None), None)
        if held is None and ahead is not None and ahead.run != holder:
            raise queued(ahead, now)
        self._fences[environment] = self._fences.get(environment, 0) + 1
        self.dequeue(environment, holder)
        self._leases[environment] = Lease(
            environment=environment,
            holder=holder,
            fence=self._fences[environment],
            by=by,
            reason=reason,
            since=held.since if held else now,
            worker=worker,
            until=until,
        )
        return self._leases[environment]

    def release(self, environment: str, holder: str, worker: str | None = None) -> None:
        """Release the lease."""
        held = self._leases.get(environment)
        if held is not None and held.holder == holder and worker in {None, held.worker}:
            del self._leases[environment]

    def lock(self, run: Run, why: str, until: str | None = None) -> Lease:
        """Lock the environment of *run*, which records it."""
        lease = self.acquire(run.environment, lock_holder(run), run.by, why, until=until)
        self.create(run)
        self.append(run.id, locked_entries(lease))
        return lease

    def unlock(self, run: Run, why: str) -> Lease | None:
        """Remove the lock of the environment of *run*, which records it."""
        held = self.lease(run.environment)
        if held is None:
            return None
        if not held.locked:
            raise busy(held, self.clock.now())
        self.release(run.environment, held.holder)
        self.create(run)
        self.append(run.id, unlocked_entries(held, run.by, why))
        return held

    def lease(self, environment: str) -> Lease | None:
        """Who holds the environment."""
        held = self._leases.get(environment)
        if held is not None and held.until is not None and is_past(held.until, self.clock.now()):
            return None
        return held

    def newest_fence(self, environment: str) -> int:
        """The newest fence that was given out."""
        return self._fences.get(environment, 0)

    def raise_fence(self, environment: str, fence: int) -> None:
        """Ensure that every later fence is higher."""
        self._fences[environment] = max(self._fences.get(environment, 0), min(fence, HIGHEST))

    def enqueue(self, environment: str, run: Run, *, supersede: bool, worker: str = "") -> QueueEntry:
        """Wait for the environment."""
        self._refuse_taken_over(run.id, worker)
        for wait in self._waits:
            if (wait.environment, wait.run) == (environment, run.id):
                return wait
        self._waited += 1
        mine = QueueEntry(
            environment=environment,
            run=run.id,
            number=self._waited,
            by=run.by,
            release=run.release,
            since=self.clock.now(),
        )
        for at, wait in enumerate(self._waits):
            same = wait.environment == environment and wait.release and run.release
            if supersede and same and wait.release.name == run.release.name and wait.superseded_by is None:  # type: ignore[union-attr]
                self._waits[at] = wait.model_copy(update={"superseded_by": run.id})
        self._waits.append(mine)
        return mine

    def _refuse_taken_over(self, run: str, worker: str) -> None:
        if worker and self._works[self._runs[run].root].worker != worker:
            raise replaced(run, worker)

    def dequeue(self, environment: str, run: str) -> None:
        """Wait no longer."""
        self._waits = [wait for wait in self._waits if (wait.environment, wait.run) != (environment, run)]

    def _queue(self, environment: str) -> list[QueueEntry]:
        return [wait for wait in self._waits if wait.environment == environment]

    # -- requests and their workers -----------------------------------------------------------------------------------

    def submit(self, work: QueuedRequest, run: Run) -> bool:
        """Record a request with its first run."""
        if self._works.setdefault(work.root, work).request != work.request:
            return False
        self.create(run)
        self.append(run.id, [Entry(kind="requested", data=work.request, key="requested")])
        return True

    def work(self, root: str) -> QueuedRequest:
        """The request with this *root*."""
        if root not in self._works:
            raise run_not_found(root)
        return self._works[root]

    def takeable(
        self, queue: str, unread: Callable[[str, str], None], *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[QueuedRequest]:
        """The requests that are not done and do not wait."""
        del unread
        numbered = [
            (str(number), work)
            for number, work in enumerate(self._works.values(), 1)
            if not work.done and work.queue == queue and self._waits_for_nobody(work)
        ]
        return page_of([item for item in numbered if cursor is None or int(item[0]) > int(cursor)], limit)

    def _waits_for_nobody(self, work: QueuedRequest) -> bool:
        mine = [wait for wait in self._waits if self._runs[wait.run].root == work.root]
        return not mine or any(self._is_free(wait) for wait in mine)

    def _is_free(self, wait: QueueEntry) -> bool:
        if wait.superseded_by is not None or self._runs[wait.run].control in {"cancel", "abort"}:
            return True
        held = self.lease(wait.environment)
        first = next(other for other in self._queue(wait.environment) if other.superseded_by is None)
        return (held is None or held.holder == wait.run) and first.run == wait.run

    def figures(self) -> StoreFigures:
        """What monitoring reads."""
        kept = [run for run in self._runs.values() if run.kind not in LOCK_KINDS]
        found = []
        for kind, state in sorted({(run.kind, run.state.value) for run in kept}):
            of = [run for run in kept if (run.kind, run.state.value) == (kind, state)]
            seconds = sum(
                seconds_between(run.requested_at, run.ended_at) for run in of if run.requested_at and run.ended_at
            )
            found.append(RunFigures(kind=kind, state=state, number=len(of), seconds=seconds))
        return StoreFigures(runs=tuple(found), size_bytes=0)

    def require_schema(self) -> None:
        """It has that of this program."""

    def news(self) -> bool:
        """There may always be some."""
        return True

    def claim(self, root: str, worker: str, host: str, ttl: float, *, dead: bool = False) -> QueuedRequest:
        """Work on it."""
        work, now = self.work(root), self.clock.now()
        if work.worker != worker and work.is_claimed(now) and not dead:
            raise taken(work)
        other = work.worker != worker
        mine = {"worker": worker, "host": host, "since": now if other else work.since, "until": add_seconds(now, ttl)}
        self._works[root] = work.model_copy(update={**mine, "epoch": work.epoch + other})
        return self._works[root]

    def renew(self, worker: str, ttl: float) -> list[str]:
        """Renew the claims of *worker*."""
        until = add_seconds(self.clock.now(), ttl)
        mine = [work for work in self._works.values() if not work.done and work.worker == worker]
        for work in mine:
            self._works[work.root] = work.model_copy(update={"until": until})
        return [work.root for work in mine]

    def release_claim(self, root: str, worker: str, *, done: bool) -> None:
        """Work on it no longer."""
        work = self.work(root)
        if work.worker == worker:
            self._works[root] = work.model_copy(update={"worker": "", "until": None, "done": done})

    def transfer(self, root: str, queue: str) -> bool:
        """Leave it to the workers of *queue*."""
        work = self.work(root)
        if work.done or work.queue:
            return False
        self._works[root] = work.model_copy(update={"queue": queue})
        return True

    def close(self) -> None:
        """Nothing is open."""
