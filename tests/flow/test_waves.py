"""Walks in waves on the world in memory: who gets a release when, what holds the rest, and what goes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.adapters.memory.provisioner import MemoryProvisioner
from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.adapters.memory.verifier import MemoryVerifier
from orchestrator.adapters.memory.world import World
from orchestrator.adapters.null_notifier import NullNotifier
from orchestrator.domain.environment import Environment, Project
from orchestrator.domain.errors import Exit, OrchestratorError
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package, Release
from orchestrator.domain.story import RunView
from orchestrator.domain.wave_plan import PlannedEnvironment, WavePlan
from orchestrator.domain.waves import Waves
from orchestrator.flow.halt import SoleOwner
from orchestrator.flow.wave_rollout import (
    WaveMember,
    WaveRollout,
    WaveRolloutRequest,
    admitted_environments,
    executable,
    one,
    refuse_rolled_back,
    unchanged,
)
from orchestrator.planning import make, plan_store
from orchestrator.planning.survey import PlanRequest
from orchestrator.services import Services

HEAD = {"apiVersion": "orchestrator/v1"}
NAMES = ("eu-1", "eu-2", "us-1", "asia-1")
WAVES = [["eu-1"], ["eu-2", "us-1"], ["asia-1"]]


class Crash(BaseException):
    """As by kill -9."""


class Sleeping(MemoryDurable):
    """It can die in its sleep."""

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        self._crash(name, "asleep")
        super().sleep(name, seconds, awake)


@dataclass
class Stage:
    """A project with four environments in memory, and a way to walk through them in waves."""

    folder: Path
    world: World = field(default_factory=lambda: World(stacks={name: [f"{name}-web"] for name in NAMES}))
    store: MemoryStore = field(default_factory=MemoryStore)
    packages: MemoryPackages = field(default_factory=MemoryPackages)
    rules: dict[str, dict[str, object]] = field(default_factory=dict)
    more: dict[str, object] = field(default_factory=dict)
    count: int = 0
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def waves(self) -> Waves:
        return Waves.from_json({"name": "regions", "environments": WAVES, "soak": "5m", **self.more})

    def services(self) -> Services:
        def environment(name: str) -> tuple[Environment, Path]:
            data = {**HEAD, "kind": "Environment", "name": name, **self.rules.get(name, {})}
            return Environment.from_json(data), self.folder

        project = {**HEAD, "kind": "Project", "name": "demo", "waves": [self.waves.to_json()]}
        return Services(
            project=Project.from_json(project),
            root=self.folder,
            state=self.folder,
            environments={name: environment(name) for name in NAMES},
            provisioner=MemoryProvisioner(self.world),
            deployer=MemoryDeployer(self.world),
            verifier=MemoryVerifier(self.world),
            packages=self.packages,
            store=self.store,
            clock=self.store.clock,
            notifier=NullNotifier(),
            keys=MemoryKeys(),
        )

    def package(self, version: str, **changes: object) -> Package:
        data = {
            **HEAD,
            "kind": "Release",
            "name": "shop",
            "version": version,
            "environments": list(NAMES),
            "steps": [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web"}],
            "verify": [{"name": "smoke", "tests": "tests"}],
            **changes,
        }
        return self.packages.put(Release.from_json(data))

    def way(self, version: str, **about: Any) -> WaveRolloutRequest:
        self.count += 1
        self.answers = {}
        return WaveRolloutRequest(f"r{self.count}", self.package(version).ref, "ann", self.waves, **about)

    def go(self, way: WaveRolloutRequest, crash: Callable[[str, str], None] = lambda _name, _when: None) -> Run:
        def beside(durable: MemoryDurable, part: object) -> dict[str, object]:
            return one(self.services(), durable, SoleOwner(), way, WaveMember.from_json(part))

        return WaveRollout(self.services(), Sleeping(self.answers, crash, beside), SoleOwner(), way).go()

    def walk(self, version: str) -> Run:
        return self.go(self.way(version))

    def plan(self, version: str, *, redeploy: bool = False) -> WavePlan:
        package, waves = self.package(version), self.waves
        wanted = admitted_environments(self.services(), waves, package, redeploy=redeploy)

        def planned(name: str) -> PlannedEnvironment:
            if name not in wanted:
                return PlannedEnvironment(environment=name)
            asked = PlanRequest(package, name, coming=waves.before(name))
            plan = make.make(self.services(), asked, "plan", lambda _entry: None)
            return PlannedEnvironment(environment=name, digest=plan.digest, plan=plan)

        made = WavePlan(
            project="demo",
            release=package.ref,
            rollout=waves,
            waves=tuple(tuple(planned(name) for name in wave) for wave in waves.environments),
            redeploy=redeploy,
        )
        plan_store.save(self.services(), made)
        return made

    def versions(self) -> dict[str, str | None]:
        """The version on each environment's host."""
        kept = {ref.digest: ref.version for ref in self.packages.refs()}
        return {name: kept.get(next(iter(self.world.releases(name)), None) or "") for name in NAMES}

    def story(self, run: Run) -> dict[str, tuple[str, str]]:
        """What the walk's journal says of each environment: its state, and why."""
        walk = RunView.of(run, self.store.records(run.id)).wave_progress
        assert walk is not None
        return {place.environment: (place.state, place.why) for wave in walk.story for place in wave.environments}

    def ending(self, run: Run) -> dict[str, Any]:
        return next(record.data for record in self.store.records(run.id) if record.kind == "ended")

    def events(self, run: Run) -> list[str]:
        return [record.data["event"] for record in self.store.records(run.id) if record.kind == "wave"]

    def fail(self, name: str, version: str = "1.1.0") -> None:
        self.world.faults.add(("verify", f"{name}-web", version))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_good_release_goes_out_in_waves(stage: Stage) -> None:
    """Each environment has the release, wave after wave, with a soak between two and none after the last."""
    run = stage.walk("1.0.0")
    assert (run.id, run.kind, run.environment, run.state) == ("r1", "waves", "regions", State.SUCCEEDED)
    assert set(stage.versions().values()) == {"1.0.0"}
    assert stage.events(run) == ["begun", "ended", "soaking", "begun", "ended", "soaking", "begun", "ended"]
    began = [stage.store.run(f"r1-{name}").requested_at for name in ("eu-1", "eu-2", "us-1", "asia-1")]
    assert began == sorted(began)
    assert stage.ending(run)["exit"] == Exit.OK


