"""The read model: what is written beside each entry is what a rebuild makes of the journal."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import open_database
from orchestrator.adapters.database.masking import mask_databases
from orchestrator.adapters.database.read_tables import REBUILT, environment_summary, feed, release_in_environment
from orchestrator.adapters.database.rebuild import rebuild
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.domain.journal import Entry, Run, Verified
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.domain.secret import Secret
from orchestrator.secret_values import SecretValues, use

REFS = [PackageRef(name="shop", version=f"1.{n}.0", digest="sha256:" + str(n) * 64) for n in range(3)]
RUNS = [
    Run(
        id=f"r{number}-{environment}",
        root=f"r{number}",
        kind="rollback" if number == 2 else "promotion",
        environment=environment,
        release=REFS[number],
        requested_at=f"2026-01-0{number + 1}T00:00:00.000Z",
    )
    for number in range(3)
    for environment in ("staging", "production")
]
HOSTS = st.sampled_from(["a", "b", "c"])
STEPS = st.sampled_from(["site.1", "site.2", "verify.shop.1"])
OUTCOMES = st.sampled_from(["succeeded", "failed", "unknown", "skipped"])


def result(host: str, outcome: str) -> dict[str, Any]:
    return {"host": host, "outcome": outcome, "touched": outcome != "skipped"}


def host_entry(host: str, truth: str, ref: PackageRef | None) -> Entry:
    release = ref.to_json() if ref and truth in {"seen", "assumed", "changing", "unknown"} else None
    return Entry(kind="host", host=host, data={"host": host, "truth": truth, "release": release})


started = st.builds(
    lambda step, hosts, verb: Entry(
        kind="step.started", step=step, data={"label": step, "verb": verb, "hosts": hosts, "definition": step}
    ),
    STEPS,
    st.lists(HOSTS, unique=True),
    st.sampled_from(["deploy", "restore", "verify"]),
)
finished = st.builds(
    lambda step, outcome, hosts: Entry(
        kind="step.finished", step=step, data={"outcome": outcome, "hosts": [result(*host) for host in hosts]}
    ),
    STEPS,
    OUTCOMES,
    st.lists(st.tuples(HOSTS, OUTCOMES), unique_by=lambda pair: pair[0]),
)
told = st.builds(
    host_entry,
    HOSTS,
    st.sampled_from(["seen", "assumed", "changing", "unknown", "empty", "gone"]),
    st.none() | st.sampled_from(REFS),
)
moved = st.builds(
    lambda state: Entry(kind="state", data={"from": "x", "event": "y", "to": state.value}), st.sampled_from(list(State))
)
ended = st.builds(
    lambda state, code: Entry(kind="ended", data={"state": state, "exit": code, "message": "m\nn"}),
    st.sampled_from(["succeeded", "failed", "rolled back", "needs intervention"]),
    st.integers(0, 9),
)
switched = st.builds(
    lambda live: Entry(
        kind="switched", data={"live": live, "switch_uncertain": False, "sides": {"blue": ["a"], "green": ["b"]}}
    ),
    st.sampled_from(["blue", "green"]),
)
control = st.builds(
    lambda wish: Entry(kind="control", data={"control": wish}), st.sampled_from(["", "pause", "cancel"])
)
notice = st.just(Entry(kind="notice", data={"text": "hello"}))


def mark(run: Run, at: int) -> Entry:
    assert run.release is not None
    about = Verified(environment=run.environment, release=run.release, run=run.id, at=f"2026-02-01T00:00:{at:02}.000Z")
    return Entry(kind="verified", data=about.to_json())


writes = st.lists(
    st.tuples(
        st.sampled_from(RUNS),
        st.lists(
            st.one_of(started, finished, told, told, moved, ended, switched, control, notice, st.none()),
            min_size=1,
            max_size=4,
        ),
    ),
    max_size=20,
)


def rows(engine: sa.Engine, *tables: sa.Table) -> dict[str, list[tuple[Any, ...]]]:
    with engine.connect() as db:
        return {
            table.name: sorted((tuple(row) for row in db.execute(sa.select(table))), key=repr)
            for table in tables or (*REBUILT, feed)
        }


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgres":
        yield request.getfixturevalue("postgres").fresh()
    else:
        yield f"sqlite:///{tmp_path}/state.db"


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(writes)
def test_a_rebuild_makes_the_same_rows(url: str, written: list[tuple[Run, list[Entry | None]]]) -> None:
    """A rebuild of the read model from the journal changes no row, whatever was written."""
    store = DatabaseStore(url, SystemClock(), project="shop")
    try:
        for number, (run, entries) in enumerate(written):
            store.create(run)
            store.append(run.id, [mark(run, number) if entry is None else entry for entry in entries])
        engine = store._engine
        before = rows(engine)
        with engine.begin() as db:
            rebuild(db)
        assert rows(engine) == before
        assert {row[0] for row in before["environment_summary"]} <= {"shop"}
    finally:
        store.close()


def test_counts_follow_the_hosts(url: str) -> None:
    """An environment's row counts its hosts with the verified release; each release counts the hosts it runs on."""
    store = DatabaseStore(url, SystemClock())
    run, later = RUNS[0], RUNS[2]
    for item in (run, later):
        store.create(item)
    store.append(run.id, [host_entry("a", "seen", REFS[0]), host_entry("b", "seen", REFS[0]), mark(run, 1)])
    store.append(later.id, [host_entry("a", "assumed", REFS[1]), host_entry("b", "unknown", REFS[0])])
    found = rows(store._engine, environment_summary, release_in_environment)
    summary = dict(zip(environment_summary.c.keys(), found["environment_summary"][0], strict=True))
    assert (summary["digest"], summary["hosts"], summary["hosts_on"]) == (REFS[0].digest, 2, 0)
    assert (summary["hosts_unknown"], summary["open_runs"], summary["run"]) == (1, 2, later.id)
    places = [dict(zip(release_in_environment.c.keys(), row, strict=True)) for row in found["release_in_environment"]]
    assert {place["digest"]: place["on_hosts"] for place in places} == {REFS[0].digest: 0, REFS[1].digest: 1}
    store.close()


