"""The contract of the `Store` port, kept by every adapter of it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.fencing import HIGHEST
from orchestrator.domain.journal import Entry, QueuedRequest, Run, Verified
from orchestrator.domain.locks import lock_run, recorded_lock
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.ports import Store
from orchestrator.ports.lists import each_takeable, queue_of

REF = PackageRef(name="shop", version="1.0.0", digest="sha256:" + "a" * 64)
OTHER = PackageRef(name="shop", version="1.1.0", digest="sha256:" + "b" * 64)


Open = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store again and again."""
    made: list[Store] = []
    if request.param == "memory":
        one = MemoryStore()
        yield lambda: one
        return
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").fresh()
    else:
        url = f"sqlite:///{tmp_path}/state.db"

    def again() -> Store:
        made.append(DatabaseStore(url, SystemClock()))
        return made[-1]

    yield again
    for store in made:
        store.close()


@pytest.fixture
def store(opened: Open) -> Store:
    return opened()


def run(name: str = "r1-staging", environment: str = "staging") -> Run:
    return Run(
        id=name, root=name.split("-", maxsplit=1)[0], kind="promotion", environment=environment, release=REF, by="ann"
    )


def test_sides_are_told_by_switches_alone(store: Store) -> None:
    """Which side a host is on stays whatever else is told of it, until the next switch; it goes away with the host."""

    def told(live: str | None, switch_uncertain: bool, sides: dict[str, list[str]]) -> Entry:
        return Entry(kind="switched", data={"live": live, "switch_uncertain": switch_uncertain, "sides": sides})

    def host(name: str, truth: str) -> Entry:
        return Entry(kind="host", host=name, data={"host": name, "truth": truth, "side": "green", "is_standby": True})

    def sides() -> dict[str, tuple[object, bool, bool]]:
        return {state.host: (state.side, state.is_standby, state.switch_uncertain) for state in store.hosts("staging")}

    store.create(run())
    store.append("r1-staging", [host("a", "empty"), host("lb", "empty")])
    assert sides() == {"a": (None, False, False), "lb": (None, False, False)}
    store.append("r1-staging", [told("blue", False, {"blue": ["a"], "green": ["b"]})])
    assert sides() == {"a": ("blue", False, False), "b": ("green", True, False), "lb": (None, False, False)}
    store.append("r1-staging", [host("a", "unknown"), told("green", True, {"blue": ["a"], "green": ["b"]})])
    assert sides() == {"a": ("blue", True, True), "b": ("green", False, True), "lb": (None, False, False)}
    store.append("r1-staging", [host("b", "gone"), host("b", "empty")])
    assert sides()["b"] == (None, False, False)
    store.append("r1-staging", [told(None, False, {})])
    assert set(sides().values()) == {(None, False, False)}


def test_an_entry_is_found_by_its_key(store: Store) -> None:
    """An entry with a key is returned by its key, of its own run only; without such an entry there is None."""
    store.create(run())
    store.create(run("r2-staging"))
    store.append("r1-staging", [Entry(kind="notice", data={"text": "hello"}, key="one"), Entry(kind="notice")])
    found = store.entry("r1-staging", "one")
    assert found is not None
    assert (found.run, found.seq, found.data) == ("r1-staging", 1, {"text": "hello"})
    assert store.entry("r1-staging", "two") is None
    assert store.entry("r2-staging", "one") is None


def test_a_run_is_written_once(store: Store) -> None:
    """The same run again changes nothing, and its records begin with number 1."""
    store.create(run())
    store.append("r1-staging", [Entry(kind="notice", data={"level": "info", "text": "hello"})])
    store.create(run())
    assert [item.seq for item in store.records("r1-staging")] == [1]
    assert [item.id for item in store.runs()] == ["r1-staging"]


def test_records_come_back_in_order(store: Store) -> None:
    """What was written comes back as it was, in order, from where one asks, and as many as one asks."""
    store.create(run())
    entries = [
        Entry(kind="notice", step=f"s{n}", host="h", data={"text": "ü \x00 {{ x }}".replace("\x00", ""), "n": n})
        for n in range(5)
    ]
    assert store.append("r1-staging", entries) == 5
    found = store.records("r1-staging")
    assert [(item.seq, item.step, item.data) for item in found] == [(n + 1, f"s{n}", entries[n].data) for n in range(5)]
    assert [item.seq for item in store.records("r1-staging", after=3)] == [4, 5]
    assert [item.seq for item in store.records("r1-staging", after=1, limit=2)] == [2, 3]
    assert sorted(item.at for item in found) == [item.at for item in found]