def test_a_failure_holds_later_waves(stage: Stage) -> None:
    """A failed environment goes back by itself; its sibling and the wave before keep the release, the next never hears of it."""
    stage.walk("1.0.0")
    stage.fail("eu-2")
    run = stage.walk("1.1.0")
    assert stage.versions() == {"eu-1": "1.1.0", "eu-2": "1.0.0", "us-1": "1.1.0", "asia-1": "1.0.0"}
    assert run.state is State.HELD
    assert (stage.ending(run)["exit"], stage.ending(run)["failure"]["code"]) == (Exit.ROLLED_BACK, "R221")
    assert stage.story(run) == {
        "eu-1": ("succeeded", ""),
        "eu-2": ("rolled back", ""),
        "us-1": ("succeeded", ""),
        "asia-1": ("not started", "eu-2 failed"),
    }
    with pytest.raises(OrchestratorError):
        stage.store.run("r2-asia-1")


def test_what_was_promoted_goes_back_as_well(stage: Stage) -> None:
    """With on_failure: rollback siblings and earlier waves go back, the newest wave first, by runs of their own."""
    stage.more = {"on_failure": "rollback"}
    stage.walk("1.0.0")
    stage.fail("eu-2")
    run = stage.walk("1.1.0")
    assert set(stage.versions().values()) == {"1.0.0"}
    assert run.state is State.ROLLED_BACK
    assert stage.ending(run)["exit"] == Exit.ROLLED_BACK
    back = [(found.id, found.kind, found.state) for found in reversed(stage.store.runs()) if "_" in found.id]
    assert back == [(f"r2-{name}_back", "rollback", State.ROLLED_BACK) for name in ("us-1", "eu-1")]
    assert stage.story(run)["eu-1"] == ("rolled back", "")
    assert stage.events(run)[-5:] == ["held", "returning", "returned", "returning", "returned"]


