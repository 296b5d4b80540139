"""The `Store` and `Clock` ports in memory, with the behaviour of the database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orchestrator.domain.journal import Entry, Lease, Record, Run, Verified, after_entry, busy, find
from orchestrator.domain.plan import HostState


class ManualClock:
    """A clock that stands still until it is moved; every look at the wall clock moves it by a millisecond."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start, self._seconds = start, 0.0

    def now(self) -> str:
        """The time, later by a millisecond at each look."""
        self._seconds += 0.001
        moment = self._start + timedelta(seconds=self._seconds)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self._seconds += seconds


@dataclass
class MemoryStore:
    """The journal in dictionaries."""

    clock: ManualClock = field(default_factory=ManualClock)
    _runs: dict[str, Run] = field(default_factory=dict)
    _records: dict[str, list[Record]] = field(default_factory=dict)
    _hosts: dict[tuple[str, str], HostState] = field(default_factory=dict)
    _verified: dict[str, list[Verified]] = field(default_factory=dict)
    _leases: dict[str, Lease] = field(default_factory=dict)
    _fences: dict[str, int] = field(default_factory=dict)

    def create(self, run: Run) -> None:
        """Write a run's first record."""
        if run.id not in self._runs:
            self._runs[run.id] = run
            self._records[run.id] = []

    def append(self, run: str, entries: Iterable[Entry]) -> int:
        """Write entries in order; a key that is there already is left out."""
        records = self._records[run]
        keys = {record.key for record in records if record.key is not None}
        for entry in entries:
            if entry.key is None or entry.key not in keys:
                at = self.clock.now()
                records.append(Record(**entry.model_dump(), run=run, seq=len(records) + 1, at=at))
                keys |= {entry.key} if entry.key is not None else set()
                self._fold(run, entry, at)
        return len(records)

    def _fold(self, run: str, entry: Entry, at: str) -> None:
        self._runs[run] = after_entry(self._runs[run], entry, at)
        environment = self._runs[run].environment
        if entry.kind == "host":
            state = HostState.from_json({**entry.data, "since": entry.data.get("since") or at})
            self._hosts[environment, entry.host] = state
        if entry.kind == "verified":
            self._verified.setdefault(environment, []).insert(0, Verified.from_json(entry.data))

    def records(self, run: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The run's records with a higher seq than *after*."""
        found = [record for record in self._records.get(run, []) if record.seq > after]
        return found[:limit] if limit is not None else found

    def run(self, run: str) -> Run:
        """The run with this id or beginning."""
        return find(run, self._runs.get(run), [found for found in self._runs.values() if found.id.startswith(run)])

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        """Runs, newest first."""
        found = [run for run in reversed(self._runs.values()) if environment in (None, run.environment)]
        return found[:limit] if limit is not None else found

    def hosts(self, environment: str) -> list[HostState]:
        """What is known of each host."""
        return [state for (where, _), state in sorted(self._hosts.items()) if where == environment]

    def verified(self, environment: str) -> list[Verified]:
        """Releases whose tests passed there, newest first."""
        return list(self._verified.get(environment, []))

    def acquire(self, environment: str, holder: str, by: str, reason: str) -> Lease:
        """Take the environment's lease."""
        held = self._leases.get(environment)
        if held is not None and held.holder != holder:
            raise busy(held)
        if held is None:
            self._fences[environment] = self._fences.get(environment, 0) + 1
            held = Lease(
                environment=environment,
                holder=holder,
                fence=self._fences[environment],
                by=by,
                reason=reason,
                since=self.clock.now(),
            )
            self._leases[environment] = held
        return held

    def release(self, environment: str, holder: str) -> None:
        """Give the lease back."""
        held = self._leases.get(environment)
        if held is not None and held.holder == holder:
            del self._leases[environment]

    def lease(self, environment: str) -> Lease | None:
        """Who holds the environment."""
        return self._leases.get(environment)

    def close(self) -> None:
        """Nothing is open."""
