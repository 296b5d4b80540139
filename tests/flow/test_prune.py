"""What a prune removes, what it keeps, and that a killed one leaves nothing half removed."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run, is_past
from orchestrator.domain.retention import Removable, Retention
from orchestrator.flow.prune import Records, prune, removable
from orchestrator.inspect.release_history import rollback_target
from orchestrator.services import Services
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]

DAY = 86400.0
STRAY = "e" * 64


@dataclass
class Kept:
    """Records of durable execution in memory, as an engine has them."""

    project: MemoryProject
    roots: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    points: list[str] = field(default_factory=list)
    dies_at: int = 0

    def records(self) -> Records:
        return Records(self._complete, self._alone, self.roots.discard, self._reached)

    def _complete(self, by: str) -> set[str]:
        ended = {run.root for run in self.project.store.runs() if run.ended_at and is_past(run.ended_at, by)}
        return self.roots & ended

    @contextlib.contextmanager
    def _alone(self, root: str) -> Iterator[bool]:
        yield root not in self.busy

    def _reached(self, point: str) -> None:
        self.points.append(point)
        if len(self.points) == self.dies_at:
            raise Died


class Died(BaseException):
    """The process is gone, as by `kill -9`."""


def ran(project: MemoryProject, kept: Kept, number: int, environment: str = "staging") -> list[Run]:
    """So many promotions, one a day, each with a job folder and records, as real engines leave them."""
    made = []
    for count in range(number):
        run = project.go(environment, f"1.{count}.0")
        for step in ("deploy.1", "verify.1"):
            folder = project.folder / "jobs" / f"{run.id}.{step}"
            folder.mkdir(parents=True)
            (folder / "output.log").write_text("x" * 1000)
        kept.roots.add(run.root)
        project.store.clock.sleep(DAY)
        made.append(run)
    return made


def ruled(project: MemoryProject, runs: str = "90d", newest: int = 3) -> Services:
    services = project.services()
    rule = Retention(runs=runs, keep_per_environment=newest)
    return replace(services, project=services.project.model_copy(update={"retention": rule}))


def stray_plan(services: Services) -> Path:
    """A plan that nobody has executed: one that was, with another digest."""
    some = next(path for path in sorted((services.state / "plans").iterdir()) if len(path.name) == 64)
    folder = services.state / "plans" / STRAY
    folder.mkdir()
    (folder / "plan.json").write_text((some / "plan.json").read_text())
    return folder


def jobs_of(services: Services) -> set[str]:
    return {path.name.partition(".")[0] for path in (services.state / "jobs").iterdir()}


def test_old_runs_lose_what_they_left(project: MemoryProject) -> None:
    """Old runs lose job folders and records; the newest of each environment, the journal and executed plans stay."""
    kept = Kept(project)
    made = ran(project, kept, 8)
    services = ruled(project)
    stray = stray_plan(services)
    project.store.clock.sleep(100 * DAY)
    plans = {path.name for path in (services.state / "plans").iterdir()}
    journal = [project.store.records(run.id) for run in made]
    found = prune(services, kept.records())
    assert jobs_of(services) == {run.id for run in made[-3:]}
    assert kept.roots == {run.root for run in made[-3:]}
    assert found.plans == (STRAY,)
    assert {path.name for path in (services.state / "plans").iterdir()} == plans - {stray.name}
    assert len(plans) > 8
    assert [project.store.records(run.id) for run in made] == journal
    assert found.bytes >= 10 * 1000
    assert removable(services, kept.records()).is_empty


def test_a_plan_that_was_voted_on_is_kept(project: MemoryProject) -> None:
    """An old plan that no run has executed stays while a run request or a vote names it, and goes without one."""
    kept = Kept(project)
    ran(project, kept, 1)
    services = ruled(project)
    stray = stray_plan(services)
    project.store.clock.sleep(100 * DAY)

    def named() -> frozenset[str]:
        return frozenset({f"sha256:{STRAY}"})

    assert removable(services, kept.records(), named).plans == ()
    prune(services, kept.records(), named)
    assert stray.is_dir()
    assert prune(services, kept.records()).plans == (STRAY,)


def test_a_dry_run_removes_nothing(project: MemoryProject) -> None:
    """What a dry run names is what the prune after it removes, and the dry run changes nothing."""
    kept = Kept(project)
    ran(project, kept, 6)
    project.store.clock.sleep(100 * DAY)
    services = ruled(project)
    before = sorted(services.state.rglob("*"))
    named = removable(services, kept.records())
    assert sorted(services.state.rglob("*")) == before
    assert (len(named.jobs), len(named.requests)) == (6, 3)
    assert prune(services, kept.records()) == named


def test_young_runs_lose_nothing(project: MemoryProject) -> None:
    """A run that ended within the time of the rule keeps everything, however many came after it."""
    kept = Kept(project)
    ran(project, kept, 6)
    assert prune(ruled(project), kept.records()) == Removable()


def test_what_is_open_is_kept(project: MemoryProject) -> None:
    """A run that needs intervention, one that has not ended, and the verified one are kept, and a busy request too."""
    kept = Kept(project)
    verified = ran(project, kept, 1, "production")[0]
    ran(project, kept, 6)
    killed = project.killed("staging", "9.9.9", "deploy.1")
    for run in (killed, verified):
        (project.folder / "jobs" / f"{run.id}.x").mkdir(parents=True, exist_ok=True)
    project.store.clock.sleep(100 * DAY)
    services = ruled(project, newest=1)
    kept.busy = {min(removable(services, kept.records()).requests)}
    prune(services, kept.records())
    assert {killed.id, verified.id} <= jobs_of(services)
    assert kept.busy <= kept.roots


def test_a_rollback_is_offered_as_before(project: MemoryProject) -> None:
    """A rollback goes to the release that it went to before, and succeeds."""
    kept = Kept(project)
    ran(project, kept, 6)
    project.store.clock.sleep(100 * DAY)
    services = ruled(project, newest=1)
    before = rollback_target(services, "staging")
    prune(services, kept.records())
    assert rollback_target(services, "staging") == before
    run = project.do(project.request("staging", before.version, "rollback"))
    assert run.state.value == "rolled back"


def test_a_prune_dies_at_each_boundary(project: MemoryProject) -> None:
    """A prune that is killed at any boundary leaves each thing whole or gone, and the next one ends the work."""
    kept = Kept(project)
    made = ran(project, kept, 4)
    services = ruled(project, newest=2)
    stray_plan(services)
    project.store.clock.sleep(100 * DAY)
    named = removable(services, kept.records())
    deaths = 0
    while True:
        kept.points, kept.dies_at = [], 1 + deaths % 4
        try:
            prune(services, kept.records())
        except Died:
            deaths += 1
            folders = (path for path in (services.state / "jobs").iterdir() if not path.name.startswith("."))
            assert all((path / "output.log").stat().st_size == 1000 for path in folders)
            assert deaths < 200
            continue
        break
    assert deaths > len(named.jobs)
    assert jobs_of(services) == {run.id for run in made[-2:]}
    assert kept.roots == {run.root for run in made[-2:]}
    assert not list(services.state.rglob(".removing-*"))


@pytest.mark.parametrize("name", ["prune.lock", "backup.lock"])
def test_a_prune_waits_for_nobody(project: MemoryProject, name: str) -> None:
    """While another prune or a backup has the state folder, a prune is refused (S200) and removes nothing."""
    services = ruled(project)
    with (services.state / name).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OrchestratorError) as caught:
            prune(services, Kept(project).records())
    assert caught.value.code == "S200"


def unpacked(services: Services, digit: str) -> Path:
    folder = services.state / "packages"
    (folder / (digit * 64) / "content").mkdir(parents=True)
    (folder / f"{digit * 64}.release").write_bytes(b"sealed")
    return folder / (digit * 64)


def test_unpacked_packages_that_nobody_uses_go(project: MemoryProject) -> None:
    """An unpacked package that was not used for long is removed; its sealed file and one that hosts run stay."""
    services = ruled(project)
    idle, used = unpacked(services, "a"), unpacked(services, "b")
    lonely = services.state / "packages" / ("c" * 64)  # without its sealed file it could not be unpacked again
    lonely.mkdir()
    long_ago = 1_000_000_000
    os.utime(idle, (long_ago, long_ago))
    os.utime(lonely, (long_ago, long_ago))
    prune(services, Kept(project).records())
    assert not idle.exists()
    assert used.is_dir()
    assert lonely.is_dir()
    assert idle.with_name(f"{idle.name}.release").is_file()


def size_of(services: Services) -> int:
    """The bytes of the state folder without journal and evidence; executed plans are evidence of what was approved."""
    folders = ("jobs", "packages", "logs", "background", "executors")
    return sum(path.stat().st_size for name in folders for path in (services.state / name).rglob("*") if path.is_file())


def test_the_state_folder_does_not_grow(project: MemoryProject) -> None:
    """With a prune each ten promotions, the state folder after 60 promotions is at most 1.2 times that after 20."""
    kept, sizes = Kept(project), []
    services = ruled(project, runs="10d", newest=5)
    for _ in range(6):
        ran(project, kept, 10)
        prune(services, kept.records())
        sizes.append(size_of(services))
    assert sizes[-1] <= 1.2 * sizes[1]
    assert len(kept.roots) <= 15


def test_the_rule_is_read_strictly() -> None:
    """A rule without a duration, or that keeps no run of an environment, is refused."""
    for wrong in ({"runs": "soon"}, {"keep_per_environment": 0}, {"run": "90d"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Retention.from_json(wrong)
    assert json.loads(Retention().model_dump_json()) == {"runs": "90d", "keep_per_environment": 20}