def test_a_rollback_that_fails_asks_for_a_person(stage: Stage) -> None:
    """There is no rollback of a rollback: one that fails is left for a person, and the others go back all the same."""
    stage.more = {"on_failure": "rollback"}
    stage.walk("1.0.0")
    stage.fail("eu-2")
    stage.fail("us-1", "1.0.0")
    run = stage.walk("1.1.0")
    assert run.state is State.NEEDS_INTERVENTION
    assert (stage.ending(run)["exit"], stage.ending(run)["failure"]["code"]) == (Exit.NEEDS_INTERVENTION, "R222")
    assert stage.versions()["eu-1"] == "1.0.0"
    assert stage.story(run)["us-1"][0] == "not rolled back"
    assert stage.store.runs("us-1")[0].kind == "rollback"


def test_so_many_may_fail(stage: Stage) -> None:
    """As many environments as max_failures says may fail and go back: the walk goes on, and says which did."""
    stage.more = {"max_failures": 1, "on_failure": "rollback"}
    stage.walk("1.0.0")
    stage.fail("eu-2")
    run = stage.walk("1.1.0")
    assert stage.versions() == {"eu-1": "1.1.0", "eu-2": "1.0.0", "us-1": "1.1.0", "asia-1": "1.1.0"}
    assert (run.state, stage.ending(run)["exit"]) == (State.SUCCEEDED, Exit.OK)
    assert "eu-2 failed, which max_failures allows" in run.message


def test_more_than_may_fail_in_all_waves_together(stage: Stage) -> None:
    """Failures of all waves count together."""
    stage.more = {"max_failures": 1}
    stage.walk("1.0.0")
    stage.fail("eu-1")
    stage.fail("us-1")
    run = stage.walk("1.1.0")
    assert stage.versions() == {"eu-1": "1.0.0", "eu-2": "1.1.0", "us-1": "1.0.0", "asia-1": "1.0.0"}
    assert stage.story(run)["asia-1"] == ("not started", "eu-1, us-1 failed, and 1 may")


def test_a_first_wave_that_is_refused_changes_nothing(stage: Stage) -> None:
    """When nothing was promoted and nothing was changed, the walk has failed, and ends as its environment does."""
    stage.walk("1.0.0")
    stage.world.gone.add("eu-1-web")
    before = list(stage.world.ledger)
    run = stage.walk("1.1.0")
    assert run.state is State.FAILED
    assert stage.ending(run)["exit"] == stage.ending(stage.store.run("r2-eu-1"))["exit"]
    assert stage.world.ledger == before


def test_where_it_is_already_nothing_is_done(stage: Stage) -> None:
    """An environment that has the release is passed over, and does not go back with the others."""
    stage.more = {"on_failure": "rollback"}
    stage.walk("1.0.0")
    stage.more["environments"] = [["eu-1"]]
    stage.walk("1.1.0")
    stage.more["environments"] = WAVES
    stage.fail("us-1")
    run = stage.walk("1.1.0")
    assert stage.versions() == {"eu-1": "1.1.0", "eu-2": "1.0.0", "us-1": "1.0.0", "asia-1": "1.0.0"}
    assert stage.story(run)["eu-1"] == ("already deployed", "")
    assert "soaking" not in stage.events(run)