def test_a_key_is_written_once(store: Store) -> None:
    """An entry whose key is there already is left out, so that a replay writes nothing twice."""
    store.create(run())
    first = Entry(kind="notice", data={"text": "one"}, key="k")
    assert store.append("r1-staging", [first, Entry(kind="notice", data={"text": "free"})]) == 2
    assert store.append("r1-staging", [first.model_copy(update={"data": {"text": "two"}})]) == 2
    assert [item.data["text"] for item in store.records("r1-staging")] == ["one", "free"]


def test_keys_belong_to_their_run(store: Store) -> None:
    """The same key in two runs is two entries."""
    store.create(run("r1-staging"))
    store.create(run("r2-staging"))
    for name in ("r1-staging", "r2-staging"):
        assert store.append(name, [Entry(kind="notice", key="k")]) == 1


def test_the_table_of_contents_is_folded(store: Store) -> None:
    """State, plan and ending of a run are what its records say."""
    store.create(run())
    store.append("r1-staging", [Entry(kind="state", data={"from": "requested", "event": "plan", "to": "planning"})])
    store.append("r1-staging", [Entry(kind="planned", data={"plan": REF.digest})])
    assert (store.run("r1-staging").state, store.run("r1-staging").plan) == (State.PLANNING, REF.digest)
    assert not store.run("r1-staging").ended
    store.append("r1-staging", [Entry(kind="ended", data={"state": "failed", "message": "no", "exit": 1})])
    ended = store.run("r1-staging")
    assert (ended.state, ended.message, ended.ended) == (State.FAILED, "no", True)


def test_runs_are_found_by_their_beginning(store: Store) -> None:
    """A beginning that fits one run finds it; none and several are errors, an exact id never is."""
    for name in ("ab1-staging", "ab2-staging", "ab1-staging-more"):
        store.create(run(name))
    assert store.run("ab2").id == "ab2-staging"
    assert store.run("ab1-staging").id == "ab1-staging"
    for wanted, code in (("zz", "R101"), ("ab", "R102"), ("%", "R101"), ("ab_-", "R101")):
        with pytest.raises(OrchestratorError) as caught:
            store.run(wanted)
        assert caught.value.code == code


def test_runs_come_newest_first(store: Store) -> None:
    """Runs come newest first, of one environment when one asks for it, and no more than one asks for."""
    for number in range(4):
        store.create(run(f"r{number}-x", "staging" if number % 2 else "production"))
    assert [item.id for item in store.runs()] == ["r3-x", "r2-x", "r1-x", "r0-x"]
    assert [item.id for item in store.runs("staging")] == ["r3-x", "r1-x"]
    assert [item.id for item in store.runs(limit=2)] == ["r3-x", "r2-x"]


def test_hosts_are_what_was_told_last(store: Store) -> None:
    """What is known of a host is what the last record said, with the time since when."""
    store.create(run())

    def tell(state: HostState) -> None:
        store.append("r1-staging", [Entry(kind="host", host=state.host, data=state.to_json())])

    tell(HostState(host="b", truth="seen", release=REF, run="r1-staging"))
    tell(HostState(host="a", truth="assumed", release=REF))
    tell(HostState(host="b", truth="unknown"))
    found = store.hosts("staging")
    assert [(host.host, host.truth, host.release) for host in found] == [("a", "assumed", REF), ("b", "unknown", None)]
    assert all(host.since for host in found)
    assert store.hosts("production") == []


def test_a_host_that_is_gone_is_told_of_no_more(store: Store) -> None:
    """What is told last of a removed host takes it out of what is known, until something is told of it again."""
    store.create(run())
    there = HostState(host="web1", truth="seen", release=REF, run="r1-staging")
    gone = HostState(host="web1", truth="gone", run="r1-staging")
    for number, state in enumerate((there, gone)):
        store.append("r1-staging", [Entry(kind="host", host="web1", data=state.to_json(), key=f"host:{number}")])
    assert store.hosts("staging") == []
    assert [record.data["truth"] for record in store.records("r1-staging")] == ["seen", "gone"]
    store.append("r1-staging", [Entry(kind="host", host="web1", data=there.to_json(), key="host:2")])
    assert [state.truth for state in store.hosts("staging")] == ["seen"]