def test_what_is_cut_off_is_masked_first(url: str) -> None:
    """A list shows no part of a secret whose rest was cut off, and a rebuild makes the same rows."""
    canary = "canary-" + "k" * 40
    text = "m" * 280 + f" {canary} ended"
    secrets = SecretValues()
    secrets.learn("here", [Secret("password", canary.encode())])
    mask_databases()
    store = DatabaseStore(url, SystemClock())
    use(secrets)
    try:
        run = RUNS[0]
        store.create(run)
        finish = {"outcome": "failed", "message": text, "hosts": [], "tests": []}
        store.append(run.id, [Entry(kind="step.started", step="site.1", data={"verb": "deploy"})])
        store.append(run.id, [Entry(kind="step.finished", step="site.1", data=finish)])
        store.append(run.id, [Entry(kind="ended", data={"state": "failed", "exit": 1, "message": text})])
        before = rows(store._engine)
        store.rebuild()
        assert rows(store._engine) == before
        assert canary[:12] not in repr(before)
    finally:
        use(SecretValues())
        store.close()


def test_an_upgrade_fills_the_lists(tmp_path: Path) -> None:
    """A store of the schema before the read model has its lists after the upgrade, as if they had been kept all along."""
    from alembic import command

    from orchestrator.adapters.database.engine import alembic_config

    new, old = tmp_path / "new.db", tmp_path / "old.db"
    store = DatabaseStore(f"sqlite:///{new}", SystemClock())
    for run in RUNS:
        store.create(run)
        store.append(
            run.id,
            [host_entry("a", "seen", run.release), mark(run, 1), Entry(kind="ended", data={"state": "succeeded"})],
        )
    wanted = rows(store._engine, *REBUILT)
    store.close()
    engine, config = sa.create_engine(f"sqlite:///{old}"), alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
    engine.dispose()
    with sqlite3.connect(old) as database:
        database.execute("ATTACH ? AS new", (str(new),))
        for table in ("runs", "records", "hosts", "verified"):
            names = [row[1] for row in database.execute(f"PRAGMA main.table_info({table})")]
            columns = ", ".join(f'"{name}"' for name in names)
            database.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
    upgraded = open_database(f"sqlite:///{old}")
    assert rows(upgraded, *REBUILT) == wanted
    upgraded.dispose()
