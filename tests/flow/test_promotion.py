"""Whole promotions on the world in memory: what happens, in which order, and how it ends."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.implementations import MemoryImplementations
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.adapters.memory.provisioner import MemoryProvisioner
from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.adapters.memory.verifier import MemoryVerifier
from orchestrator.adapters.memory.world import World
from orchestrator.adapters.null_notifier import NullNotifier
from orchestrator.domain.environment import Environment, Project
from orchestrator.domain.journal import Kind, Run, Verified
from orchestrator.domain.plan import NOTHING, Acknowledgements, HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package, PackageRef, Release
from orchestrator.flow import going_back, promotion
from orchestrator.flow.run_context import RunContext
from orchestrator.planning.survey import PlanRequest
from orchestrator.services import Services

HEAD = {"apiVersion": "orchestrator/v1"}


def release(version: str, **changes: object) -> Release:
    data = {
        **HEAD,
        "kind": "Release",
        "name": "shop",
        "version": version,
        "environments": ["staging", "production"],
        "steps": [
            {"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "rollout": {"batches": [1, "100%"]}},
        ],
        "verify": [{"name": "smoke", "tests": "tests"}],
        **changes,
    }
    return Release.from_json(data)


def ref_of(item: Run | HostState | Verified | None) -> PackageRef:
    """The release of a run, of what a host has, or of a verification: there is one."""
    assert item is not None
    assert item.release is not None
    return item.release


@dataclass
class Stage:
    """A project with staging and production in memory, and a way to promote in it."""

    folder: Path
    world: World = field(default_factory=lambda: World(stacks={"staging": ["s1"], "production": ["p1", "p2", "p3"]}))
    store: MemoryStore = field(default_factory=MemoryStore)
    packages: MemoryPackages = field(default_factory=MemoryPackages)
    automatic: bool = True
    stateful: list[dict[str, str]] = field(default_factory=list)
    ephemeral: dict[str, object] | None = None
    rules: dict[str, dict[str, object]] = field(default_factory=dict)
    count: int = 0

    def services(self) -> Services:
        def environment(name: str, after: str | None) -> tuple[Environment, Path]:
            rollback = {"automatic": self.automatic}
            data: dict[str, object] = {**HEAD, "kind": "Environment", "name": name, "after": after, "rollback": rollback,
                    "pulumi": {"stateful": self.stateful}}  # fmt: skip
            if name == "staging":
                data["ephemeral"] = self.ephemeral
            data |= self.rules.get(name, {})
            return Environment.from_json(data), self.folder

        return Services(
            project=Project.from_json({**HEAD, "kind": "Project", "name": "demo"}),
            root=self.folder,
            state=self.folder,
            environments={
                "staging": environment("staging", None),
                "production": environment("production", "staging"),
            },
            provisioner=MemoryProvisioner(self.world),
            deployer=MemoryDeployer(self.world),
            verifier=MemoryVerifier(self.world),
            packages=self.packages,
            store=self.store,
            clock=self.store.clock,
            notifier=NullNotifier(),
            keys=MemoryKeys(),
            implementations=MemoryImplementations(self.world),
        )

    def ctx(self, package: Package, environment: str, kind: Kind = "promotion", **more: Any) -> RunContext:
        self.count += 1
        run = Run(id=f"r{self.count}-{environment}", root=f"r{self.count}", kind=kind, environment=environment,
                  release=package.ref, by="ann")  # fmt: skip
        self.store.create(run)
        return RunContext(services=self.services(), durable=MemoryDurable({}), run=run, **more)

    def promote(self, version: str, environment: str, named: Acknowledgements = NOTHING, **changes: Any) -> Run:
        return promotion(self.ctx(self.packages.put(release(version, **changes)), environment, acknowledgements=named))

    def walk(self, version: str, **changes: Any) -> Run:
        self.promote(version, "staging", **changes)
        return self.promote(version, "production", **changes)

    def versions(self, environment: str) -> set[str]:
        """The versions that hosts of *environment* have; each host has a known release."""
        refs = [self.packages.ref(digest) for digest in self.world.releases(environment) if digest is not None]
        assert len(refs) == len(self.world.releases(environment))
        return {ref.version if ref is not None else "unknown" for ref in refs}

    def leave(self, host: str, now: bool) -> None:
        if now:
            self.world.gone.add(host)

    def kinds(self, run: Run, kind: str) -> list[str]:
        return [record.step for record in self.store.records(run.id) if record.kind == kind]

    def failure(self, run: Run) -> dict[str, Any]:
        return next(record.data for record in self.store.records(run.id) if record.kind == "ended")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_release_goes_through_staging_to_production(stage: Stage) -> None:
    """A good release runs on every host of production after the walk, and is verified in both environments."""
    run = stage.walk("1.0.0")
    assert run.state is State.SUCCEEDED
    assert stage.world.releases("production") == [ref_of(run).digest] * 3
    assert [item.release.version for item in stage.store.verified("production")] == ["1.0.0"]


def test_each_batch_is_verified_before_the_next(stage: Stage) -> None:
    """The order of the steps is deploy, verify that batch, deploy the next, verify the whole environment."""
    run = stage.walk("1.0.0")
    steps = [step for step in stage.kinds(run, "step.started") if step.startswith(("deploy", "verify"))]
    assert steps == ["deploy.1", "verify.smoke.deploy.1", "deploy.2", "verify.smoke.environment"]


def test_what_was_not_verified_before_is_refused(stage: Stage) -> None:
    """A release that staging has not seen is refused in production, with nothing done there."""
    run = stage.promote("1.0.0", "production")
    assert run.state is State.FAILED
    assert stage.failure(run)["failure"]["code"] == "R105"
    assert stage.world.ledger == []


def test_a_failed_batch_goes_back_where_it_was_touched(stage: Stage) -> None:
    """A failure on the second batch puts back the touched hosts, and leaves the verified release everywhere."""
    good = stage.walk("1.0.0")
    stage.world.faults.add(("deploy", "p2", "1.1.0"))
    run = stage.walk("1.1.0")
    assert run.state is State.ROLLED_BACK
    assert stage.failure(run)["exit"] == 4
    assert stage.world.releases("production") == [ref_of(good).digest] * 3


def test_untouched_hosts_are_left_alone(stage: Stage) -> None:
    """A failure in the first batch restores that host only."""
    stage.walk("1.0.0")
    stage.world.faults.add(("verify", "p1", "1.1.0"))
    stage.walk("1.1.0")
    touched = [line for line in stage.world.ledger if "production/" in line][3:]
    assert touched == ["deploy.yml shop 1.1.0 production/p1", "deploy.yml shop 1.0.0 production/p1"]


def test_without_a_verified_release_a_failure_asks_for_a_person(stage: Stage) -> None:
    """The first release that fails stops, says that there is nothing to go back to, and exits 5."""
    stage.world.faults.add(("deploy", "s1", "1.0.0"))
    run = stage.promote("1.0.0", "staging")
    assert run.state is State.NEEDS_INTERVENTION
    assert stage.failure(run)["exit"] == 5
    assert "no verified release" in run.message


def test_an_update_of_the_stack_that_fails_both_ways_asks_for_a_person(stage: Stage) -> None:
    """When Pulumi fails, and fails again on the way back, no host is touched and a person is asked."""
    stage.walk("1.0.0")
    stage.world.stacks["staging"] = ["s1", "s2"]
    stage.world.faults.add(("up", "staging", ""))
    before = list(stage.world.ledger)
    assert stage.promote("1.1.0", "staging").state is State.NEEDS_INTERVENTION
    assert stage.world.ledger == before


def test_a_host_that_is_gone_before_the_start_blocks(stage: Stage) -> None:
    """A host of a step that cannot be reached while planning refuses the run, with nothing done on any other."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.gone.add("p3")
    before = list(stage.world.ledger)
    run = stage.promote("1.1.0", "production")
    ended = stage.failure(run)
    assert (run.state, ended["exit"], ended["failure"]["code"]) == (State.FAILED, 1, "D107")
    assert stage.world.ledger == before