def test_verified_releases_come_newest_first(store: Store) -> None:
    """Releases whose tests passed come newest first, each time that they did."""
    store.create(run())
    for ref in (REF, OTHER, REF):
        mark = Verified(environment="staging", release=ref, run="r1-staging", at="2026-01-01T00:00:00Z", definition="d")
        store.append("r1-staging", [Entry(kind="verified", data=mark.to_json())])
    assert [mark.release.version for mark in store.verified("staging")] == ["1.0.0", "1.1.0", "1.0.0"]
    assert store.verified("production") == []


def test_a_root_stands_for_one_thing(store: Store) -> None:
    """What is asked for again changes nothing, and what is asked for under a root that is taken is not written at all."""
    work = QueuedRequest(root="r1", request={"kind": "promotion", "targets": ["staging"]})
    assert store.submit(work, run())
    assert store.submit(work, run())
    other = QueuedRequest(root="r1", request={"kind": "promotion", "targets": ["production"]})
    assert not store.submit(other, run("r1-production", "production"))
    assert store.work("r1") == work
    assert [found.id for found in store.runs()] == ["r1-staging"]


def test_one_holder_an_environment(store: Store) -> None:
    """A lease is had by one holder; the next one gets a higher fence; giving back what one has not does nothing."""
    first = store.acquire("staging", "r1", "ann", "a promotion")
    assert store.acquire("staging", "r1", "ann", "again") == first
    with pytest.raises(OrchestratorError) as caught:
        store.acquire("staging", "r2", "bob", "another")
    assert (caught.value.code, int(caught.value.exit)) == ("S101", 8)
    assert "ann" in caught.value.message
    assert store.acquire("production", "r2", "bob", "elsewhere").fence == 1
    store.release("staging", "r2")
    assert store.lease("staging") == first
    store.release("staging", "r1")
    assert store.lease("staging") is None
    assert store.acquire("staging", "r2", "bob", "now").fence == first.fence + 1


def test_who_holds_waits_no_longer(store: Store) -> None:
    """A holder that took a place in the queue, since its process died before it had written down that it holds, has none."""
    waiting = run()
    store.acquire("staging", waiting.id, "ann", "a promotion")
    store.enqueue("staging", waiting, supersede=False)
    assert [wait.run for wait in queue_of(store, "staging")] == [waiting.id]
    store.acquire("staging", waiting.id, "ann", "a promotion")
    assert queue_of(store, "staging") == []


def test_a_raised_fence_is_passed_by_its_holder(store: Store) -> None:
    """Once a host has seen a higher fence, whoever holds the environment gets a higher one than that, and keeps the lease."""
    first = store.acquire("production", "a", "ann", "why", worker="")
    store.raise_fence("production", first.fence + 40)
    second = store.acquire("production", "a", "ann", "why", worker="")
    assert second.fence == first.fence + 41
    assert store.acquire("production", "a", "ann", "why", worker="").fence == second.fence
    assert store.lease("production") == second


@pytest.mark.parametrize("seen", [2**31 - 1, 2**31, 10**14, HIGHEST - 2])
def test_a_fencing_token_has_one_width(store: Store, seen: int) -> None:
    """A store counts on from every token that hosts read, also beyond 2^31."""
    store.acquire("production", "a", "ann", "why")
    store.raise_fence("production", seen)
    assert store.newest_fence("production") == seen
    assert store.acquire("production", "a", "ann", "why").fence == seen + 1
    assert store.newest_fence("production") == seen + 1


@pytest.mark.parametrize("seen", [HIGHEST + 1, 10**15 - 1, 10**15, 2**63 - 1, 2**63])
def test_no_token_is_taken_over_that_hosts_could_not_follow(store: Store, seen: int) -> None:
    """A token with which the next ones would have more digits than hosts read raises ours to the highest one, and no further."""
    store.raise_fence("production", seen)
    assert store.acquire("production", "a", "ann", "why").fence == HIGHEST + 1
    assert store.newest_fence("staging") == 0


