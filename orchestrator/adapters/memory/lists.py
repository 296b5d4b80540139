"""The lists of the store in memory: folded from the journal each time, and so a check on what a database keeps."""

import json
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from orchestrator.domain.facts import RELEASING, had_effect
from orchestrator.domain.journal import LOCK_KINDS, Lease, QueuedRequest, QueueEntry, Record, Run, Verified, is_past
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
    has_words,
)
from orchestrator.domain.plan import HostState
from orchestrator.domain.release import PackageRef
from orchestrator.domain.step import StepResult
from orchestrator.domain.text import first_line

T = TypeVar("T")


class MemoryLists:
    """The lists over the dictionaries of the store."""

    clock: Any
    _runs: dict[str, Run]
    _records: dict[str, list[Record]]
    _hosts: dict[tuple[str, str], HostState]
    _verified: dict[str, list[Verified]]
    _leases: dict[str, Lease]
    _works: dict[str, QueuedRequest]
    _waits: list[QueueEntry]
    _feed: list[tuple[str, int]]

    def rebuild(self) -> int:
        """Nothing is kept beside the journal."""
        return len(self._runs)

    def list_runs(
        self,
        chosen: RunFilter = ALL_RUNS,
        *,
        oldest_first: bool = False,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[Run]:
        """The runs that *chosen* accepts, newest first, or with *oldest_first* the other way."""
        numbered = [(str(number), run) for number, run in enumerate(self._runs.values(), 1) if chosen.accepts(run)]
        if oldest_first:
            return page_of([item for item in numbered if cursor is None or int(item[0]) > int(cursor)], limit)
        return page_of([item for item in reversed(numbered) if cursor is None or int(item[0]) < int(cursor)], limit)

    def count_runs(self, chosen: RunFilter) -> int:
        """How many runs *chosen* accepts."""
        return sum(chosen.accepts(run) for run in self._runs.values())

    def runs_named(self, ids: tuple[str, ...]) -> list[Run]:
        """The runs with these ids."""
        return [self._runs[name] for name in ids if name in self._runs]

    def entries_of(self, runs: tuple[str, ...], keys: tuple[str, ...]) -> list[Record]:
        """The entries of several runs that have one of *keys*."""
        return [record for run in runs for record in self._records.get(run, ()) if record.key in keys]

    def ephemeral_environments(self) -> frozenset[str]:
        """The environments in which a run has made an ephemeral stack, and has not recorded that it is gone."""
        keys = {run.id: {record.key for record in self._records[run.id]} for run in self._runs.values()}
        return frozenset(
            run.environment
            for run in self._runs.values()
            if "ephemeral:made" in keys[run.id] and "ephemeral:gone" not in keys[run.id]
        )

    def list_steps(self, run: str, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[StepRow]:
        """The steps of *run*, in the order in which they were started."""
        steps: dict[str, StepRow] = {}
        for record in self._records.get(run, ()):
            if record.kind == "step.started":
                steps[record.step] = _started(record)
            elif record.kind == "step.finished" and record.step in steps:
                steps[record.step] = _finished(steps[record.step], record)
        ordered = sorted(steps.values(), key=lambda step: step.first_seq)
        numbered = [(str(step.first_seq), step) for step in ordered]
        return page_of([item for item in numbered if cursor is None or int(item[0]) > int(cursor)], limit)

    def hosts_of_release(self, environment: str, digest: str, verbs: frozenset[str]) -> set[str]:
        """The hosts on which a step with one of *verbs* was started in *environment* by a run for the release."""
        chosen = RunFilter(environment=environment, digest=digest)
        mine = [run.id for run in self._runs.values() if chosen.accepts(run)]
        started = (record.data for run in mine for record in self._records[run] if record.kind == "step.started")
        return {host for data in started if data.get("verb", "") in verbs for host in data.get("hosts") or ()}

    # -- releases ------------------------------------------------------------------------------------------------------

    def list_releases(
        self, chosen: ReleaseFilter = ALL_RELEASES, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[ReleaseRow]:
        """The releases that a run was for and that *chosen* accepts, the one with the newest run first."""
        numbered = [(str(number), row) for number, row in self._releases() if chosen.accepts(row.release)]
        return page_of([item for item in numbered if cursor is None or int(item[0]) < int(cursor)], limit)

    def find_releases(self, words: tuple[str, ...], limit: int = PAGE_SIZE) -> list[ReleaseRow]:
        """The first *limit* of them that contain all of *words*."""
        return [row for _, row in self._releases() if has_words(row.release, words)][:limit]

    def _releases(self) -> list[tuple[int, ReleaseRow]]:
        """Each release with the number of its newest run, that one first."""
        found: dict[str, tuple[int, ReleaseRow]] = {}
        for number, run in enumerate(self._runs.values(), 1):
            if run.release is not None:
                first = ReleaseRow(release=run.release, number=number, first_run=run.id, last_run=run.id)
                row = found.get(run.release.digest, (number, first))[1]
                found[run.release.digest] = (number, row.model_copy(update={"last_run": run.id}))
        return sorted(found.values(), key=lambda item: item[0], reverse=True)

    def release_places(self, digests: tuple[str, ...], environments: tuple[str, ...]) -> list[ReleasePlace]:
        """The state of each of the releases in each of *environments*; nothing where it never was."""
        places = (
            self._place(environment, digest) for environment in sorted(environments) for digest in sorted(digests)
        )
        return [place for place in places if place is not None]

    def places_of_release(
        self, digest: str, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[ReleasePlace]:
        """The environments that have something to do with the release, by name."""
        found = [self._place(environment, digest) for environment in self._environments()]
        numbered = [(place.environment, place) for place in found if place is not None]
        return page_of([item for item in numbered if cursor is None or item[0] > cursor], limit)

    def _place(self, environment: str, digest: str) -> ReleasePlace | None:
        states = [state for state in self._states(environment) if state.runs(digest)]
        mark = self._mark(environment, digest)
        chosen = RunFilter(environment=environment, digest=digest, kinds=tuple(RELEASING))
        run = next((run for run in reversed(self._runs.values()) if chosen.accepts(run) and had_effect(run)), None)
        if not states and mark is None and run is None:
            return None
        return ReleasePlace(
            environment=environment,
            digest=digest,
            on_hosts=len(states),
            standby_hosts=sum(state.is_standby for state in states),
            verified_at=mark.at if mark else None,
            verified_by_run=mark.run if mark else None,
            run=run.id if run else None,
            run_kind=run.kind if run else None,
            run_state=run.state if run else None,
        )

    def list_verified(
        self, environment: str, digest: str | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[Verified]:
        """The releases whose tests passed in *environment*, newest first; with *digest* only that one."""
        marks = self._verified.get(environment, [])
        every = ((str(len(marks) - at), mark) for at, mark in enumerate(marks))
        numbered = [item for item in every if digest in {None, item[1].release.digest}]
        return page_of([item for item in numbered if cursor is None or int(item[0]) < int(cursor)], limit)

    # -- environments --------------------------------------------------------------------------------------------------

    def list_environments(
        self, environments: tuple[str, ...] | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[EnvironmentSummary]:
        """A row for each environment that a run was for, by name: of all, or of those in *environments*."""
        names = [name for name in self._environments() if environments is None or name in environments]
        return page_of([(name, self._summary(name)) for name in names if cursor is None or name > cursor], limit)

    def _summary(self, environment: str) -> EnvironmentSummary:
        runs = [run for run in self._runs.values() if run.environment == environment]
        mark, states = self._mark(environment), self._states(environment)
        newest = next((run for run in reversed(runs) if run.kind not in LOCK_KINDS), None)
        release: PackageRef | None = mark.release if mark else None
        summary = EnvironmentSummary(
            environment=environment,
            release=release,
            verified_at=mark.at if mark else None,
            verified_by_run=mark.run if mark else None,
            hosts=len(states),
            hosts_on=sum(release is not None and state.runs(release.digest) for state in states),
            hosts_unknown=sum(state.truth == "unknown" for state in states),
            open_runs=sum(not run.ended for run in runs),
        )
        return summary if newest is None else _with_run(summary, newest)

    def _environments(self) -> list[str]:
        return sorted({run.environment for run in self._runs.values()})

    def _states(self, environment: str) -> list[HostState]:
        return [state for (where, _), state in sorted(self._hosts.items()) if where == environment]

    def _mark(self, environment: str, digest: str | None = None) -> Verified | None:
        marks = self._verified.get(environment, [])
        return next((mark for mark in marks if digest in {None, mark.release.digest}), None)

    def list_hosts(
        self, environments: tuple[str, ...], *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[HostRow]:
        """The recorded states of the hosts of several environments, by the names of environment and host."""
        after = tuple(json.loads(cursor)) if cursor is not None else ("", "")
        numbered = [
            (json.dumps(place), HostRow(environment=place[0], state=state))
            for place, state in sorted(self._hosts.items())
            if place[0] in environments and place > after
        ]
        return page_of(numbered, limit)

    def leases_of(self, environments: tuple[str, ...]) -> dict[str, Lease]:
        """The leases of several environments; nothing for one that is free."""
        now = self.clock.now()
        held = [lease for name, lease in self._leases.items() if name in environments]
        return {lease.environment: lease for lease in held if lease.until is None or not is_past(lease.until, now)}

    # -- what waits ----------------------------------------------------------------------------------------------------

    def list_queue(
        self,
        environments: tuple[str, ...],
        run: str | None = None,
        *,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[QueueEntry]:
        """The runs that wait for *environments*, in order for each; with *run* only that one."""
        after = tuple(json.loads(cursor)) if cursor is not None else ("", 0)
        placed = {(wait.environment, wait.number): wait for wait in self._waits}
        numbered = [
            (json.dumps(place), wait)
            for place, wait in sorted(placed.items())
            if place[0] in environments and place > after and run in {None, wait.run}
        ]
        return page_of(numbered, limit)

    def list_requests(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[QueuedRequest]:
        """The requests that are not done, oldest first."""
        numbered = [(str(number), work) for number, work in enumerate(self._works.values(), 1) if not work.done]
        return page_of([item for item in numbered if cursor is None or int(item[0]) > int(cursor)], limit)

    # -- the feed ------------------------------------------------------------------------------------------------------

    def feed(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> list[FeedEntry]:
        """The entries after *cursor* (None: from the first one), oldest first."""
        start = int(cursor.partition(".")[2]) if cursor is not None else 0
        found = []
        for number, (run, seq) in enumerate(self._feed[start : start + limit], start + 1):
            record, where = self._records[run][seq - 1], self._runs[run].environment
            place = f"0.{number}"
            found.append(FeedEntry(cursor=place, at=record.at, environment=where, run=run, seq=seq, kind=record.kind))
        return found

    def feed_end(self) -> str | None:
        """The cursor of the newest entry; None if the journal is empty."""
        return f"0.{len(self._feed)}" if self._feed else None

    def feed_changes(self, cursor: str | None) -> FeedChanges | None:
        """The environments with entries after *cursor*, and the next cursor; None if the feed ends before it."""
        start = int(cursor.partition(".")[2]) if cursor is not None else len(self._feed)
        changed = frozenset(self._runs[run].environment for run, _ in self._feed[start:])
        return FeedChanges(changed, self.feed_end()) if start <= len(self._feed) else None

    def wait_for_entries(self, seconds: float) -> None:
        """Return when the time has passed."""
        time.sleep(seconds)


def _with_run(summary: EnvironmentSummary, run: Run) -> EnvironmentSummary:
    newest = {"run": run.id, "run_kind": run.kind, "run_state": run.state, "run_at": run.requested_at}
    return summary.model_copy(update=newest)


def page_of(numbered: Sequence[tuple[str, T]], limit: int) -> Page[T]:
    """The page of the first *limit* items, each with its cursor."""
    items = tuple(item for _, item in numbered[:limit])
    return Page(items=items, cursor=numbered[limit - 1][0] if len(numbered) > limit else None)


def _started(record: Record) -> StepRow:
    label = str(record.data.get("label", record.step))
    verb = str(record.data.get("verb", ""))
    return StepRow(name=record.step, verb=verb, label=label, started_at=record.at, first_seq=record.seq)


def _finished(step: StepRow, record: Record) -> StepRow:
    result = StepResult.from_json(record.data)
    hosts, tests = ([item.outcome for item in items] for items in (result.hosts, result.tests))
    unknown = sum(outcome == "unknown" for outcome in hosts)
    ok = sum(outcome.good for outcome in hosts)
    passed = sum(outcome.good for outcome in tests)
    changed = {
        "finished_at": record.at,
        "outcome": result.outcome,
        "message": first_line(result.message, 300),
        "code": result.code,
        "log": result.log,
        "hosts_ok": ok,
        "hosts_unknown": unknown,
        "hosts_bad": len(hosts) - ok - unknown,
        "tests_ok": passed,
        "tests_bad": len(tests) - passed,
        "last_seq": record.seq,
    }
    return step.model_copy(update=changed)
