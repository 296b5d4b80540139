"""The queries of the lists: each is over an index, and none uses an offset."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from orchestrator.adapters.database.read_tables import environment_summary, feed, release_list, run_list
from orchestrator.adapters.database.tables import queued_requests, runs
from orchestrator.adapters.database.values import among, starts_with
from orchestrator.domain.listing import ReleaseFilter, RunFilter

IN_DIGESTS = frozenset("sha256:0123456789abcdef")


def beginning_query(dialect: str, beginning: str) -> "sa.Select[Any]":
    """The query for the runs whose id starts with *beginning*."""
    order = runs.c.number if dialect == "postgresql" else runs.c.id
    return sa.select(runs.c.data).where(starts_with(dialect, runs.c.id, beginning)).order_by(order)


@lru_cache
def runs_query(fields: frozenset[str], *, is_open: bool | None, after: bool, oldest_first: bool) -> "sa.Select[Any]":
    """The query for a page of runs that a filter with these *fields* accepts; of those *after* a cursor, if it is set.

    Newest first unless *oldest_first*. An index serves both directions. It is made once: to make it takes longer than
    to execute it. Its values are those of `values_of`.
    """
    c = run_list.c
    query = sa.select(runs.c.number, runs.c.data).join(run_list, c.number == runs.c.number)
    query = query.where(*accepted_runs(fields, is_open=is_open))
    if after:
        place: sa.BindParameter[int] = sa.bindparam("cursor")
        query = query.where(c.number > place if oldest_first else c.number < place)
    return query.order_by(c.number if oldest_first else c.number.desc()).limit(sa.bindparam("most"))


def values_of(chosen: RunFilter) -> dict[str, Any]:
    """The values of the fields of *chosen* that limit the list by a value."""
    found = {name: getattr(chosen, name) for name in (*EQUAL, "kinds", "before")}
    found["states"] = [state.value for state in chosen.states] if chosen.states is not None else None
    return {name: value for name, value in found.items() if value is not None}


EQUAL = {
    "environment": run_list.c.environment,
    "request_id": run_list.c.root,
    "digest": run_list.c.digest,
    "name": run_list.c.name,
    "plan": run_list.c.plan,
    "project_definition": run_list.c.project_definition,
}
"""The fields of a filter that a column of a run must be equal to."""


def accepted_runs(fields: frozenset[str], *, is_open: bool | None) -> Iterator["sa.ColumnElement[bool]"]:
    """The conditions for the rows of the runs that a filter with these *fields* accepts, by their values."""
    c = run_list.c
    yield from (column == sa.bindparam(name) for name, column in EQUAL.items() if name in fields)
    if "states" in fields:
        yield c.state.in_(sa.bindparam("states", expanding=True))
    if "kinds" in fields:
        yield c.kind.in_(sa.bindparam("kinds", expanding=True))
    if is_open is not None:
        yield c.ended_at.is_(None) if is_open else c.ended_at.is_not(None)
    if "before" in fields:
        yield c.requested_at < sa.bindparam("before")


def releases_query(chosen: ReleaseFilter, cursor: str | None, limit: int) -> "sa.Select[Any]":
    """The query for a page of releases, with the ids of their first and last runs."""
    first, last, c = run_list.alias("first"), run_list.alias("last"), release_list.c
    query = (
        sa.select(release_list, first.c.id.label("first_run"), last.c.id.label("last_run"))
        .join(first, first.c.number == c.number)
        .join(last, last.c.number == c.last_number)
    )
    if chosen.name is not None:
        query = query.where(c.name == chosen.name)
    if chosen.digests is not None:
        query = query.where(last.c.digest.in_(chosen.digests))  # which has an index that starts with it
    if cursor is not None:
        query = query.where(c.last_number < int(cursor))
    return query.order_by(c.last_number.desc()).limit(limit)


def releases_with_words(dialect: str, words: tuple[str, ...]) -> Iterator["sa.ColumnElement[bool]"]:
    """The conditions for releases with all of *words*. The index of the newest ones has all that they compare.

    A word without a space that is in `release_text` is in the name and version, or in the digest. Without
    `lower`, SQLite ignores case too, and compares 50,000 names twice as fast. Only what may be a part of a digest is
    compared with digests.
    """
    c = release_list.c
    name = c.name + sa.literal("-") + c.version
    for word in words:
        if " " in word:
            text = c.name + sa.literal(" ") + c.version + sa.literal(" ") + name + sa.literal(" ") + c.digest
            yield sa.func.lower(text).contains(word, autoescape=True)
            continue
        compared = name if dialect == "sqlite" else sa.func.lower(name)
        fits = compared.contains(word, autoescape=True)
        yield fits | c.digest.contains(word, autoescape=True) if set(word) <= IN_DIGESTS else fits


def environments_query(
    dialect: str, environments: tuple[str, ...] | None, cursor: str | None, limit: int
) -> "sa.Select[Any]":
    """The query for a page of environments."""
    c = environment_summary.c
    query = sa.select(environment_summary)
    if environments is not None:
        query = query.where(among(dialect, c.environment, environments))
    if cursor is not None:
        query = query.where(c.environment > cursor)
    return query.order_by(c.environment).limit(limit)


def requests_query(cursor: str | None, limit: int) -> "sa.Select[Any]":
    """The query for a page of requests that are not done."""
    query = sa.select(queued_requests.c.root, queued_requests.c.number, queued_requests.c.data).where(
        queued_requests.c.done.is_(False)
    )
    if cursor is not None:
        query = query.where(queued_requests.c.number > int(cursor))
    return query.order_by(queued_requests.c.number).limit(limit)


def feed_query(dialect: str, cursor: str | None, limit: int, *, newest: bool = False) -> "sa.Select[Any]":
    """The query for the entries after *cursor*.

    Postgres gives out ids and ids of transactions before a commit. Entries are in the order of their transactions, and
    are listed once no transaction before theirs is still open: what is committed later comes later in this order. By
    ids alone an entry is lost if it is committed after one with a higher id was read.
    """
    c = feed.c
    query = sa.select(feed)
    if dialect == "postgresql":
        snapshot = sa.text("tx < pg_snapshot_xmin(pg_current_snapshot())")
        query = query.where(snapshot)
    if cursor is not None:
        query = query.where(_after(dialect, cursor))
    order = [c.tx, c.id] if dialect == "postgresql" else [c.id]
    return query.order_by(*(column.desc() if newest else column for column in order)).limit(limit)


def changes_query(dialect: str, cursor: str) -> "sa.Select[Any]":
    """The query for the environments with entries after *cursor*, also those that are not listed yet."""
    return sa.select(feed.c.environment).where(_after(dialect, cursor)).distinct()


def _after(dialect: str, cursor: str) -> "sa.ColumnElement[bool]":
    """The condition for entries after *cursor*."""
    tx, number = place_in_feed(cursor)
    if dialect != "postgresql":
        return feed.c.id > number
    after = sa.text("(tx, id) > (CAST(CAST(:after_tx AS TEXT) AS xid8), :after_id)")
    return sa.and_(after.bindparams(after_tx=str(tx), after_id=number))


def place_in_feed(cursor: str) -> tuple[int, int]:
    """The transaction and the number of the entry at *cursor*."""
    tx, _, number = cursor.partition(".")
    return int(tx), int(number)