def test_a_host_that_goes_away_after_the_plan_asks_for_a_person(stage: Stage) -> None:
    """A host that goes away in mid-run is unknown; what was touched goes back, and a person is told its state."""
    old = stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "production")
    ctx.durable = MemoryDurable({}, lambda name, when: stage.leave("p3", name == "deploy.2" and when == "before"))
    run = promotion(ctx)
    known = {state.host: (state.truth, state.digest) for state in stage.store.hosts("production")}
    assert (run.state, stage.failure(run)["exit"]) == (State.NEEDS_INTERVENTION, 5)
    assert known == {"p1": ("seen", ref_of(old).digest), "p2": ("seen", ref_of(old).digest),
                     "p3": ("unknown", ref_of(old).digest)}  # fmt: skip


def test_a_first_batch_that_cannot_be_reached_has_changed_nothing(stage: Stage) -> None:
    """When the very first batch goes away before anything was touched, the run has failed and needs nobody."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "production")
    ctx.durable = MemoryDurable({}, lambda name, when: stage.leave("p1", name == "deploy.1" and when == "before"))
    before = list(stage.world.ledger)
    run = promotion(ctx)
    assert (run.state, stage.failure(run)["exit"]) == (State.FAILED, 1)
    assert stage.world.ledger == before
    assert [state.truth for state in stage.store.hosts("production")] == ["unknown", "seen", "seen"]


def test_a_point_of_no_return_stops_the_rollback(stage: Stage) -> None:
    """A step that cannot be undone, once started, is never rolled back by itself; one that nobody has named is not started."""
    stage.walk("1.0.0")
    stage.world.faults.add(("deploy", "s1", "1.1.0"))
    steps = [{"name": "deploy", "playbook": "deploy.yml", "hosts": "web", "undo": "impossible"}]
    before = list(stage.world.ledger)
    run = stage.promote("1.1.0", "staging", steps=steps)
    assert (run.state, stage.failure(run)["exit"]) == (State.FAILED, 3)
    assert stage.failure(run)["failure"]["code"] == "R201"
    assert stage.world.ledger == before
    run = stage.promote("1.1.0", "staging", named=Acknowledgements(no_return=("deploy",)), steps=steps)
    assert (run.state, stage.failure(run)["exit"]) == (State.NEEDS_INTERVENTION, 5)
    assert "deploy cannot be undone" in run.message


def test_steps_are_undone_newest_first(stage: Stage) -> None:
    """Undo playbooks run in the reverse order of the steps that were started, then the old release is restored."""
    stage.walk("1.0.0")
    stage.world.ledger.clear()
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    steps = [
        {"name": "one", "playbook": "one.yml", "undo": "undo-one.yml"},
        {"name": "two", "playbook": "two.yml", "undo": "undo-two.yml"},
        {"name": "three", "playbook": "three.yml", "undo": "nothing"},
    ]
    stage.promote("1.1.0", "staging", steps=steps)
    played = [line.split()[0] for line in stage.world.ledger]
    assert played == ["one.yml", "two.yml", "three.yml", "undo-two.yml", "undo-one.yml", "deploy.yml"]


def test_a_rollback_that_fails_is_never_called_rolled_back(stage: Stage) -> None:
    """When the old release does not come back either, the run asks for a person."""
    stage.walk("1.0.0")
    stage.world.faults |= {("deploy", "p1", "1.1.0"), ("verify", "p1", "1.0.0")}
    assert stage.walk("1.1.0").state is State.NEEDS_INTERVENTION


def test_automatic_rollback_can_be_switched_off(stage: Stage) -> None:
    """`rollback: {automatic: false}` stops at the failure."""
    stage.walk("1.0.0")
    stage.automatic = False
    stage.world.faults.add(("deploy", "s1", "1.1.0"))
    run = stage.promote("1.1.0", "staging")
    assert run.state is State.NEEDS_INTERVENTION
    assert "switched off" in run.message


def test_a_tampered_package_is_refused_before_any_effect(stage: Stage) -> None:
    """A package that was changed between the environments stops the run with nothing done."""
    staged = stage.promote("1.0.0", "staging")
    stage.packages.spoiled.add(ref_of(staged).digest)
    before = list(stage.world.ledger)
    run = promotion(stage.ctx(MemoryPackages().put(release("1.0.0")), "production"))
    assert run.state is State.FAILED
    assert stage.world.ledger == before


def test_going_back_by_hand_restores_every_host(stage: Stage) -> None:
    """A rollback that a person asks for ends well, with the older release verified again."""
    old = stage.walk("1.0.0")
    stage.walk("1.1.0")
    package = stage.packages.fetch(ref_of(old).digest)
    run = going_back(stage.ctx(package, "production", kind="rollback"))
    assert run.state is State.ROLLED_BACK
    assert stage.failure(run)["exit"] == 0
    assert stage.world.releases("production") == [ref_of(old).digest] * 3
    assert stage.store.verified("production")[0].release.version == "1.0.0"


def test_an_approved_plan_that_no_longer_holds_stops_before_any_effect(stage: Stage) -> None:
    """When a host runs something else than when the plan was made, the run names that and does nothing."""
    from orchestrator.planning import make, plan_store

    stage.walk("1.0.0")
    package = stage.packages.put(release("1.1.0"))
    stage.promote("1.1.0", "staging")
    approved = make.make(stage.services(), PlanRequest(package, "production"), "p", lambda _entry: None)
    plan_store.save(stage.services(), approved)
    stage.world.running["production", "p2"] = "sha256:" + "0" * 64
    before = list(stage.world.ledger)
    run = promotion(stage.ctx(package, "production", approved=approved.digest))
    assert (run.state, stage.failure(run)["exit"]) == (State.FAILED, 7)
    assert "what runs on the hosts" in run.message
    assert stage.world.ledger == before


def test_an_approved_plan_that_holds_is_the_one_that_runs(stage: Stage) -> None:
    """The run executes the approved document and records its digest."""
    from orchestrator.planning import make, plan_store

    stage.walk("1.0.0")
    package = stage.packages.put(release("1.1.0"))
    stage.promote("1.1.0", "staging")
    approved = make.make(stage.services(), PlanRequest(package, "production"), "p", lambda _entry: None)
    plan_store.save(stage.services(), approved)
    run = promotion(stage.ctx(package, "production", approved=approved.digest))
    assert (run.state, run.plan) == (State.SUCCEEDED, approved.digest)


def test_the_lease_is_given_back_however_it_ends(stage: Stage) -> None:
    """After success, refusal and rollback nobody holds the environment."""
    stage.walk("1.0.0")
    stage.world.faults.add(("deploy", "s1", "1.1.0"))
    stage.walk("1.1.0")
    assert [stage.store.lease(name) for name in ("staging", "production")] == [None, None]


def test_infrastructure_goes_back_to_the_definition_that_was_verified(stage: Stage) -> None:
    """A release that fails after the stack was changed leaves the stack as it was defined before, with the old release on the hosts that came back."""
    old = stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2"]
    stage.world.faults.add(("deploy", "p2", "1.1.0"))
    run = stage.promote("1.1.0", "production")
    assert run.state is State.ROLLED_BACK
    assert stage.world.up["production"] == ["p1", "p2", "p3"]
    assert stage.world.releases("production") == [ref_of(old).digest] * 3
    marks = stage.store.verified("production")
    assert marks[0].definition == marks[1].definition


def test_a_stack_that_stops_half_way_is_put_back(stage: Stage) -> None:
    """An update of the infrastructure that fails after it began is followed by one to the definition before."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    changed = MemoryProvisioner(stage.world).definition(stage.services().environment("production")[0], stage.folder)
    stage.world.faults.add(("up", "production", changed.definition))
    run = stage.promote("1.1.0", "production")
    assert run.state is State.ROLLED_BACK
    assert stage.world.ledger[-2:] == ["up production half-way", "up production"]
    assert stage.world.up["production"] == ["p1", "p2", "p3"]