def test_redeploy_goes_to_every_environment(stage: Stage) -> None:
    """With `redeploy` a walk promotes the release again where it runs already, in its waves, with and without a plan."""
    stage.walk("1.0.0")
    stage.more["environments"] = [["eu-1"]]
    stage.walk("1.1.0")
    stage.more["environments"] = WAVES
    run = stage.go(stage.way("1.1.0", redeploy=True))
    assert run.state is State.SUCCEEDED
    assert {stage.store.run(f"{run.id}-{name}").state for name in NAMES} == {State.SUCCEEDED}
    assert stage.events(run).count("begun") == 3
    assert admitted_environments(stage.services(), stage.waves, stage.package("1.1.0"), redeploy=True) == NAMES

    plan = stage.plan("1.1.0", redeploy=True)
    assert sorted(plan.plans) == sorted(NAMES)
    unchanged(stage.services(), plan)
    assert plan.digest != plan.model_copy(update={"redeploy": False}).digest
    way = stage.way("1.1.0", plan=plan.digest, plans=plan.plans, redeploy=True)
    run = stage.go(way)
    assert run.state is State.SUCCEEDED
    assert {name: stage.store.run(f"{run.id}-{name}").plan for name in NAMES} == plan.plans


def test_a_release_that_has_moved_on_is_left_alone(stage: Stage) -> None:
    """What another run has promoted to an environment since does not go back with the walk."""
    stage.more = {"on_failure": "rollback"}
    stage.walk("1.0.0")
    stage.fail("us-1")
    way = stage.way("1.1.0")

    def overtake(name: str, when: str) -> None:
        if (name, when) == ("wave.1.soak", "asleep") and "other" not in stage.answers:
            stage.answers["other"] = True
            answers, stage.more["environments"] = stage.answers, [["eu-1"]]
            assert stage.walk("1.2.0").state is State.SUCCEEDED
            stage.answers, stage.more["environments"] = answers, WAVES

    run = stage.go(way, overtake)
    assert stage.versions()["eu-1"] == "1.2.0"
    assert stage.versions()["eu-2"] == "1.0.0"
    assert stage.story(run)["eu-1"] == ("succeeded", "r3-eu-1 came after")
    assert run.state is State.ROLLED_BACK


def test_what_cannot_go_back_is_said(stage: Stage) -> None:
    """Where there is no release to go back to, or nobody may go back by itself, the environment stays, and a person is asked."""
    stage.more = {"on_failure": "rollback"}
    stage.rules["eu-2"] = {"rollback": {"automatic": False}}
    stage.fail("us-1", "1.0.0")
    run = stage.walk("1.0.0")
    assert run.state is State.NEEDS_INTERVENTION
    assert stage.story(run)["eu-1"] == (
        "not rolled back",
        "it cannot be rolled back: no release has been verified here yet",
    )
    assert stage.story(run)["eu-2"] == ("not rolled back", "automatic rollback is switched off for it")


@pytest.mark.parametrize("rule", ["stop", "rollback"])
def test_a_walk_is_cancelled_in_its_soak(stage: Stage, rule: str) -> None:
    """Cancelled between two waves no further one begins; what was promoted stays, or goes back, as the rule says."""
    stage.more = {"on_failure": rule}
    stage.walk("1.0.0")
    way = stage.way("1.1.0")

    def cancel(name: str, when: str) -> None:
        if (name, when) == ("wave.1.soak", "asleep"):
            stage.store.append("r2", [Entry(kind="control", data={"control": "cancel", "by": "bob"}, key="c")])

    run = stage.go(way, cancel)
    assert stage.versions()["eu-1"] == ("1.1.0" if rule == "stop" else "1.0.0")
    assert stage.versions()["eu-2"] == "1.0.0"
    assert stage.story(run)["asia-1"] == ("not started", "cancelled by bob")
    assert stage.ending(run)["failure"]["code"] == "R150"
    assert run.state is (State.HELD if rule == "stop" else State.ROLLED_BACK)


def test_one_environment_is_cancelled(stage: Stage) -> None:
    """An environment whose run is cancelled has failed: it goes back, and later waves are held."""
    stage.walk("1.0.0")
    way = stage.way("1.1.0")

    def cancel(name: str, when: str) -> None:
        if (name, when) == ("us-1.deploy.1", "after"):
            stage.store.append("r2-us-1", [Entry(kind="control", data={"control": "cancel", "by": "bob"}, key="c")])

    run = stage.go(way, cancel)
    assert stage.versions() == {"eu-1": "1.1.0", "eu-2": "1.1.0", "us-1": "1.0.0", "asia-1": "1.0.0"}
    assert stage.story(run)["us-1"][0] == "rolled back"
    assert run.state is State.HELD


