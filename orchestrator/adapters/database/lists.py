"""The lists of the store on SQLAlchemy Core. Each is one query over an index; none uses an offset."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from orchestrator.adapters.database.engine import translate_errors
from orchestrator.adapters.database.list_queries import (
    accepted_runs,
    changes_query,
    environments_query,
    feed_query,
    place_in_feed,
    releases_query,
    releases_with_words,
    requests_query,
    runs_query,
    values_of,
)
from orchestrator.adapters.database.read_tables import (
    release_in_environment,
    release_list,
    run_hosts,
    run_list,
    run_steps,
)
from orchestrator.adapters.database.rebuild import rebuild
from orchestrator.adapters.database.tables import (
    hosts,
    leases,
    queue_entries,
    queued_requests,
    records,
    runs,
    verified,
)
from orchestrator.adapters.database.takeable import takeable_requests
from orchestrator.adapters.database.values import among, decode, readable_requests
from orchestrator.domain.journal import Lease, QueuedRequest, QueueEntry, Record, Run, Verified, is_past
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
from orchestrator.domain.plan import HostState
from orchestrator.domain.release import PackageRef
from orchestrator.ports import Clock

FEW_ENVIRONMENTS = 50
LEASE = sa.select(leases.c.data).where(leases.c.environment == sa.bindparam("environment"))


class DatabaseLists:
    """The lists, read through the engine of the store."""

    _engine: sa.Engine
    _clock: Clock

    def _rows(self, query: "sa.Select[Any]", values: Mapping[str, Any] | None = None) -> "Sequence[sa.Row[Any]]":
        raise NotImplementedError

    def _among(self, column: "sa.ColumnElement[str]", names: tuple[str, ...]) -> "sa.ColumnElement[bool]":
        return among(self._engine.dialect.name, column, names)

    def rebuild(self) -> int:
        """Write the read model again, in one transaction."""
        with translate_errors(), self._engine.begin() as db:
            rebuild(db)
            return int(db.execute(sa.select(sa.func.count()).select_from(run_list)).scalar() or 0)

    # -- runs ----------------------------------------------------------------------------------------------------------

    def list_runs(
        self,
        chosen: RunFilter = ALL_RUNS,
        *,
        oldest_first: bool = False,
        cursor: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> Page[Run]:
        """The runs that *chosen* accepts, newest first, or with *oldest_first* the other way."""
        values, after = values_of(chosen), cursor is not None
        query = runs_query(frozenset(values), is_open=chosen.is_open, after=after, oldest_first=oldest_first)
        rows = self._rows(query, {**values, "most": limit + 1, **({"cursor": int(cursor)} if cursor else {})})
        items = tuple(decode(Run, row.data) for row in rows[:limit])
        return Page(items=items, cursor=str(rows[limit - 1].number) if len(rows) > limit else None)

    def count_runs(self, chosen: RunFilter) -> int:
        """How many runs *chosen* accepts."""
        values = values_of(chosen)
        accepted = accepted_runs(frozenset(values), is_open=chosen.is_open)
        [row] = self._rows(sa.select(sa.func.count()).select_from(run_list).where(*accepted), values)
        return int(row[0])

    def runs_named(self, ids: tuple[str, ...]) -> list[Run]:
        """The runs with these ids."""
        query = sa.select(runs.c.data).where(runs.c.id.in_(ids))
        return [decode(Run, row.data) for row in self._rows(query)]

    def entries_of(self, runs: tuple[str, ...], keys: tuple[str, ...]) -> list[Record]:
        """The entries of several runs that have one of *keys*, in one query."""
        query = sa.select(records.c.data).where(records.c.run.in_(runs), records.c.key.in_(keys))
        return [decode(Record, row.data) for row in self._rows(query)]

    def ephemeral_environments(self) -> frozenset[str]:
        """The environments in which a run has made an ephemeral stack, and has not recorded that it is gone."""
        made, gone = records.alias("made"), records.alias("gone")
        is_gone = sa.exists().where(gone.c.run == made.c.run, gone.c.key == "ephemeral:gone")
        was_made = sa.literal_column("made.key") == sa.literal_column("'ephemeral:made'")  # as the index has it
        query = sa.select(runs.c.environment).join(made, made.c.run == runs.c.id).where(was_made, ~is_gone)
        return frozenset(str(row.environment) for row in self._rows(query.distinct()))

    def list_steps(self, run: str, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[StepRow]:
        """The steps of *run*, in the order in which they were started."""
        query = sa.select(run_steps).where(run_steps.c.run == run)
        if cursor is not None:
            query = query.where(run_steps.c.first_seq > int(cursor))
        rows = self._rows(query.order_by(run_steps.c.first_seq).limit(limit + 1))
        items = tuple(StepRow.from_json(_without(row, "run", "project")) for row in rows[:limit])
        return Page(items=items, cursor=str(rows[limit - 1].first_seq) if len(rows) > limit else None)

    def hosts_of_release(self, environment: str, digest: str, verbs: frozenset[str]) -> set[str]:
        """The hosts on which a step with one of *verbs* was started in *environment* by a run for the release."""
        query = (
            sa.select(run_hosts.c.host)
            .join(run_list, run_list.c.id == run_hosts.c.run)
            .where(run_list.c.digest == digest, run_list.c.environment == environment, run_hosts.c.verb.in_(verbs))
        )
        return {str(row.host) for row in self._rows(query.distinct())}

    # -- releases ------------------------------------------------------------------------------------------------------

    def list_releases(
        self, chosen: ReleaseFilter = ALL_RELEASES, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[ReleaseRow]:
        """The releases that a run was for and that *chosen* accepts, the one with the newest run first."""
        rows = self._rows(releases_query(chosen, cursor, limit + 1))
        items = tuple(_release(row) for row in rows[:limit])
        return Page(items=items, cursor=str(rows[limit - 1].last_number) if len(rows) > limit else None)

    def find_releases(self, words: tuple[str, ...], limit: int = PAGE_SIZE) -> list[ReleaseRow]:
        """The first *limit* of them that contain all of *words*. It reads releases until so many are found."""
        found = sa.select(release_list.c.last_number).where(*releases_with_words(self._engine.dialect.name, words))
        newest = [row.last_number for row in self._rows(found.order_by(release_list.c.last_number.desc()).limit(limit))]
        query = releases_query(ALL_RELEASES, None, limit).where(release_list.c.last_number.in_(newest))
        return [_release(row) for row in self._rows(query)] if newest else []

    def release_places(self, digests: tuple[str, ...], environments: tuple[str, ...]) -> list[ReleasePlace]:
        """The state of each of the releases in each of *environments*; nothing where it never was."""
        c = release_in_environment.c
        query = sa.select(release_in_environment).where(c.digest.in_(digests)).order_by(c.environment, c.digest)
        if len(environments) <= FEW_ENVIRONMENTS:
            return [_place(row) for row in self._rows(query.where(c.environment.in_(environments)))]
        wanted = frozenset(environments)  # SQLite would look up each release in each of them
        return [_place(row) for row in self._rows(query) if row.environment in wanted]

    def places_of_release(
        self, digest: str, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[ReleasePlace]:
        """The environments that have something to do with the release, by name."""
        c = release_in_environment.c
        query = sa.select(release_in_environment).where(c.digest == digest)
        if cursor is not None:
            query = query.where(c.environment > cursor)
        rows = self._rows(query.order_by(c.environment).limit(limit + 1))
        items = tuple(_place(row) for row in rows[:limit])
        return Page(items=items, cursor=items[-1].environment if len(rows) > limit else None)

    def list_verified(
        self, environment: str, digest: str | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[Verified]:
        """The releases whose tests passed in *environment*, newest first; with *digest* only that one."""
        c = verified.c
        query = sa.select(c.number, c.data).where(c.environment == environment)
        if digest is not None:
            query = query.where(c.digest == digest)
        if cursor is not None:
            query = query.where(c.number < int(cursor))
        rows = self._rows(query.order_by(c.number.desc()).limit(limit + 1))
        items = tuple(decode(Verified, row.data) for row in rows[:limit])
        return Page(items=items, cursor=str(rows[limit - 1].number) if len(rows) > limit else None)

    # -- environments --------------------------------------------------------------------------------------------------

    def list_environments(
        self, environments: tuple[str, ...] | None = None, *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[EnvironmentSummary]:
        """A row for each environment that a run was for, by name: of all, or of those in *environments*."""
        rows = self._rows(environments_query(self._engine.dialect.name, environments, cursor, limit + 1))
        items = tuple(_summary(row) for row in rows[:limit])
        return Page(items=items, cursor=items[-1].environment if len(rows) > limit else None)

    def list_hosts(
        self, environments: tuple[str, ...], *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[HostRow]:
        """The recorded states of the hosts of several environments, by the names of environment and host."""
        c = hosts.c
        query = sa.select(c.environment, c.host, c.data).where(self._among(c.environment, environments))
        if cursor is not None:
            query = query.where(sa.tuple_(c.environment, c.host) > sa.tuple_(*map(sa.literal, json.loads(cursor))))
        rows = self._rows(query.order_by(c.environment, c.host).limit(limit + 1))
        items = tuple(HostRow(environment=row.environment, state=decode(HostState, row.data)) for row in rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items=items, cursor=json.dumps([last.environment, last.host]) if last is not None else None)

    def lease(self, environment: str) -> Lease | None:
        """Who holds the environment; None if it is free."""
        held = [decode(Lease, row.data) for row in self._rows(LEASE, {"environment": environment})]
        now = self._clock.now()
        return next((each for each in held if each.until is None or not is_past(each.until, now)), None)

    def leases_of(self, environments: tuple[str, ...]) -> dict[str, Lease]:
        """The leases of several environments, in one query; nothing for one that is free."""
        now = self._clock.now()
        query = sa.select(leases.c.data).where(self._among(leases.c.environment, environments))
        held = [decode(Lease, row.data) for row in self._rows(query)]
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
        c = queue_entries.c
        query = sa.select(c.environment, c.number, c.data).where(self._among(c.environment, environments))
        if run is not None:
            query = query.where(c.run == run)
        if cursor is not None:
            query = query.where(sa.tuple_(c.environment, c.number) > sa.tuple_(*map(sa.literal, json.loads(cursor))))
        rows = self._rows(query.order_by(c.environment, c.number).limit(limit + 1))
        items = tuple(decode(QueueEntry, row.data) for row in rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items=items, cursor=json.dumps([last.environment, last.number]) if last is not None else None)

    def list_requests(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[QueuedRequest]:
        """The requests that are not done, oldest first."""
        rows = self._rows(requests_query(cursor, limit + 1))
        return _requests(rows, limit, lambda _root, _why: None)

    def takeable(
        self, queue: str, unread: Callable[[str, str], None], *, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[QueuedRequest]:
        """The requests that are not done and do not wait, in one statement."""
        query = takeable_requests(self._engine.dialect.name, queue, self._clock.now())
        if cursor is not None:
            query = query.where(queued_requests.c.number > int(cursor))
        return _requests(self._rows(query.limit(limit + 1)), limit, unread)

    # -- the feed ------------------------------------------------------------------------------------------------------

    def feed(self, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> list[FeedEntry]:
        """The entries after *cursor* (None: from the first one), oldest first. No entry is passed over."""
        rows = self._rows(feed_query(self._engine.dialect.name, cursor, limit))
        return [
            FeedEntry(
                cursor=_cursor(row), at=row.at, environment=row.environment, run=row.run, seq=row.seq, kind=row.kind
            )
            for row in rows
        ]

    def feed_end(self) -> str | None:
        """The cursor of the newest listed entry; None while there is none."""
        rows = self._rows(feed_query(self._engine.dialect.name, None, 1, newest=True))
        return _cursor(rows[0]) if rows else None

    def feed_changes(self, cursor: str | None) -> FeedChanges | None:
        """The environments with entries after *cursor*, and the next cursor; None if the feed ends before it.

        The end is read first: what is written meanwhile is named now, and again by the next call.
        """
        end = self.feed_end()
        if cursor is None:
            return FeedChanges(frozenset(), end)
        if end is None or place_in_feed(end) < place_in_feed(cursor):
            return None
        rows = self._rows(changes_query(self._engine.dialect.name, cursor))
        return FeedChanges(frozenset(str(row.environment) for row in rows), end)


def _requests(rows: "Sequence[sa.Row[Any]]", limit: int, unread: Callable[[str, str], None]) -> Page[QueuedRequest]:
    """The page of the first *limit* of *rows*. What a newer program wrote is left out."""
    items = tuple(readable_requests(rows[:limit], unread))
    return Page(items=items, cursor=str(rows[limit - 1].number) if len(rows) > limit else None)


def _cursor(row: "sa.Row[Any]") -> str:
    return f"{row.tx}.{row.id}"


def _without(row: "sa.Row[Any]", *names: str) -> dict[str, object]:
    return {str(name): value for name, value in row._mapping.items() if name not in names}  # noqa: SLF001 - public


def _release(row: "sa.Row[Any]") -> ReleaseRow:
    release = PackageRef(name=row.name, version=row.version, digest=row.digest)
    return ReleaseRow(release=release, number=row.number, first_run=row.first_run, last_run=row.last_run)


def _place(row: "sa.Row[Any]") -> ReleasePlace:
    return ReleasePlace.from_json(_without(row, "project"))


def _summary(row: "sa.Row[Any]") -> EnvironmentSummary:
    about = _without(row, "project", "digest", "name", "version")
    release = {"name": row.name, "version": row.version, "digest": row.digest} if row.digest is not None else None
    return EnvironmentSummary.from_json({**about, "release": release})
