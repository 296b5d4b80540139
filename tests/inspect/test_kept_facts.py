"""Facts that a process keeps: at every entry of the journal they are those that are read anew."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.domain.environment import Environment
from orchestrator.domain.facts import EnvironmentFacts
from orchestrator.domain.journal import Entry, Record, Run
from orchestrator.domain.listing import Page
from orchestrator.domain.promotion import State
from orchestrator.inspect.facts import MOST_FAILED, facts_of, facts_of_all
from orchestrator.inspect.kept_facts import KeptFacts
from orchestrator.services import Services
from tests.flow.test_promotion import Stage, release

NAMES = ("staging", "production")


def idle(_root: str) -> bool:
    return False


@dataclass
class ComparingStore(MemoryStore):
    """A journal that compares, after each write, what is kept with what is read anew."""

    stage: Stage | None = None
    kept: KeptFacts = field(default_factory=KeptFacts)
    compared: int = 0
    read_again: list[str] = field(default_factory=list)

    def append(self, run: str, entries: Iterable[Entry], fence: int = 0) -> int:
        last = 0
        for entry in entries:
            last = super().append(run, [entry], fence)
            self.compare()
        return last

    def create(self, run: Run) -> None:
        super().create(run)
        self.compare()

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        found = super().acquire(*args, **kwargs)
        self.compare()
        return found

    def release(self, *args: Any, **kwargs: Any) -> None:
        super().release(*args, **kwargs)
        self.compare()

    def compare(self) -> None:
        """Compare the facts of each environment."""
        if self.stage is not None:
            services = self.stage.services()
            anew = [facts_of(services, name, idle) for name in NAMES]
            assert self.kept.read(stable(services), NAMES, idle) == anew
            assert facts_of_all(services, NAMES, idle) == anew
            self.compared += 1


KNOWN: dict[str, tuple[Environment, Path]] = {}


def stable(services: Services) -> Services:
    """*services* with the definitions of the first time: a process reads them once."""
    for name, found in services.environments.items():
        KNOWN.setdefault(name, found)
    services.environments.update(KNOWN)  # type: ignore[attr-defined]
    return services


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    KNOWN.clear()
    store = ComparingStore()
    made = Stage(tmp_path, store=store)
    store.stage = made
    return made


def comparing(stage: Stage) -> ComparingStore:
    assert isinstance(stage.store, ComparingStore)
    return stage.store


def test_kept_facts_are_current_at_every_entry(stage: Stage) -> None:
    """Through promotions, a rollback, a run that needs help, a lock and a queue, kept facts equal those read anew."""
    stage.walk("1.0.0")
    stage.world.faults.add(("verify", "p2", "1.1.0"))
    assert stage.walk("1.1.0").state is State.ROLLED_BACK
    stage.world.faults |= {("deploy", "s1", "1.3.0"), ("deploy", "s1", "1.1.0")}
    assert stage.promote("1.3.0", "staging").state is State.NEEDS_INTERVENTION
    stage.world.faults.clear()
    stage.store.acquire("staging", "lock:1", "ann", "why")
    comparing(stage).compare()
    stage.store.release("staging", "lock:1")
    comparing(stage).compare()
    stage.walk("1.2.0")
    assert comparing(stage).compared > 100


def facts(stage: Stage) -> list[EnvironmentFacts]:
    return comparing(stage).kept.read(stable(stage.services()), NAMES, idle)


def test_an_environment_that_has_not_changed_is_not_read(stage: Stage) -> None:
    """The facts of a quiet environment are the same values again; an entry of one environment leaves the other."""
    stage.walk("1.0.0")
    comparing(stage).stage = None
    first, again = facts(stage), facts(stage)
    assert all(one is other for one, other in zip(first, again, strict=True))
    stage.promote("1.1.0", "staging")
    later = facts(stage)
    assert later[1] is first[1]
    assert later[0] == facts_of(stage.services(), "staging", idle) != first[0]


def test_an_environment_with_something_under_way_is_read_each_time(stage: Stage) -> None:
    """An open run, a lease and a queue are read each time: what they show depends on processes and on the time."""
    stage.walk("1.0.0")
    comparing(stage).stage = None
    assert facts(stage)[0].lease is None
    stage.store.acquire("staging", "lock:1", "ann", "why", until="2026-01-01T00:00:01.000Z")
    assert (facts(stage)[0].lease is None) is (stage.store.lease("staging") is None)
    run = stage.ctx(stage.packages.put(release("1.1.0")), "production").run
    shown = facts(stage)[1].open_runs[0]
    assert (shown.id, shown.activity) == (run.id, "interrupted")
    busy = comparing(stage).kept.read(stable(stage.services()), NAMES, lambda _root: True)
    assert busy[1].open_runs[0].activity == "working"


def test_another_store_is_noticed(stage: Stage) -> None:
    """If the feed ends before what was read, the store is an earlier one, and nothing that was kept of it counts."""
    stage.walk("1.0.0")
    comparing(stage).stage = None
    facts(stage)
    kept = comparing(stage).kept
    earlier = Stage(stage.folder)
    found = kept.read(stable(earlier.services()), NAMES, idle)
    assert found == [facts_of(earlier.services(), name, idle) for name in NAMES]


def test_a_changed_definition_is_noticed(stage: Stage) -> None:
    """The facts of an environment whose definition was read again are read again."""
    stage.walk("1.0.0")
    comparing(stage).stage = None
    kept = comparing(stage).kept
    services = stage.services()
    first = kept.read(services, NAMES, idle)
    environment, folder = services.environments["production"]
    changed = environment.model_copy(update={"after": None})
    services.environments["production"] = (changed, folder)  # type: ignore[index]
    again = kept.read(services, NAMES, idle)
    assert again[0] is first[0]
    assert (first[1].after, again[1].after) == ("staging", None)


class CountingStore(MemoryStore):
    """A journal that counts how often entries are read."""

    reads = 0
    runs_read = 0

    def runs(self, environment: str | None = None, limit: int | None = None) -> list[Run]:
        found = super().runs(environment, limit)
        self.runs_read += len(found)
        return found

    def list_runs(self, *given: Any, **more: Any) -> Page[Run]:
        found = super().list_runs(*given, **more)
        self.runs_read += len(found.items)
        return found

    def entry(self, run: str, key: str) -> Record | None:
        self.reads += 1
        return super().entry(run, key)

    def entries_of(self, runs: tuple[str, ...], keys: tuple[str, ...]) -> list[Record]:
        self.reads += 1
        return super().entries_of(runs, keys)


def test_many_failed_runs_are_read_together(tmp_path: Path) -> None:
    """The hosts of an environment are read in few queries of few runs, when many have failed before they had hosts."""
    store = CountingStore()
    stage = Stage(tmp_path, store=store)
    stage.promote("1.0.0", "staging")
    known = facts_of(stage.services(), "staging", idle).hosts
    for number in range(350):
        run = Run(id=f"f{number}-staging", root=f"f{number}", kind="promotion", environment="staging")
        store.create(run)
        store.append(run.id, [Entry(kind="ended", data={"state": State.FAILED.value, "exit": 1})])
    reads: dict[str, Callable[[Services], EnvironmentFacts]] = {
        "one": lambda services: facts_of(services, "staging", idle),
        "all": lambda services: facts_of_all(services, NAMES, idle)[0],
    }
    for read in reads.values():
        store.reads = store.runs_read = 0
        found = read(stage.services())
        assert (found.hosts, found.last_run is not None and found.last_run.state) == (known, State.FAILED)
        assert known
        assert store.reads <= 10
        assert store.runs_read <= 2 * MOST_FAILED