def test_a_wish_of_the_walk_holds_for_what_begins_later(stage: Stage) -> None:
    """A run that begins after its walk was cancelled is cancelled before it does anything."""
    stage.walk("1.0.0")
    way = stage.way("1.1.0")

    def cancel(name: str, when: str) -> None:
        if (name, when) == ("wave.2.may", "after"):
            stage.store.append("r2", [Entry(kind="control", data={"control": "cancel", "by": "bob"}, key="c")])

    run = stage.go(way, cancel)
    assert stage.store.run("r2-us-1").state is State.FAILED
    assert stage.versions() == {"eu-1": "1.1.0", "eu-2": "1.0.0", "us-1": "1.0.0", "asia-1": "1.0.0"}
    assert run.state is State.HELD


def test_every_crash_ends_alike(tmp_path: Path) -> None:
    """Wherever the process dies, also in a soak, whoever takes over ends the walk alike, and does nothing twice."""

    def once(folder: Path, point: tuple[str, str] | None) -> tuple[object, Sequence[object], list[tuple[str, str]]]:
        stage = Stage(folder, more={"on_failure": "rollback"})
        stage.walk("1.0.0")
        stage.fail("us-1")
        way, seen = stage.way("1.1.0"), list[tuple[str, str]]()
        before = len(stage.world.ledger)

        def crash(name: str, when: str) -> None:
            seen.append((name, when))
            if (name, when) == point and seen.count(point) == 1:
                raise Crash

        try:
            run = stage.go(way, crash)
        except Crash:
            run = stage.go(way, crash)
        ends = stage.ending(run), stage.story(run), stage.events(run), stage.versions()
        return ends, stage.world.ledger[before:], seen

    (tmp_path / "whole").mkdir()
    wanted, effects, points = once(tmp_path / "whole", None)
    of_the_walk = [point for point in dict.fromkeys(points) if point[0].startswith(("walk.", "wave.", "r2-"))]
    of_the_walk += [
        point for point in dict.fromkeys(points) if point[0] in {"us-1.deploy.1", "eu-1_back.restore.deploy"}
    ]
    assert ("wave.1.soak", "asleep") in of_the_walk
    for number, point in enumerate(of_the_walk):
        (tmp_path / str(number)).mkdir()
        ends, done, _ = once(tmp_path / str(number), point)
        assert (ends, done) == (wanted, effects), point


def test_a_walk_executes_its_plan(stage: Stage) -> None:
    """Each environment is held to its own plan of the walk; one that has changed since is refused, and holds the rest."""
    stage.walk("1.0.0")
    plan = stage.plan("1.1.0")
    assert sorted(plan.plans) == sorted(NAMES)
    stage.world.stacks["us-1"] = ["us-1-web", "us-1-db"]
    way = stage.way("1.1.0", plan=plan.digest, plans=plan.plans)
    run = stage.go(way)
    assert run.plan == plan.digest
    assert stage.store.run("r2-eu-1").plan == plan.plans["eu-1"]
    assert stage.versions() == {"eu-1": "1.1.0", "eu-2": "1.1.0", "us-1": "1.0.0", "asia-1": "1.0.0"}
    assert stage.ending(stage.store.run("r2-us-1"))["failure"]["code"] == "R120"
    assert stage.ending(run)["exit"] == Exit.UNEXPECTED_CHANGES