def test_many_takers_one_holder(opened: Open) -> None:
    """Of many who want a free environment at once exactly one gets it, time after time, with a fence of its own."""
    stores = [opened() for _ in range(6)]
    fences: list[int] = []
    refused: list[str] = []
    for turn in range(5):
        won: list[str] = []
        barrier = threading.Barrier(len(stores))

        def take(number: int, won: list[str] = won, barrier: threading.Barrier = barrier, turn: int = turn) -> None:
            barrier.wait()
            try:
                fences.append(stores[number].acquire("staging", f"r{turn}-{number}", "ann", "race").fence)
                won.append(f"r{turn}-{number}")
            except OrchestratorError as error:
                refused.append(error.code)

        threads = [threading.Thread(target=take, args=(number,)) for number in range(len(stores))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        stores[0].release("staging", won[0])
    assert fences == sorted(set(fences))
    assert refused == ["S101"] * 25


def test_many_writers_lose_nothing(opened: Open) -> None:
    """Many who write to one run at once leave every entry once, numbered without a gap."""
    stores = [opened() for _ in range(4)]
    stores[0].create(run())

    def write(number: int) -> None:
        for at in range(10):
            stores[number].append(
                "r1-staging", [Entry(kind="notice", key=f"{number}.{at}"), Entry(kind="notice", key="same")]
            )

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = stores[0].records("r1-staging")
    assert [item.seq for item in found] == list(range(1, 42))
    assert len({item.key for item in found}) == 41


def test_what_was_written_is_there_for_the_next_process(opened: Open) -> None:
    """Another store on the same place sees everything."""
    first = opened()
    first.create(run())
    first.append("r1-staging", [Entry(kind="notice", data={"text": "x"})])
    first.acquire("staging", "r1", "ann", "why")
    second = opened()
    assert second.run("r1-staging").release == REF
    assert len(second.records("r1-staging")) == 1
    lease = second.lease("staging")
    assert lease is not None
    assert lease.reason == "why"


def asked(store: Store, root: str, environment: str, queue: str = "q") -> Run:
    """A promotion that was left to workers, and stands in the queue of its environment."""
    made = run(f"{root}-{environment}", environment)
    store.submit(QueuedRequest(root=root, request={"targets": [environment]}, queue=queue), made)
    store.enqueue(environment, made, supersede=False)
    return made


def test_a_process_that_was_replaced_gets_no_place(store: Store) -> None:
    """A process that another one has replaced puts its run into no queue: the run may have ended, and nobody would remove its place."""
    made = run("r1-staging", "staging")
    store.submit(QueuedRequest(root="r1", request={"targets": ["staging"]}), made)
    store.claim("r1", "first", "here", 60.0)
    store.release_claim("r1", "first", done=False)
    store.claim("r1", "second", "here", 60.0)
    with pytest.raises(OrchestratorError) as refused:
        store.enqueue("staging", made, supersede=False, worker="first")
    assert refused.value.code == "S103"
    assert queue_of(store, "staging") == []
    assert store.enqueue("staging", made, supersede=False, worker="second").run == "r1-staging"


def test_a_request_is_handed_over_to_workers_once(store: Store) -> None:
    """A request that its own process was to execute is left to workers, who can take it then; one that is done or theirs is not."""
    for root, queue in (("r1", ""), ("r2", "other"), ("r3", "")):
        store.submit(QueuedRequest(root=root, request={"targets": [root]}, queue=queue), run(f"{root}-{root}", root))
    store.release_claim("r3", "", done=True)
    assert takeable(store) == []
    assert [store.transfer(root, "q") for root in ("r1", "r2", "r3", "r1")] == [True, False, False, False]
    assert [store.work(root).queue for root in ("r1", "r2", "r3")] == ["q", "other", ""]
    assert takeable(store) == ["r1"]
    with pytest.raises(OrchestratorError) as refused:
        store.transfer("r4", "q")
    assert refused.value.code == "R101"


def takeable(store: Store, queue: str = "q") -> list[str]:
    return [work.root for work in each_takeable(store, queue, lambda _root, _why: None)]


def test_what_waits_for_nobody_can_be_taken(store: Store) -> None:
    """Of each environment the first in its queue can be taken, unless another run or a lock holds it."""
    store.acquire("two", "lock:1", "ann", "inventory")
    for root, environment in (("a1", "one"), ("a2", "one"), ("b1", "two"), ("c1", "three")):
        asked(store, root, environment)
    asked(store, "d1", "four", queue="other")
    assert takeable(store) == ["a1", "c1"]
    assert takeable(store, "other") == ["d1"]
    store.release("two", "lock:1")
    store.release_claim("a1", "", done=True)
    store.dequeue("one", "a1-one")
    assert takeable(store) == ["a2", "b1", "c1"]


def test_what_has_nothing_to_wait_for_can_be_taken(store: Store) -> None:
    """One that is to stop, was superseded, holds its environment already or stands in no queue is not kept from anything."""
    first, last = asked(store, "a1", "one"), asked(store, "a2", "one")
    store.acquire("two", "lock:1", "ann", "inventory", until="2020-01-01T00:00:00.000Z")  # it is over
    asked(store, "b1", "two")
    store.submit(QueuedRequest(root="c1", request={"targets": ["three"]}, queue="q"), run("c1-three", "three"))
    store.append(last.id, [Entry(kind="control", data={"control": "cancel", "by": "ann"})])
    assert takeable(store) == ["a1", "a2", "b1", "c1"]
    store.acquire("one", first.id, "ann", "promotion")
    assert takeable(store) == ["a1", "a2", "b1", "c1"]


def test_news_are_told(opened: Open) -> None:
    """After another process has written there is news, and none twice; a store that cannot tell says that there may be some."""
    mine, other = opened(), opened()
    mine.news()
    asked(other, "a1", "one")
    assert mine.news()
    if not isinstance(mine, MemoryStore):
        assert not mine.news()


def test_a_lease_is_given_back_by_the_process_that_acts(store: Store) -> None:
    """A process that another one has taken over from does not release the lease of the run."""
    store.create(run())
    store.acquire("staging", "r1-staging", "ann", "promotion")
    store.release("staging", "r1-staging", "another")
    assert store.lease("staging") is not None
    store.release("staging", "r1-staging", "")
    assert store.lease("staging") is None


def lock_of(kind: Literal["lock", "unlock"], number: str = "000001") -> Run:
    return lock_run(kind, number, "staging", "ann", "2026-01-01T00:00:00.000Z")


def test_a_lock_and_its_end_are_recorded_with_the_lease(store: Store) -> None:
    """A lock and its removal leave one ended run each with the reason, and both may be repeated."""
    locked = [store.lock(lock_of("lock"), "disks move", "2999-01-01T00:00:00.000Z") for _ in range(2)]
    assert locked[0] == locked[1] == store.lease("staging")
    assert (locked[0].locked, locked[0].until) == (True, "2999-01-01T00:00:00.000Z")
    removed = store.unlock(lock_of("unlock"), "they moved")
    assert (removed, store.lease("staging")) == (locked[0], None)
    assert store.unlock(lock_of("unlock", "000002"), "again") is None
    runs = store.list_runs().items
    assert [(run.kind, run.state, run.ended, run.by) for run in runs] == [
        ("unlock", State.SUCCEEDED, True, "ann"),
        ("lock", State.SUCCEEDED, True, "ann"),
    ]
    entries = [record for run in reversed(runs) for record in store.records(run.id)]
    assert [(entry.kind, entry.data.get("why")) for entry in entries] == [
        ("locked", "disks move"),
        ("ended", None),
        ("unlocked", "they moved"),
        ("ended", None),
    ]
    assert recorded_lock(entries[0]) == recorded_lock(entries[2]) == locked[0]


def test_a_lock_of_a_busy_environment_leaves_no_trace(store: Store) -> None:
    """Neither a lock nor an unlock of an environment that a run holds is recorded, and the run keeps it."""
    store.create(run())
    held = store.acquire("staging", "r1-staging", "ann", "promotion")
    with pytest.raises(OrchestratorError, match="is held by r1-staging"):
        store.lock(lock_of("lock"), "why")
    with pytest.raises(OrchestratorError, match="is held by r1-staging"):
        store.unlock(lock_of("unlock"), "why")
    assert ([found.id for found in store.list_runs().items], store.lease("staging")) == (["r1-staging"], held)


def test_no_run_is_overtaken_by_a_lock(store: Store) -> None:
    """The newest run of an environment is never one that records a lock, also after the lists were written again."""
    store.lock(lock_of("lock"), "before any run")
    assert (store.runs("staging"), [found.run for found in store.list_environments().items]) == ([], [None])
    store.unlock(lock_of("unlock"), "")
    store.create(run())
    store.lock(lock_of("lock", "000002"), "after it")
    for _ in range(2):
        assert [found.id for found in store.runs("staging", limit=1)] == ["r1-staging"]
        assert [(found.run, found.open_runs) for found in store.list_environments().items] == [("r1-staging", 1)]
        store.rebuild()
