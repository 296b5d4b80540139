"""The contract of the store's lists, kept by every adapter: filters, cursors, limits, and one order over all entries."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database import lists
from orchestrator.adapters.database.read_tables import feed
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.domain.journal import Entry, QueuedRequest, Run, Verified
from orchestrator.domain.listing import FeedChanges, FeedEntry, Page, ReleaseFilter, RunFilter
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.ports import Store
from orchestrator.ports.lists import queue_entry, queue_of, queues_of, runs_of_request

REFS = [
    PackageRef(name=name, version=f"1.{n}.0", digest="sha256:" + f"{n}" * 64)
    for n, name in enumerate(("shop", "shop", "till"))
]
ENVIRONMENTS = ("production", "staging")

DEFINITION = f"sha256:{'d' * 64}"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    url = (
        request.getfixturevalue("postgres").fresh() if request.param == "postgres" else f"sqlite:///{tmp_path}/state.db"
    )
    made = DatabaseStore(url, SystemClock())
    yield made
    made.close()


def filled(store: Store, count: int = 12) -> list[Run]:
    """Promotions of three releases over two environments; each second has ended, and its release is on two hosts."""
    made = []
    for number in range(count):
        ref, environment = REFS[number % 3], ENVIRONMENTS[number % 2]
        name = f"r{number:02}-{environment}"
        run = Run(id=name, root=f"r{number // 2:02}", kind="promotion", environment=environment, release=ref, by="ann")
        store.create(run.model_copy(update={"project_definition": DEFINITION if number % 3 else None}))
        hosts = [f"{environment}-{letter}" for letter in "ab"]
        data = {"label": "site", "verb": "deploy", "hosts": hosts}
        results = [{"host": host, "outcome": "succeeded", "touched": True} for host in hosts]
        entries = [
            Entry(kind="state", data={"to": "deploying"}),
            Entry(kind="step.started", step="site.1", data=data),
            Entry(kind="step.finished", step="site.1", data={"outcome": "succeeded", "hosts": results}),
            Entry(kind="step.started", step="verify.1", data={"label": "tests", "verb": "verify"}),
        ]
        for host in hosts:
            state = {"host": host, "truth": "seen", "release": ref.to_json(), "run": name}
            entries.append(Entry(kind="host", host=host, data=state))
        if number % 4 < 2:
            mark = Verified(environment=environment, release=ref, run=name, at=f"2026-01-01T00:00:{number:02}.000Z")
            entries += [Entry(kind="verified", data=mark.to_json())]
            entries += [Entry(kind="ended", data={"state": "succeeded", "exit": 0})]
        entries.append(Entry(kind="planned", data={"plan": f"sha256:p{number % 4}"}))
        store.append(name, entries)
        made.append(store.run(name))
    return made


def every(read: Callable[..., Page[Any]], *args: Any, limit: int = 2, **kwargs: Any) -> list[Any]:
    """All items of a list, read page by page."""
    found: list[Any] = []
    cursor = None
    while True:
        page = read(*args, cursor=cursor, limit=limit, **kwargs)
        assert len(page.items) <= limit
        found += page.items
        if page.cursor is None:
            return found
        cursor = page.cursor


FILTERS = [
    RunFilter(),
    RunFilter(environment="staging"),
    RunFilter(request_id="r01"),
    RunFilter(digest=REFS[0].digest),
    RunFilter(name="shop", is_open=True),
    RunFilter(is_open=False),
    RunFilter(states=(State.DEPLOYING,), kinds=("promotion",)),
    RunFilter(kinds=("rollback",)),
    RunFilter(environment="staging", digest=REFS[1].digest, is_open=True),
    RunFilter(plan="sha256:p1"),
    RunFilter(project_definition=DEFINITION),
]


def test_each_filter_and_cursor(store: Store) -> None:
    """Each filter lists exactly the runs that it accepts, newest or oldest first, in pages of any size."""
    made = filled(store)
    for chosen in FILTERS:
        wanted = [run for run in reversed(made) if chosen.accepts(run)]
        for limit in (1, 5, 50):
            assert every(store.list_runs, chosen, limit=limit) == wanted
            assert every(store.list_runs, chosen, limit=limit, oldest_first=True) == wanted[::-1]
        assert store.count_runs(chosen) == len(wanted)
    assert store.list_runs(limit=12).cursor is None
    assert store.list_runs(limit=11).cursor is not None


def test_runs_that_were_requested_before_a_moment(store: Store) -> None:
    """A list up to a moment has the runs that were requested before it, and not the one at it."""
    moments = [f"2026-01-01T0{hour}:00:00.000Z" for hour in range(3)]
    for at in moments:
        store.create(Run(id=at, root=at, kind="promotion", environment="staging", requested_at=at))
    chosen = RunFilter(before=moments[2])
    assert [run.id for run in every(store.list_runs, chosen, limit=1)] == [moments[1], moments[0]]
    assert [chosen.accepts(store.run(at)) for at in moments] == [True, True, False]


def test_what_was_verified_is_read_by_release_and_newest_first(store: Store) -> None:
    """The releases verified in an environment are read newest first: all of them, those of one release, or the last."""
    filled(store)
    marks = store.verified("staging")
    assert [mark.at for mark in marks] == sorted((mark.at for mark in marks), reverse=True)
    for digest in {mark.release.digest for mark in marks}:
        wanted = [mark for mark in marks if mark.release.digest == digest]
        assert (store.verified("staging", digest), store.verified("staging", digest, limit=1)) == (wanted, wanted[:1])
    assert (store.verified("staging", limit=2), store.verified("staging", "sha256:none")) == (marks[:2], [])


def test_a_page_stays_while_runs_begin(store: Store) -> None:
    """A run that begins between two pages neither repeats nor hides a run."""
    made = filled(store, 6)
    first = store.list_runs(limit=3)
    store.create(Run(id="later", root="later", kind="promotion", environment="staging"))
    second = store.list_runs(cursor=first.cursor, limit=3)
    assert [*first.items, *second.items] == list(reversed(made))


def test_the_runs_of_a_request(store: Store) -> None:
    """The runs of a request are listed oldest first, and none of another."""
    filled(store)
    assert [run.id for run in runs_of_request(store, "r01")] == ["r02-production", "r03-staging"]
    assert runs_of_request(store, "r0") == []


def test_runs_and_entries_by_name(store: Store) -> None:
    """Several runs are read by their ids, and their entries by key; what does not exist is left out."""
    made = filled(store, 3)
    ids = (made[0].id, made[2].id, "none")
    assert {run.id for run in store.runs_named(ids)} == {made[0].id, made[2].id}
    store.append(made[0].id, [Entry(kind="notice", data={"n": 1}, key="one")])
    store.append(made[1].id, [Entry(kind="notice", data={"n": 2}, key="one")])
    assert [(entry.run, entry.key) for entry in store.entries_of(ids, ("one", "two"))] == [(made[0].id, "one")]


def test_the_steps_of_a_run(store: Store) -> None:
    """Steps come in the order in which they were started, with their counts once they have finished."""
    filled(store, 2)
    steps = every(store.list_steps, "r00-production", limit=1)
    assert [(step.name, step.verb, step.outcome and step.outcome.value, step.hosts_ok) for step in steps] == [
        ("site.1", "deploy", "succeeded", 2),
        ("verify.1", "verify", None, 0),
    ]
    assert [(step.first_seq, step.last_seq) for step in steps] == [(2, 3), (4, None)]


def test_the_hosts_of_a_release(store: Store) -> None:
    """The hosts on which a release was started are those of its deployments in that environment."""
    filled(store)
    deploy = frozenset({"deploy", "restore"})
    assert store.hosts_of_release("staging", REFS[1].digest, deploy) == {"staging-a", "staging-b"}
    assert store.hosts_of_release("staging", REFS[1].digest, frozenset({"verify"})) == set()
    assert store.hosts_of_release("elsewhere", REFS[1].digest, deploy) == set()


def test_every_adapter_lists_the_same(store: Store) -> None:
    """Releases, their places and the rows of environments are those that the journal gives when it is folded again."""
    filled(store)
    memory = MemoryStore()
    filled(memory)
    assert every(store.list_releases) == every(memory.list_releases)
    for chosen in (ReleaseFilter(name="shop"), ReleaseFilter(digests=(REFS[1].digest, "sha256:none"))):
        assert every(store.list_releases, chosen, limit=1) == every(memory.list_releases, chosen)
    assert [row.release for row in store.list_releases(chosen).items] == [REFS[1]]
    searches: list[tuple[str, ...]] = [
        (), (REFS[0].name,), (REFS[0].version, "sha256"), (f"{REFS[0].name}-{REFS[0].version}",), ("%",), ("p-1.",),
        ("shop 1.0.0 shop",), ("000", "shop"), ("sha256:1",), ("a",), ("none",),
    ]  # fmt: skip
    for words in searches:
        assert store.find_releases(words, 2) == memory.find_releases(words, 2)
    assert [row.release for row in store.find_releases((REFS[1].digest,))] == [REFS[1]]
    assert every(store.list_environments, limit=1) == every(memory.list_environments)
    assert store.list_environments(("staging", "none")) == memory.list_environments(("staging", "none"))
    digests = tuple(ref.digest for ref in REFS)
    assert store.release_places(digests, ENVIRONMENTS) == memory.release_places(digests, ENVIRONMENTS)
    assert len(memory.release_places(digests, ENVIRONMENTS)) == 6
    many = (*(f"none{number}" for number in range(lists.FEW_ENVIRONMENTS)), "staging")
    assert store.release_places(digests, many) == memory.release_places(digests, many) != []
    assert every(store.places_of_release, digests[0], limit=1) == every(memory.places_of_release, digests[0])
    wanted = [(name, f"{name}-{letter}") for name in sorted(ENVIRONMENTS) for letter in "ab"]
    for limit in (1, 3, 50):
        found = every(store.list_hosts, (*ENVIRONMENTS, "none"), limit=limit)
        assert [(row.environment, row.state.host) for row in found] == wanted
    assert store.list_hosts(()).items == ()


def test_holders_and_queues_of_several_environments(store: Store) -> None:
    """Leases and queues of several environments are those of each environment; a lock that is past is none."""
    made = filled(store, 4)
    store.acquire("staging", made[1].id, "ann", "promote")
    store.acquire("production", "lock:1", "ann", "why", until="2020-01-01T00:00:00.000Z")
    store.enqueue("staging", made[3], supersede=False)
    assert set(store.leases_of(("staging", "production", "none"))) == {"staging"}
    assert store.leases_of(("staging",))["staging"].holder == made[1].id
    assert [entry.run for entry in queue_of(store, "staging")] == [made[3].id]
    assert queues_of(store, ("staging", "none")) == {"staging": queue_of(store, "staging"), "none": []}


def test_many_environments_are_read_as_a_few_are(store: Store) -> None:
    """With more names than are given one by one, each list has the same rows, with a cursor too."""
    made = filled(store)
    store.acquire("staging", made[1].id, "ann", "promotion")
    for run in made[2:5]:
        store.enqueue(run.environment, run, supersede=False)
    many = (*ENVIRONMENTS, *(f"none'{number:03}" for number in range(200)))
    assert store.leases_of(many) == store.leases_of(ENVIRONMENTS) != {}
    for read in (store.list_queue, store.list_hosts, store.list_environments):
        found: Any = read
        assert every(found, many, limit=1) == every(found, ENVIRONMENTS) != [], read


def test_queues_are_read_page_by_page(store: Store) -> None:
    """The runs that wait are listed by environment and in their order, in pages of any size, or one run alone."""
    made = filled(store, 8)
    for run in reversed(made):
        store.enqueue(run.environment, run, supersede=False)
    wanted = [run.id for name in sorted(ENVIRONMENTS) for run in reversed(made) if run.environment == name]
    for limit in (1, 3, 50):
        assert [entry.run for entry in every(store.list_queue, ENVIRONMENTS, limit=limit)] == wanted
    assert [entry.run for entry in store.list_queue(("staging",), limit=1).items] == [made[7].id]
    found = queue_entry(store, "staging", made[3].id)
    assert found is not None
    assert found.run == made[3].id
    assert (queue_entry(store, "production", made[3].id), queue_entry(store, "staging", "none")) == (None, None)


def test_verified_releases_are_read_page_by_page(store: Store) -> None:
    """What was verified in an environment is listed newest first, in pages of any size, of all releases or of one."""
    filled(store, 40)
    marks = store.verified("staging")
    assert len(marks) > 5
    for limit in (1, 3, 50):
        assert every(store.list_verified, "staging", limit=limit) == marks
        one = [mark for mark in marks if mark.release.digest == REFS[1].digest]
        assert every(store.list_verified, "staging", REFS[1].digest, limit=limit) == one


def test_takeable_requests_are_read_page_by_page(store: Store) -> None:
    """What workers can take is listed oldest first, in pages of any size; what waits for an environment is not on it."""
    runs = [Run(id=f"q{n}-staging", root=f"q{n}", kind="promotion", environment="staging") for n in range(7)]
    for run in runs:
        store.submit(QueuedRequest(root=run.root, queue="default", request={"n": run.root}), run)
    for run in runs[2:4]:
        store.enqueue("staging", run, supersede=False)  # q3 waits behind q2
    for limit in (1, 2, 50):
        found = every(store.takeable, "default", lambda _root, _why: None, limit=limit)
        assert [work.root for work in found] == ["q0", "q1", "q2", "q4", "q5", "q6"]


def test_requests_that_are_not_done(store: Store) -> None:
    """Requests are listed oldest first until they are done."""
    for number in range(5):
        run = Run(id=f"q{number}-staging", root=f"q{number}", kind="promotion", environment="staging")
        store.submit(QueuedRequest(root=run.root, request={"n": number}), run)
    store.claim("q1", "w", "h", 60)
    store.release_claim("q1", "w", done=True)
    assert [work.root for work in every(store.list_requests)] == ["q0", "q2", "q3", "q4"]


def test_the_feed_has_every_entry_in_order(store: Store) -> None:
    """The feed has each entry of each run once, those of a run in their order, and goes on from any cursor."""
    made = filled(store, 5)
    entries = read_feed(store)
    wanted = [(run.id, record.seq, record.kind) for run in made for record in store.records(run.id)]
    assert [(entry.run, entry.seq, entry.kind) for entry in entries] == wanted
    assert store.feed_end() == entries[-1].cursor
    middle = entries[len(entries) // 2]
    assert store.feed(cursor=middle.cursor, limit=1000)[0] == entries[len(entries) // 2 + 1]


def test_the_environments_with_new_entries(store: Store) -> None:
    """What has changed since a cursor is each environment with an entry after it; a feed that ends before it has none."""
    made = filled(store, 2)
    first = store.feed_changes(None)
    assert first is not None
    assert first == FeedChanges(frozenset(), store.feed_end())
    assert store.feed_changes(first.cursor) == first
    store.append(made[1].id, [Entry(kind="notice", data={"n": 1})])
    later = store.feed_changes(first.cursor)
    assert later is not None
    assert later == FeedChanges(frozenset({made[1].environment}), store.feed_end())
    again = store.feed_changes(later.cursor)
    assert again is not None
    assert again.environments == frozenset()
    tx, _, number = str(later.cursor).partition(".")
    assert store.feed_changes(f"{tx}.{int(number) + 1}") is None


def test_changes_that_are_committed_late_are_named(postgres: Any) -> None:
    """An entry whose transaction began before the newest one that is listed, and ended later, changes its environment."""
    url = postgres.fresh()
    store, slow = DatabaseStore(url, SystemClock()), DatabaseStore(url, SystemClock())
    runs = [Run(id=f"r{n}", root=f"r{n}", kind="promotion", environment=f"e{n}") for n in range(2)]
    for run in runs:
        store.create(run)
    written, may_end = threading.Event(), threading.Event()

    def waits(_connection: Any) -> None:
        written.set()
        assert may_end.wait(20)

    sa.event.listen(slow._engine, "commit", waits)
    late = threading.Thread(target=slow.append, args=("r0", [Entry(kind="notice", data={})]))
    late.start()
    assert written.wait(20)
    before = store.feed_changes(None)
    assert before is not None
    store.append("r1", [Entry(kind="notice", data={})])
    meanwhile = store.feed_changes(before.cursor or "0.0")
    may_end.set()
    late.join()
    after = store.feed_changes(meanwhile.cursor if meanwhile is not None else before.cursor or "0.0")
    assert after is not None
    assert "e0" in after.environments
    slow.close()
    store.close()


def read_feed(store: Store, cursor: str | None = None) -> list[FeedEntry]:
    found: list[FeedEntry] = []
    while page := store.feed(cursor=found[-1].cursor if found else cursor, limit=3):
        found += page
    return found


def _naive(dialect: str, cursor: str | None, limit: int, *, newest: bool = False) -> "sa.Select[Any]":
    """What a reader would do who trusts that ids rise with commits."""
    del dialect
    number = int(cursor.partition(".")[2]) if cursor else 0
    return sa.select(feed).where(feed.c.id > number).order_by(feed.c.id.desc() if newest else feed.c.id).limit(limit)


@pytest.mark.parametrize("naive", [False, True], ids=["ours", "by id alone"])
def test_a_reader_beside_writers_misses_nothing(postgres: Any, monkeypatch: pytest.MonkeyPatch, naive: bool) -> None:
    """A reader of the feed gets each entry once, however late its transaction is committed; one by ids alone does not.

    A transaction has its place in the order before it is committed: here each writer waits for a while in between.
    """
    store = DatabaseStore(postgres.fresh(), SystemClock())
    if naive:
        monkeypatch.setattr(lists, "feed_query", _naive)

    def _slow(connection: Any) -> None:
        time.sleep(random.Random().uniform(0, 0.03))

    runs = [Run(id=f"r{n}", root=f"r{n}", kind="promotion", environment=f"e{n}") for n in range(4)]
    for run in runs:
        store.create(run)
    sa.event.listen(store._engine, "commit", _slow)

    def write(run: Run) -> None:
        for number in range(25):
            store.append(run.id, [Entry(kind="notice", data={"n": number})])

    threads = [threading.Thread(target=write, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    seen: list[FeedEntry] = []
    while any(thread.is_alive() for thread in threads):
        seen += store.feed(cursor=seen[-1].cursor if seen else None, limit=1000)
    for thread in threads:
        thread.join()
    seen += store.feed(cursor=seen[-1].cursor if seen else None, limit=1000)
    written = {(run.id, seq) for run in runs for seq in range(1, 26)}
    got = [(entry.run, entry.seq) for entry in seen]
    assert len(got) == len(set(got))
    assert (set(got) == written) is not naive
    if not naive:
        assert all([seq for run, seq in got if run == item.id] == list(range(1, 26)) for item in runs)
    store.close()


def test_the_environments_with_ephemeral_stacks(store: Store) -> None:
    """An environment has an ephemeral stack from the entry that made it until the one that says that it is gone."""
    runs = filled(store, 2)
    assert store.ephemeral_environments() == frozenset()
    for run in runs:
        store.append(run.id, [Entry(kind="ephemeral", data={"stack": "s", "until": "u"}, key="ephemeral:made")])
    assert store.ephemeral_environments() == {run.environment for run in runs}
    store.append(runs[0].id, [Entry(kind="ephemeral", data={"gone": True}, key="ephemeral:gone")])
    assert store.ephemeral_environments() == {run.environment for run in runs[1:]}


def test_the_figures_for_monitoring(store: Store) -> None:
    """Runs are counted by kind and state with the sum of their durations, and a database has a size."""
    assert store.figures().runs == ()
    filled(store)
    figures = store.figures()
    assert {(each.kind, each.state): each.number for each in figures.runs} == {
        ("promotion", "deploying"): 6,
        ("promotion", "succeeded"): 6,
    }
    assert all(each.seconds >= 0 for each in figures.runs)
    assert (figures.size_bytes > 0) is isinstance(store, DatabaseStore)


def test_new_entries_end_a_wait(store: Store) -> None:
    """A reader waits for entries at most for its time, and then reads them."""
    store.wait_for_entries(0.01)
    filled(store, 1)
    store.wait_for_entries(0.01)
    assert store.feed()