def test_a_plan_is_kept_and_read_again(stage: Stage) -> None:
    """A plan over waves is found by its digest, covers waves, rules and all plans, and is refused when it was changed."""
    plan = stage.plan("1.0.0")
    services = stage.services()
    assert plan_store.load_any(services, plan.digest) == plan
    assert plan.digest != plan.model_copy(update={"rollout": plan.rollout.model_copy(update={"soak": "1s"})}).digest
    assert plan.digest == plan.model_copy(update={"created_at": "later"}).digest
    file = plan_store.folder(services, plan.digest) / "plan.json"
    file.write_text(file.read_text().replace('"deploy.yml"', '"other.yml"', 1))
    with pytest.raises(OrchestratorError) as caught:
        plan_store.load_any(services, plan.digest)
    assert caught.value.code == "R122"


def test_a_plan_for_other_waves_is_refused(stage: Stage) -> None:
    """A plan does not hold when the waves or their rules have changed since, nor when the release has come somewhere."""
    plan = stage.plan("1.0.0")
    unchanged(stage.services(), plan)
    stage.more = {"max_failures": 2}
    with pytest.raises(OrchestratorError) as caught:
        unchanged(stage.services(), plan)
    assert caught.value.code == "R220"
    stage.more = {"environments": [["eu-1"]]}
    stage.walk("1.0.0")
    stage.more = {}
    with pytest.raises(OrchestratorError) as caught:
        unchanged(stage.services(), plan)
    assert "eu-1" in caught.value.message


def test_who_may_not_go_everywhere_goes_nowhere(stage: Stage) -> None:
    """Before anything begins each environment is looked at: declared, free of rules, and with what comes before it verified."""
    stage.rules["asia-1"] = {"after": "us-1"}
    package = stage.package("1.0.0")
    assert admitted_environments(stage.services(), stage.waves, package) == NAMES
    stage.more = {"environments": [["eu-1"], ["asia-1"]]}
    with pytest.raises(OrchestratorError) as caught:
        admitted_environments(stage.services(), stage.waves, package)
    assert (caught.value.code, "us-1" in caught.value.message) == ("R105", True)
    with pytest.raises(OrchestratorError) as caught:
        admitted_environments(stage.services(), stage.waves, stage.package("1.0.1", environments=["eu-1"]))
    assert caught.value.code == "R104"
    stage.more, stage.rules = {}, {}
    stage.walk("1.0.0")
    with pytest.raises(OrchestratorError) as caught:
        admitted_environments(stage.services(), stage.waves, package)
    assert caught.value.code == "R108"


def test_what_was_gone_back_from_is_refused_before_anything_begins(stage: Stage) -> None:
    """A release that one of the environments has gone back from goes to none of them again by itself."""
    stage.walk("1.0.0")
    stage.fail("us-1")
    stage.walk("1.1.0")
    package = stage.package("1.1.0")
    wanted = admitted_environments(stage.services(), stage.waves, package)
    assert wanted == ("us-1", "asia-1")
    with pytest.raises(OrchestratorError) as caught:
        refuse_rolled_back(stage.services(), wanted, package.ref)
    assert caught.value.code == "R203"
    stage.world.faults.clear()
    run = stage.go(stage.way("1.1.0", override_reason="the tax was to blame"))
    assert run.state is State.SUCCEEDED
    assert set(stage.versions().values()) == {"1.1.0"}


def test_a_plan_that_may_not_be_executed_begins_nowhere(stage: Stage) -> None:
    """A plan over waves of which one environment's may not be executed is refused as a whole, by that one's reason."""
    stage.walk("1.0.0")
    stage.world.gone.add("asia-1-web")
    with pytest.raises(OrchestratorError) as caught:
        executable(stage.plan("1.1.0"))
    assert caught.value.code == "D107"
    assert caught.value.message.startswith("asia-1: ")


def test_an_environment_after_one_of_an_earlier_wave_is_planned(stage: Stage) -> None:
    """An environment that comes after one of an earlier wave is planned as if it had been verified there, and then is."""
    stage.rules["asia-1"] = {"after": "us-1"}
    plan = stage.plan("1.0.0")
    run = stage.go(stage.way("1.0.0", plan=plan.digest, plans=plan.plans))
    assert run.state is State.SUCCEEDED