@pytest.mark.parametrize(
    ("deaths", "end"), [(1, State.ROLLED_BACK), (2, State.ROLLED_BACK), (3, State.NEEDS_INTERVENTION)]
)
def test_an_engine_that_is_killed_on_the_way_back_is_begun_once_more(stage: Stage, deaths: int, end: State) -> None:
    """A Pulumi that is killed while the infrastructure goes back is begun a second time and a third, and no more."""
    stage.promote("1.0.0", "staging")
    stage.promote("1.0.0", "production")
    stage.promote("1.1.0", "staging")
    before = MemoryProvisioner(stage.world).definition(stage.services().environment("production")[0], stage.folder)
    stage.world.stacks["production"] = ["p1", "p2", "p3", "p4"]
    stage.world.faults.add(("verify", "p4", "1.1.0"))
    stage.world.killed[before.definition] = deaths
    run = stage.promote("1.1.0", "production")
    assert run.state is end
    assert (stage.world.up["production"] == ["p1", "p2", "p3"]) == (end is State.ROLLED_BACK)


class Crash(BaseException):
    """The process is gone."""


def test_a_crash_at_any_step_loses_nothing_and_does_nothing_twice(stage: Stage, tmp_path: Path) -> None:
    """Whatever recorded step the process dies after, the recovered run ends the same, with the same effects."""
    reference = Stage(tmp_path)
    reference.walk("1.0.0")
    expected, number = list(reference.world.ledger), 0
    while True:
        number += 1
        trial = Stage(tmp_path)
        trial.promote("1.0.0", "staging")
        if not _crashed_at(trial, number):
            break
        assert trial.world.ledger == expected, f"crash after step {number}"
    assert number > 8


def _crashed_at(stage: Stage, number: int) -> bool:
    seen = [0]

    def crash(_name: str, when: str) -> None:
        seen[0] += when == "after"
        if when == "after" and seen[0] == number:
            raise Crash

    ctx = stage.ctx(stage.packages.put(release("1.0.0")), "production")
    answers: dict[str, object] = {}
    ctx.durable = MemoryDurable(answers, crash)
    try:
        promotion(ctx)
        return False
    except Crash:
        again = RunContext(services=stage.services(), durable=MemoryDurable(answers), run=ctx.run)
        assert promotion(again).state is State.SUCCEEDED
        return True
